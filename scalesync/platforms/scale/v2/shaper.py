"""A record as the body of the create call for a chat."""

from __future__ import annotations

from scalesync.jsonvalue import as_text
from scalesync.model.records import JsonObject

KEY = "scalesync_id"  # the member of a task's metadata that holds the key of its record
REMOVED = "scalesync_removed"  # the member that marks a second task, which is about to be canceled


class ChatShaper:
    """Project and batch go by name; the key is the last member of the metadata, which is the last of the body."""

    def shape(self, fields: JsonObject, *, key: str, project: str | None, batch: str | None) -> JsonObject:
        """Add project, batch and key to the fields. Raises ValueError if the metadata have no room for the key."""
        for name in ("project", "batch", "unique_id"):
            fields.pop(name, None)
        _check_places(fields, project=project, batch=batch)
        metadata = fields.pop("metadata", None)
        if metadata is not None and type(metadata) is not dict:
            raise ValueError("metadata is not an object")
        if metadata is not None and metadata.get(KEY, key) != key:
            raise ValueError(f"metadata.{KEY} is where scalesync keeps the unique_id; give the value as unique_id")
        if project is not None:
            fields["project_name"] = project
        if batch is not None:
            fields["batch_name"] = batch
        kept = {name: value for name, value in (metadata or {}).items() if name != KEY}
        fields["metadata"] = {**kept, KEY: key}
        return fields

    def rekey(self, body: bytes, before: str, after: str) -> bytes:
        """Replace the key, which ends the body."""
        end = as_text(before).encode() + b"}}"
        assert body.endswith(end)
        return body.removesuffix(end) + as_text(after).encode() + b"}}"


def _check_places(fields: JsonObject, *, project: str | None, batch: str | None) -> None:
    """Raise ValueError if a record names its place in the words of the wire: look-ups would list another place."""
    for name, chosen in (("project", project), ("batch", batch)):
        if fields.pop(f"{name}_id", None) is not None:
            raise ValueError(f"{name}_id: a record names its {name} by the name, as {name}")
        given = fields.pop(f"{name}_name", None)
        if given is not None and given != chosen:
            raise ValueError(f"{name}_name: its {name} is {chosen or 'none'}; a record names another one as {name}")
