"""What an answer says about a request, for every platform: by its status, and by the error that stands for it."""

from __future__ import annotations

import re
from collections.abc import Callable

from scalesync.errors import NotAllowed, NotTheApi, OutcomeUnknown, Refused, RemoteError, Throttled, Unavailable
from scalesync.http.strays import is_redirect, stray
from scalesync.http.transport import Reply
from scalesync.model.outcomes import Outcome, OutcomeKind

ERROR_BYTES = 64 * 1024  # of an error's body are read for its text
# No verdict on the request: too late, sent to the wrong server, too early, or a proxy's own matter.
NO_VERDICT = frozenset({407, 408, 421, 425})
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
"""The server's own words in an error, without credentials."""


def outcome_kind(status: int, asked_s: float | None = None) -> OutcomeKind:
    """What a status other than success says about the request.

    asked_s: the wait that the answer asks for. A 413 with such a wait says nothing about the record: there is no room
    for it now (RFC 9110, section 15.5.14).
    """
    if status in {401, 402, 403}:
        return OutcomeKind.NOT_ALLOWED
    if status == 429 or (status == 413 and asked_s is not None):
        return OutcomeKind.THROTTLED
    if status in NO_VERDICT or not 400 <= status < 500:
        return OutcomeKind.UNKNOWN
    return OutcomeKind.REFUSED


def check(reply: Reply, op: str, words: Words) -> Reply:
    """Pass a success on, raise the error that the status stands for otherwise.

    op: what the request was for, in messages.
    """
    if 200 <= reply.status < 300:
        return reply
    if is_redirect(reply):
        raise NotTheApi(f"{op}: {stray(reply)}", op=op, status=reply.status)
    asked_s = reply.retry_after_s
    error = _ERRORS.get(outcome_kind(reply.status, asked_s), Refused)
    raise error(f"{op}: {words(reply)}", op=op, status=reply.status, retry_after_s=asked_s)


def refusal(reply: Reply, words: Words) -> Outcome:
    """The outcome of a create call that was not answered with a success."""
    status, asked_s = reply.status, reply.retry_after_s
    if is_redirect(reply):
        return Outcome(OutcomeKind.UNKNOWN, status=status, message=stray(reply) or "", astray=True)
    return Outcome(outcome_kind(status, asked_s), status=status, message=words(reply), retry_after_s=asked_s)


def no_answer(reply: Reply, words: str) -> Outcome:
    """The outcome of a create call whose success holds something else than it should."""
    told = stray(reply)
    return Outcome(OutcomeKind.UNKNOWN, status=reply.status, message=told or words, astray=told is not None)


def unanswered(reply: Reply, op: str, words: str) -> OutcomeUnknown:
    """The error for a success that holds something else than it should.

    words: where the API may have sent it.
    """
    told = stray(reply)
    return OutcomeUnknown(f"{op}: {words}", op=op) if told is None else NotTheApi(f"{op}: {told}", op=op)


def outcome_of(error: RemoteError) -> Outcome:
    """The outcome of a create call that ended in an error."""
    kind = next((kind for kind, classes in _KINDS.items() if isinstance(error, classes)), OutcomeKind.UNKNOWN)
    return Outcome(
        kind,
        status=error.status,
        message=str(error),
        retry_after_s=error.retry_after_s,
        astray=isinstance(error, NotTheApi),
    )


def plain_text(reply: Reply) -> str:
    """The raw text of an error, for proxies send HTML; without any, the status says what there is to say."""
    text = re.sub(r"<[^<>]*>", " ", reply.body[:ERROR_BYTES].decode("utf-8", "replace"))
    return reply.hide(" ".join(text.split())) or f"status {reply.status} without a message"
