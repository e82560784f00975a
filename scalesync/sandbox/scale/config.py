"""All settings of the sandbox, frozen. The defaults imitate today's Scale."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from scalesync.sandbox.core.config import EmulatorConfig


@dataclass(frozen=True, kw_only=True)
class SandboxConfig(EmulatorConfig):
    """Settings of one emulator of Scale, in addition to the settings of every platform.

    A field marked "guess" sets a behaviour that Scale does not document; docs/sandbox.md lists these fields.
    Raises ValueError if a value is out of its range.
    """

    # Completion.
    test_completion: Literal["after", "reply", "never"] = "after"  # 2021, 2019, or not at all
    annotate_after_s: float | None = None  # live tasks; None: only `annotate` completes them
    annotate_spread_s: float = 0.0  # up to this much is added, drawn evenly for each task

    # Attachments of live tasks that cannot be fetched: a regex, or a share of URLs (by seeded hash).
    bad_attachments: str | float | None = None
    attachment_check_s: float = 1.0
    attachment_status: int = 403

    # Version 2: batches that turn, deliveries.
    batch_change_s: float = 1.0  # from "initiated" until a pause, resume or cancel takes effect
    deliver_every_s: float | None = None  # the chats that such a period completes are delivered at its end
    chat_attachments: bool = False  # assistants attach files; the official SDK's models can read none

    # The pipeline of a project (standard_task, consensus_task): reviews after the attempts.
    pipeline_reviews: int = 1
    collection_word: str | None = None  # guess: the name of a collection pipeline; None: the API documents none

    # Uploaded files. A file that no task names makes room for a new one when all of them reach the total.
    file_total_bytes: int = 1024 * 1024 * 1024
    file_too_large: Literal[413, 400] = 413  # guess: for more than `max_file_bytes`

    # Callbacks. "local" calls this machine only, because a trial must never reach production.
    callbacks: Literal["local", "any", "off"] = "local"
    callback_auth: str = "sandbox_callback_key"  # the header scale-callback-auth
    callback_tries: int = 20
    callback_scale: float = 1.0  # times the waits between tries, which take a day in all; 0: no waits
    callback_timeout_s: float = 30.0  # guess

    # Guesses about creating.
    open_types: bool = False  # accept unknown task types
    unknown_parent_status: Literal[404, 400] = 404  # a create names an unknown project or batch
    instruction_separator: str = "\n\n"  # between the task's and the project's instruction
    batch_project_conflict: Literal["error", "batch"] = "error"  # a create names a batch of another project
    idempotency_text: str = "The provided idempotency key is already in use for a different request."

    # Guesses about listing.
    time_bounds: Literal["inclusive", "exclusive", "half_open"] = "inclusive"
    tags_match: Literal["any", "all"] = "any"
    limit_out_of_range: Literal["error", "clamp"] = "error"
    page_most: int | None = None  # at most this many tasks on a page; None: `limit` decides alone
    total_most: int | None = None  # `total` stops counting here, but the list continues
    cursor_form: Literal["keyset", "opaque"] = "keyset"  # of next_token
    invalid_cursor: Literal["error", "ignore"] = "error"
    last_cursor: Literal["omit", "null", "empty"] = "omit"  # next_token of the last page
    v2_time_bounds: Literal["exclusive", "inclusive"] = "exclusive"
    plain_annotations: Literal["sdk", "docs"] = "sdk"  # without opts: id, key, type, value; or key, value
    unknown_query: Literal["ignore", "error"] = "ignore"
    unknown_parent_in_list: Literal["empty", "error"] = "empty"
    attachment_url_field: str = "attachment_url"
    batch_list: Literal["union", "sdk", "sail", "node"] = "union"
    batch_extra: bool = True  # `id` and `callback` always on a batch

    # Guesses about changing.
    audit_reply: Literal["ok", "task"] = "ok"
    cancel_completed: Literal[400, 500, 200] = 400  # today 400, in 2016 500, in 2019 200
    cancel_started: Literal["error", "cancel"] = "error"
    review_field: bool = True  # `customer_review_status` on completed tasks
    late_tasks: Literal["error", "accept"] = "error"  # creating into a finalized rapid batch

    # Result files, served at /results/<uuid> without a key.
    result_bytes: int | None = None  # least size of a file; None: a few frames
    result_gzip: bool = False
    result_ttl_s: float | None = None  # a link is signed when it is read, and answers 403 after this time
    result_base_url: str | None = None  # None: the address the sandbox listens on
    multistage_stages: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._not_negative("annotate_after_s", "result_ttl_s", "batch_change_s", "deliver_every_s")
        self._not_negative("callback_scale", "pipeline_reviews")
        if self.callback_tries < 1 or self.callback_timeout_s <= 0:
            raise ValueError("callback_tries must be at least 1, and callback_timeout_s above 0")
        if isinstance(self.bad_attachments, str):
            try:
                re.compile(self.bad_attachments)
            except re.error as error:
                raise ValueError(f"bad_attachments is not a regular expression: {error}") from error
        elif self.bad_attachments is not None and not 0 <= self.bad_attachments <= 1:
            raise ValueError(f"bad_attachments as a share must be in 0..1, got {self.bad_attachments}")
