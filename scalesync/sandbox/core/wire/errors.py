"""The one error that an emulated API raises: a status and a text."""

from __future__ import annotations


class ApiError(Exception):
    """Ends a request with `status`; the platform writes `text` in an envelope of its own (`App.refusal`)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text
