"""The body of a create call: the template first, the record's fields over it, and the values of --set over both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scalesync.errors import ConfigError, RecordError
from scalesync.jsonvalue import dumps, kind
from scalesync.mapping.expressions import MISSING, Expression, Field, number_text
from scalesync.mapping.identity import CONTENT_BYTES, content_hash, derived_unique_id
from scalesync.mapping.overlay import merge, nest
from scalesync.mapping.template import Template
from scalesync.model.records import Former, JsonObject, Outgoing, SourceRecord
from scalesync.model.targets import DEFAULT_PLATFORM
from scalesync.ports.spec import Shaper
from scalesync.sources.about import FILE_KEY, of_file, picked, taken_in

_PLACES = ("project", "batch")
_LENT = frozenset({"type", *_PLACES})  # names for expressions, also if the record has no such column
MOST_SHAPES = 1024  # bounds the memory if each record has other columns


@dataclass(frozen=True, slots=True)
class BodySpec:
    """How an import builds bodies from its records. batch and unique_id may hold placeholders; project may not.

    sets: the values of --set, nested; a key with dots nests too.
    force: project, batch and what `named` holds replace a record's own.
    named: fields that hold a name, with the one that records without it get; an empty one is left out.
    one_project: a record of another project is invalid, because its key would be looked up in this one.
    """

    type: str
    project: str | None = None
    batch: str | None = None
    unique_id: str | None = None
    template: Template = Template.EMPTY
    sets: JsonObject = field(default_factory=dict)
    force: bool = False
    named: Mapping[str, str | None] = field(default_factory=dict)
    platform: str = DEFAULT_PLATFORM
    one_project: bool = False


class BodyBuilder:
    """Builds bodies. Raises ConfigError at once for settings that fail with every record."""

    def __init__(self, spec: BodySpec, shaper: Shaper) -> None:
        self.spec = spec
        self._shaper = shaper
        self._template = spec.template
        self._keep = None if spec.template.keep is None else [Field(name, False) for name in spec.template.keep]
        sets: JsonObject = {}
        for name, value in spec.sets.items():
            sets = merge(sets, nest(name, value))
        if "unique_id" in sets:
            raise ConfigError("--set cannot give every record the same unique_id; use --unique-id with a column")
        self._project = spec.project if spec.project is not None else sets.pop("project", None)
        batch = spec.batch if spec.batch is not None else sets.pop("batch", None)
        for place in _PLACES:
            sets.pop(place, None)
        self._batch = None if batch is None else _expression(batch, "--set batch" if spec.batch is None else "--batch")
        self._sets = sets
        expression = spec.unique_id if spec.unique_id is not None else spec.template.unique_id
        where = "--unique-id" if spec.unique_id is not None else "unique_id of the template"
        self._unique_id = None if expression is None else _expression(expression, where)
        if self._unique_id is not None and not self._unique_id.names:
            raise ConfigError(f'{where} "{expression}" names no column: all records would have the same id')
        names = {*(self._unique_id.names if self._unique_id else ()), *(self._batch.names if self._batch else ())}
        self._of_file = of_file(names | spec.template.names | set(spec.template.keep or ()))
        self._lends = bool(names & _LENT)
        self._borrows = self._unique_id is not None and not any(map(self._moves, self._unique_id.names))
        self._shapes: dict[tuple[str, ...], int] = {}

    def _moves(self, name: str) -> bool:
        """Whether a field of an expression may differ between records, also if no record has a column of that name."""
        if name not in _LENT:
            return True
        own = self._template.as_mapping()["task"].get(name)
        named = [*(Expression(own).names if type(own) is str else ())]
        if name == "batch" and self._batch is not None:
            named += self._batch.names
        return not _LENT.issuperset(named)

    @property
    def names_file(self) -> bool:
        """Whether something of a body or its key comes from the file of a record."""
        return bool(self._of_file)

    def build(self, record: SourceRecord, source: int) -> Outgoing:
        """The create call for one record.

        Raises RecordError with the reason in one sentence, and ConfigError for a reason that holds for all records.
        """
        template = self._template
        own, about = record.value, record.about
        if FILE_KEY in own:  # a field of the record; an earlier release may have written it from the folder
            own, about = taken_in(own)
        decoded = template.decode(own) if template.json_columns else own
        value = decoded if about is None else self._seen(decoded, about)
        filled = template.fill(value)
        kept = self._kept(decoded, value)
        fields = merge(filled, kept) if filled else kept
        if self._sets:
            fields = merge(fields, self._sets)
        for named, given in self.spec.named.items():
            if given is not None and (self.spec.force or (not kept.get(named) and named not in self._sets)):
                fields[named] = given
            elif fields.get(named) in (None, ""):
                fields.pop(named, None)
        project = self._project_of(filled, kept)
        batch = self._batch_of(filled, kept, self._lend(value, project, None))
        former = None
        try:
            alone = own if own or about is None else {FILE_KEY: about}  # without own fields: the file's description
            derived = content = content_hash(project, self.spec.type, alone, self.spec.platform)
            if about is not None and own and self._of_file:
                told = {**own, FILE_KEY: picked(about, self._of_file)}
                content = content_hash(project, self.spec.type, told, self.spec.platform)
            key = self._key(self._lend(value, project, batch), value, derived)
            body = self._shaper.shape(fields, key=key, project=project, batch=batch)
            data = dumps(body)
            name = b"" if batch is None else batch.encode()
            old = None if self._unique_id is None else self._old_key(self._lend(value, project, batch), value)
            if about is not None or FILE_KEY in own or record.before is not None:
                former = self._former(record, project, content, key == derived_unique_id(derived), name)
        except ValueError as error:
            raise RecordError(str(error)) from None
        content += name
        if old is not None:
            former = Former(content if former is None else former.content, old)
        outgoing = Outgoing(
            key, content, data, source, record.line, project, batch, self._shape_of(body), former=former
        )
        if record.about is not None:
            outgoing.inside = record.about["path"], record.inner
        return outgoing

    def known_as(self, record: Outgoing, known: Mapping[str, tuple[Any, bytes]]) -> None:
        """Give a record the key and content under which an older version wrote it to the ledger.

        known: what the ledger holds for these keys, including the keys in `former`.

        An older version counted the place of a record's file as part of its content, and so of its derived id. It also
        wrote 7.0 for 7 into the ids of expressions.
        """
        former = record.former
        if former is None:
            return
        if former.key is not None and former.key in known:
            record.body = self._shaper.rekey(record.body, record.key, former.key)
            record.key = former.key
        if record.key in known and known[record.key][1][:CONTENT_BYTES] == former.content[:CONTENT_BYTES]:
            record.content = former.content

    def batch_of(self, record: SourceRecord) -> str | None:
        """The batch of a record that `build` refuses; None if its batch is unknown too."""
        template = self._template
        own, about = record.value, record.about
        if FILE_KEY in own:
            own, about = taken_in(own)
        own = template.salvage(own)
        value = self._seen(own, about)
        try:
            places = {place: template.fill_one(place, value) for place in _PLACES}
            filled = {place: found for place, found in places.items() if found is not MISSING}
            kept = self._kept(own, value)
            project = self._project_of(filled, kept)
            return self._batch_of(filled, kept, self._lend(value, project, None))
        except RecordError:
            return None

    def _shape_of(self, body: JsonObject) -> int:
        """A number for the set of the body's fields; -1 after MOST_SHAPES sets."""
        fields = tuple(body)
        shape = self._shapes.get(fields, -1)
        if shape < 0 and len(self._shapes) < MOST_SHAPES:
            shape = self._shapes[fields] = len(self._shapes)
        return shape

    def _seen(self, record: JsonObject, about: JsonObject | None) -> JsonObject:
        """The record for the expressions: with the description of its file, if one of them names it."""
        return {**record, FILE_KEY: about} if about is not None and self._of_file else record

    def _former(
        self, record: SourceRecord, project: str | None, content: bytes, derived: bool, batch: bytes
    ) -> Former | None:
        """The record in the form of an older version: `_file` was part of the content, and the size of the file only if
        the record had nothing else.
        """
        whole = record.value if record.before is None else record.before
        told = record.about or whole.get(FILE_KEY)
        if type(told) is dict:
            whole = {**whole, FILE_KEY: told}
            if len(whole) > 1:
                whole[FILE_KEY] = {part: value for part, value in told.items() if part != "size"}
        former = content_hash(project, self.spec.type, whole, self.spec.platform)
        if former == content:
            return None
        return Former(former + batch, derived_unique_id(former) if derived else None)

    def _kept(self, own: JsonObject, record: JsonObject) -> JsonObject:
        """The record's own fields for the body, in a new object.

        record: the record for the expressions.
        """
        if self._keep is None:
            return own.copy()
        kept: JsonObject = {}
        for wanted in self._keep:
            found = wanted.find(record)
            if found is not MISSING:
                flat = wanted.name in record
                kept = merge(kept, {wanted.name: found} if flat else nest(wanted.name, found))
        return kept

    def _project_of(self, filled: JsonObject, kept: JsonObject) -> str | None:
        own = kept.get("project") or None
        given = self._project
        if given is None or (own is not None and not self.spec.force):
            given = own if own is not None else filled.get("project")
        name = _place_name(given, "project")
        if self.spec.one_project and name != self.spec.project:
            raise RecordError(f"its project is {name}, and a job here has one project: {self.spec.project}")
        return name

    def _batch_of(self, filled: JsonObject, kept: JsonObject, lent: JsonObject) -> str | None:
        own = kept.get("batch") or None
        given = None
        if self._batch is not None and (own is None or self.spec.force):
            given = self._batch.fill(lent)
            if given is MISSING:
                given = None
        if given is None:
            given = own if own is not None else filled.get("batch")
        return _place_name(given, "batch")

    def _key(self, record: JsonObject, own: JsonObject, content: bytes) -> str:
        """The unique_id: the record's own, else the value of the expression, else derived from the content.

        own: the record without the fields that `_lend` adds.
        Raises ConfigError if all records would have the same one.
        """
        if "unique_id" in record:
            return _name(record["unique_id"], "unique_id")
        if self._unique_id is not None:
            if self._borrows and not any(name in own for name in self._unique_id.names):
                text = self._unique_id.text
                raise ConfigError(
                    f'--unique-id "{text}" names no column of this record: all records like it would have one id'
                )
            return _name(self._unique_id.fill(record), "unique_id")
        return derived_unique_id(content)

    def _old_key(self, record: JsonObject, own: JsonObject) -> str | None:
        """The expression's value in an older version, which wrote a whole float as 7.0."""
        if self._unique_id is None or "unique_id" in own:
            return None
        return self._unique_id.formerly(record)

    def _lend(self, record: JsonObject, project: str | None, batch: str | None) -> JsonObject:
        """The record with type, project and batch, if an expression names them and the record has no such column."""
        if not self._lends:
            return record
        lent = {"type": self.spec.type, "project": project, "batch": batch}
        return {**{key: value for key, value in lent.items() if value is not None}, **record}


def _place_name(value: Any, place: str) -> str | None:
    return None if value is None else _name(value, place)


def _name(value: Any, what: str) -> str:
    if type(value) is str and value:
        return value
    if type(value) is int or (type(value) is float and value.is_integer()):
        return number_text(value)
    if value is MISSING or value is None or value == "":
        raise RecordError(f"{what} is empty")
    raise RecordError(f"{what} is {kind(value)}, not a string")


def _expression(text: Any, what: str) -> Expression:
    if type(text) is not str:
        raise ConfigError(f"{what} is {kind(text)}; give a string")
    if not text:
        raise ConfigError(f"{what} is empty; give a string or leave it out")
    try:
        return Expression(text)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from None
