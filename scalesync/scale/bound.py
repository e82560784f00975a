"""Results that make calls: `task.cancel()`, as in the official SDK."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Self

from scalesync.model.records import JsonObject
from scalesync.platforms.scale.api.objects import CLASSES, Resource


class Bound(Resource):
    """An answer with the client that got it.

    A method that changes the thing, or reads it again, puts what comes into this object and returns it. A copy has the
    same client; what is pickled, for another process, comes back as the plain answer.
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

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(deepcopy(self._fields, memo), self._client)

    def __reduce__(self) -> tuple[type[Resource], tuple[JsonObject]]:
        return CLASSES[type(self).__name__], (self._fields,)
