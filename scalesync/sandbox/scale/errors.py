"""The one error the imitated API raises: a status and a text, as the wire carries them."""

from __future__ import annotations

import json

import orjson

NO_SUCH_TASK = "Task with that ID not found."
NO_SUCH_KEY = "Your API key does not correspond to a registered user."


class ApiError(Exception):
    """Ends a request with `status` and the body `{"status_code", "error"}`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text

    @property
    def body(self) -> bytes:
        """The JSON body, UTF-8."""
        return error_body(self.status, self.text)


def error_body(status: int, text: str) -> bytes:
    """Scale's error envelope. Source: Scale docs: Errors; recorded replies of 2016 and 2019."""
    body = {"status_code": status, "error": text}
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:  # a lone surrogate, quoted from the client
        return json.dumps(body, separators=(",", ":")).encode()


def bad(reason: str) -> ApiError:
    """A 400 in the wording of Scale's parameter check. Source: official SDK README."""
    return ApiError(400, f"Parameter is invalid, reason: {reason}")
