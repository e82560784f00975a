"""One exception for each status of the API, in the tree of `scalesync.errors`, under the names of the official SDK."""

from __future__ import annotations

from scalesync.errors import NotAllowed, NotTheApi, OutcomeUnknown, Refused, RemoteError, Throttled
from scalesync.http.answers import outcome_kind
from scalesync.http.strays import is_redirect, stray
from scalesync.http.transport import Reply
from scalesync.model.outcomes import OutcomeKind
from scalesync.platforms.scale.wire import TAKEN_BY, error_text


class ScaleError(RemoteError):
    """An answer that is an error.

    message: the server's words, without the key.
    key: the unique_id or name that the call was about, empty if it had none.
    """

    message = ""
    key = ""

    @property
    def code(self) -> int | None:
        """The status, under the official SDK's name."""
        return self.status


class ScaleInvalidRequest(ScaleError, Refused):
    """400: a parameter is wrong or missing, or the thing is not in a state for this."""


class ScaleUnauthorized(ScaleError, NotAllowed):
    """401: there is no such key."""


class ScaleNotEnabled(ScaleError, NotAllowed):
    """402: the account may not use this."""


class ScaleForbidden(ScaleError, NotAllowed):
    """403: the key may not do this."""


class ScaleResourceNotFound(ScaleError, Refused):
    """404: there is no such thing."""


class ScaleDuplicateResource(ScaleError, Refused):
    """409: a unique_id, name or reference_id is taken.

    task_id: the task that has the unique_id; None if the server does not say, as for other things than tasks.
    """

    task_id: str | None = None


class ScaleTooManyRequests(ScaleError, Throttled):
    """429: too many requests."""


class ScaleInternalError(ScaleError, OutcomeUnknown):
    """500, and what proxies answer: the request may have been carried out."""


class ScaleServiceUnavailable(ScaleError, OutcomeUnknown):
    """503: the service had no room for the request."""


class ScaleTimeoutError(ScaleError, OutcomeUnknown):
    """504: the service took too long; the request may have been carried out."""


BY_STATUS: dict[int, type[ScaleError]] = {
    400: ScaleInvalidRequest,
    401: ScaleUnauthorized,
    402: ScaleNotEnabled,
    403: ScaleForbidden,
    404: ScaleResourceNotFound,
    409: ScaleDuplicateResource,
    429: ScaleTooManyRequests,
    500: ScaleInternalError,
    503: ScaleServiceUnavailable,
    504: ScaleTimeoutError,
}
_BY_KIND: dict[OutcomeKind, type[ScaleError]] = {
    OutcomeKind.REFUSED: ScaleInvalidRequest,
    OutcomeKind.NOT_ALLOWED: ScaleForbidden,
    OutcomeKind.THROTTLED: ScaleTooManyRequests,
    OutcomeKind.UNKNOWN: ScaleInternalError,
}


def error_of(reply: Reply, op: str, key: str = "") -> RemoteError:
    """The exception for an answer that is not a success; NotTheApi for a redirect to somewhere else.

    op: the purpose of the call, for the sentence.
    key: what the call was about.
    """
    if is_redirect(reply):
        return NotTheApi(f"{op}: {stray(reply)}", op=op, status=reply.status)
    words = error_text(reply)
    kind = BY_STATUS.get(reply.status) or _BY_KIND[outcome_kind(reply.status, reply.retry_after_s)]
    error = kind(f"{op}: {words}", op=op, status=reply.status, retry_after_s=reply.retry_after_s)
    error.message, error.key = words, key
    if isinstance(error, ScaleDuplicateResource):
        found = TAKEN_BY.search(words)
        error.task_id = found[1] if found else None
    return error
