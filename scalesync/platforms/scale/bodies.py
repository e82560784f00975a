"""A record as the body of Scale's create call: its fields, project, batch, unique_id."""

from __future__ import annotations

from scalesync.jsonvalue import as_text
from scalesync.model.records import JsonObject


class ScaleShaper:
    """Fields are at the top level of the body, without an empty project or batch."""

    def shape(self, fields: JsonObject, *, key: str, project: str | None, batch: str | None) -> JsonObject:
        """Add project, batch and unique_id to the fields; returns the same object."""
        for name, value in (("project", project), ("batch", batch)):
            if value is None:
                fields.pop(name, None)
            else:
                fields[name] = value
        fields["unique_id"] = key
        return fields

    def rekey(self, body: bytes, before: str, after: str) -> bytes:
        """Replace the unique_id in the bytes of a body. A generated unique_id is the last field of its body."""
        end = as_text(before).encode() + b"}"
        assert body.endswith(end)
        return body.removesuffix(end) + as_text(after).encode() + b"}"
