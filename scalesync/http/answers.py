"""The meaning of an answer, for every platform: its status becomes an outcome or an error."""

from __future__ import annotations

import re
from collections.abc import Callable

from scalesync.errors import NotAllowed, NotTheApi, OutcomeUnknown, Refused, RemoteError, Throttled, Unavailable
from scalesync.http.strays import is_redirect, stray
from scalesync.http.transport import Reply
from scalesync.model.outcomes import Outcome, OutcomeKind

ERROR_BYTES = 64 * 1024  # the text of an error comes from this much of its body
# These statuses say nothing about the record: too late, wrong server, too early, or the proxy's own concern.
NOT_ABOUT_THE_RECORD = frozenset({407, 408, 421, 425})
_ERRORS: dict[OutcomeKind, type[RemoteError]] = {
    OutcomeKind.NOT_ALLOWED: NotAllowed,
    OutcomeKind.THROTTLED: Throttled,
    OutcomeKind.UNKNOWN: OutcomeUnknown,
}
_KINDS: dict[OutcomeKind, type[RemoteError]] = {
    OutcomeKind.UNAVAILABLE: Unavailable,
    OutcomeKind.THROTTLED: Throttled,
    OutcomeKind.NOT_ALLOWED: NotAllowed,
    OutcomeKind.REFUSED: Refused,
}
Words = Callable[[Reply], str]
"""Returns the server's message in an error, without credentials."""


def outcome_kind(status: int, asked_s: float | None = None) -> OutcomeKind:
    """The kind of outcome that a status other than success means.

    asked_s: the wait that the answer asks for. A 413 with a wait is not about the record: the server has no room now
        (RFC 9110, section 15.5.14).
    """
    if status in {401, 402, 403}:
        return OutcomeKind.NOT_ALLOWED
    if status == 429 or (status == 413 and asked_s is not None):
        return OutcomeKind.THROTTLED
    if status in NOT_ABOUT_THE_RECORD or not 400 <= status < 500:
        return OutcomeKind.UNKNOWN
    return OutcomeKind.REFUSED


def check(reply: Reply, op: str, words: Words) -> Reply:
    """Return a success, and raise the error for any other status.

    op: the purpose of the request, for messages.
    """
    if 200 <= reply.status < 300:
        return reply
    if is_redirect(reply):
        raise NotTheApi(f"{op}: {stray(reply)}", op=op, status=reply.status)
    asked_s = reply.retry_after_s
    error = _ERRORS.get(outcome_kind(reply.status, asked_s), Refused)
    raise error(f"{op}: {words(reply)}", op=op, status=reply.status, retry_after_s=asked_s)


def refusal(reply: Reply, words: Words) -> Outcome:
    """The outcome of a create call whose status is not a success."""
    status, asked_s = reply.status, reply.retry_after_s
    if is_redirect(reply):
        return Outcome(OutcomeKind.UNKNOWN, status=status, message=stray(reply) or "", astray=True)
    return Outcome(outcome_kind(status, asked_s), status=status, message=words(reply), retry_after_s=asked_s)


def no_answer(reply: Reply, words: str) -> Outcome:
    """The outcome of a create call whose status is a success but whose body is not the expected one."""
    sentence = stray(reply)
    return Outcome(OutcomeKind.UNKNOWN, status=reply.status, message=sentence or words, astray=sentence is not None)


def unanswered(reply: Reply, op: str, words: str) -> OutcomeUnknown:
    """The error for a success whose body is not the expected one.

    words: the message if the answer may be the API's.
    """
    sentence = stray(reply)
    return OutcomeUnknown(f"{op}: {words}", op=op) if sentence is None else NotTheApi(f"{op}: {sentence}", op=op)


def outcome_of(error: RemoteError) -> Outcome:
    """The outcome of a create call that raised an error."""
    kind = next((kind for kind, classes in _KINDS.items() if isinstance(error, classes)), OutcomeKind.UNKNOWN)
    return Outcome(
        kind,
        status=error.status,
        message=str(error),
        retry_after_s=error.retry_after_s,
        astray=isinstance(error, NotTheApi),
    )


def plain_text(reply: Reply) -> str:
    """The text of an error without HTML tags, because proxies send HTML. If it is empty, a sentence with the status."""
    text = re.sub(r"<[^<>]*>", " ", reply.body[:ERROR_BYTES].decode("utf-8", "replace"))
    return reply.hide(" ".join(text.split())) or f"status {reply.status} without a message"
