"""Checks the first records of the sources before anything is sent: do they become valid tasks of the type?

Missing columns that a template or expression names are an error if no record has them, unless --max-invalid allows that
many invalid records; missing or unknown fields of a known type are a note, because types are open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import orjson

from scalesync.errors import ConfigError, NoColumn, RecordError
from scalesync.events import Observer
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.runtime.threads import in_daemon
from scalesync.model.records import JsonObject, SourceRecord
from scalesync.model.selection import TaskFields
from scalesync.sources.about import FILE_KEY
from scalesync.sources.registry import format_of
from scalesync.sources.source_file import SourceFile
from scalesync.text import count, did_you_mean, nearest

RECORDS = 100
AGAIN = 10  # records, if the job has run before
SOURCES = 20
SHOWN = 5


@dataclass(slots=True)
class Look:
    """The facts about the first records.

    bodies: bodies of the records that can be sent.
    lacking: the other records, by the column that they lack.
    columns: fields of the records.
    named: fields in the template's `keep` or `json` that a record has.
    like_ids: fields that spell `unique_id` in another way, in records without an id of their own.
    """

    bodies: list[JsonObject] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    like_ids: set[str] = field(default_factory=set)
    lacking: dict[str, NoColumn] = field(default_factory=dict)
    records: int = 0
    usable: int = 0


async def first_look(
    plan: ImportPlan, types: Mapping[str, TaskFields], observer: Observer, *, again: bool = False
) -> None:
    """Read and check the first records.

    types: the known task types.
    Raises ConfigError if none of the records has a named column. In some formats a later record may have it: if
        --max-invalid allows the first records to be invalid, a note names the column instead, and the run counts the
        records without it.
    """
    look = await in_daemon(lambda: _read(plan, AGAIN if again else RECORDS))
    if look.lacking and not look.usable:
        whose = "the first record has no" if look.records == 1 else f"none of the first {look.records:,} records has a"
        most = plan.options.max_invalid
        if most is None or most < look.records:
            more = f", or --max-invalid N from {look.records:,} up where later records have it"
            raise ConfigError(_no_column(whose, look.lacking) + more)
        observer.note(f"{_no_column(whose, look.lacking)}; such records are counted as invalid")
    for note in _not_met(plan, look):
        observer.note(note)
    known = types.get(plan.options.type)
    for note in () if known is None else _field_notes(look, plan.options.type, known):
        observer.note(note)


def _read(plan: ImportPlan, most: int) -> Look:
    look = Look()
    for source in plan.sources[:SOURCES]:
        if look.records >= most or not source.can_repeat:
            break
        before = look.records, look.usable
        lacking: dict[str, NoColumn] = {}
        for record in _records(source, most - look.records):
            _take(plan, record, look, lacking)
        if lacking and look.usable == before[1] and _has_columns(source.name):
            raise ConfigError(_no_column(f"{source.name} has no", lacking))
        look.lacking.update(lacking)
    return look


def _has_columns(name: str) -> bool:
    """Whether all records of a file with this name have the same columns."""
    format = format_of(name)
    return format is not None and format.same_columns


def _records(source: SourceFile, most: int) -> Sequence[SourceRecord]:
    with closing(source.blocks(most)) as blocks:
        block = next(blocks, None)
    return [] if block is None else [place for place in block.records if isinstance(place, SourceRecord)]


def _take(plan: ImportPlan, record: SourceRecord, look: Look, lacking: dict[str, NoColumn]) -> None:
    look.records += 1
    look.columns.update(record.value)
    look.named.update(name for name in _named_fields(plan) if name not in look.named and _has(record, name))
    try:
        built = plan.builder.build(record, 0)
    except NoColumn as error:
        lacking[error.name] = error
    except RecordError:
        look.usable += 1  # the run itself counts records with other errors
    else:
        look.usable += 1
        look.bodies.append(orjson.loads(built.body))
        if "unique_id" not in record.value and plan.options.unique_id is None and plan.template.unique_id is None:
            look.like_ids.update(name for name in record.value if _letters(name) == "uniqueid")


def _letters(name: str) -> str:
    """A name without case, spaces and punctuation."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _no_column(who: str, lacking: dict[str, NoColumn]) -> str:
    name, error = next(iter(lacking.items()))
    near = did_you_mean(name, error.columns) or f" (there is {', '.join(error.columns[:SHOWN]) or 'none'})"
    optional = f'write "{{{name}?}}" where it may be missing'
    return f'{who} column "{name}", which the template, --batch or --unique-id names{near}; {optional}'


def _named_fields(plan: ImportPlan) -> tuple[str, ...]:
    return (*(plan.template.keep or ()), *plan.template.json_columns)


def _has(record: SourceRecord, name: str) -> bool:
    """Whether a record has the field, or one that holds it."""
    outer = name.partition(".")[0]
    return name in record.value or outer in record.value or outer == FILE_KEY


def _not_met(plan: ImportPlan, look: Look) -> Iterator[str]:
    """A sentence for each field that the template keeps or parses but no record has: tasks would lack it."""
    for name in dict.fromkeys(_named_fields(plan)) if look.records else ():
        if name not in look.named:
            kept = name in (plan.template.keep or ())
            key, end = ("keep", "; tasks are made without it") if kept else ("json", "")
            first = "the first record" if look.records == 1 else f"any of the first {look.records:,} records"
            near = did_you_mean(name, look.columns)
            yield f'"{name}", which {key} of the template names, is not in {first}{near}{end}'


def _field_notes(look: Look, type: str, known: TaskFields) -> Iterator[str]:
    """A sentence for each group of missing fields, and one for unknown fields."""
    bodies = look.bodies
    for group in known.required:
        missing = sum(not any(_filled(body.get(name)) for name in group) for body in bodies)
        if missing:
            whose = f"{_so_many(missing, len(bodies))} {'has' if missing == 1 else 'have'}"
            wanted = f"no {' or '.join(group)}, which {type} needs"
            yield f"{whose} {wanted}: such tasks are refused unless the project sets it"
    strange = Counter(name for body in bodies for name in body if name not in known.names)
    if strange:
        told = [_guessed(name, known) for name in list(strange)[:SHOWN]]
        more = f" and {len(strange) - SHOWN:,} more" if len(strange) > SHOWN else ""
        which = "field" if len(strange) == 1 else "fields"
        known_not = f"{type} has no known {which} {', '.join(told)}{more}"
        like_id = next((name for name in strange if name in look.like_ids), None)
        hashed = "" if like_id is None else f'; "{like_id}" is not unique_id, so ids are hashes of the records'
        yield f"{known_not}: the platform may refuse or ignore {'it' if len(strange) == 1 else 'them'}{hashed}"


def _guessed(name: str, known: TaskFields) -> str:
    near = nearest(name, known.names)
    return f'"{name}"' if near is None else f'"{name}" (did you mean {near!r}?)'


def _so_many(number: int, of: int) -> str:
    if of == 1:
        return "the first record"
    every = f"all of the first {of:,} records"
    return every if number == of else f"{number:,} of the first {count(of, 'record')}"


def _filled(value: Any) -> bool:
    return value is not None and value not in ("", [])
