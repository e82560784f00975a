"""A record as the body of Scale's create call: its fields, project, batch, unique_id."""

from __future__ import annotations

from scalesync.jsonvalue import as_text
from scalesync.model.records import JsonObject


class ScaleShaper:
    """Fields stand at the body's top level; an empty project or batch is left out."""

    def shape(self, fields: JsonObject, *, key: str, project: str | None, batch: str | None) -> JsonObject:
        """The same object, with its place and its unique_id."""
        for name, value in (("project", project), ("batch", batch)):
            if value is None:
                fields.pop(name, None)
            else:
                fields[name] = value
        fields["unique_id"] = key
        return fields

    def rekey(self, body: bytes, before: str, after: str) -> bytes:
        """A unique_id that the record did not bring itself is the body's last field."""
        end = as_text(before).encode() + b"}"
        assert body.endswith(end)
        return body.removesuffix(end) + as_text(after).encode() + b"}"
