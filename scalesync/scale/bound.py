"""Results that make calls: `task.cancel()`, as in the official SDK."""

from __future__ import annotations

from typing import Any, Self

from scalesync.model.records import JsonObject
from scalesync.platforms.scale.api.objects import Resource


class Bound(Resource):
    """An answer with the client that got it.

    A method that changes the thing, or reads it again, puts what comes into this object and returns it.
    """

    def __init__(self, fields: JsonObject, client: Any) -> None:
        super().__init__(fields)
        self._client = client

    @classmethod
    def of(cls, fields: JsonObject, client: Any) -> Self:
        """An answer that `client` got."""
        return cls(fields, client)

    def _hold(self, came: Resource) -> Self:
        self._fields = came.as_dict()
        return self

    def __copy__(self) -> Self:
        return type(self)(dict(self._fields), self._client)
