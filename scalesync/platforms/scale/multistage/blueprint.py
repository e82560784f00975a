"""A blueprint as a value, read from what a JSON or TOML file held. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scalesync.jsonvalue import as_text, kind
from scalesync.platforms.scale.multistage import wire
from scalesync.text import did_you_mean, either

Say = Callable[[str], None]

NO_PART_OF_A_PATH = (".", "..")  # they would lead to another address


@dataclass(frozen=True, slots=True)
class Condition:
    """A stage runs only if some annotation of another stage has, or none has, this value of an attribute."""

    stage: str
    attribute: str
    value: Any
    holds: bool  # False: no annotation has it


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage.

    after: the stages that must be finished or skipped before.
    labels: of its taxonomy.
    attributes: of its taxonomy, each with its choices; None where they are not limited.
    """

    name: str
    after: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[Any, ...] | None] | None = None
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The stages of tasks, their order, and how answers are delivered."""

    name: str
    delivery: str
    stages: tuple[Stage, ...]


def read(value: Any, say: Say) -> Blueprint:
    """The blueprint in a JSON value, without what cannot be used of it.

    say: gets a sentence for each member that is wrong, missing or unknown.
    """
    if not isinstance(value, Mapping):
        say(f"a blueprint is an object, not {kind(value)}")
        return Blueprint("", wire.WITH_TASK, ())
    _strangers("the blueprint", value, (*wire.OF_BLUEPRINT, *wire.ADDED), say)
    name = _name(value.get(wire.NAME), "the blueprint", say)
    if name in NO_PART_OF_A_PATH:
        say(f"the blueprint: {name!r} cannot be its name, as no address can hold it")
    delivery = value.get(wire.DELIVERY, wire.WITH_TASK)
    if delivery not in wire.DELIVERIES:
        near = did_you_mean(str(delivery), wire.DELIVERIES)
        say(f"{wire.DELIVERY} is {either(map(repr, wire.DELIVERIES))}, not {shown(delivery)}{near}")
        delivery = wire.WITH_TASK
    stages = value.get(wire.STAGES)
    if not isinstance(stages, list) or not stages:
        say(f"{wire.STAGES} must be a list with a stage in it")
        stages = []
    return Blueprint(name, delivery, tuple(_stages(stages, say)))


def _stages(stages: list[Any], say: Say) -> Iterator[Stage]:
    for number, stage in enumerate(stages, start=1):
        if not isinstance(stage, Mapping):
            say(f"stage {number} is {kind(stage)}, not an object")
            continue
        name = _name(stage.get(wire.NAME), f"stage {number}", say)
        what = f"stage {name!r}" if name else f"stage {number}"
        _strangers(what, stage, wire.OF_STAGE, say)
        if not isinstance(stage.get(wire.PARAMETERS, {}), Mapping):
            say(f"{what}: {wire.PARAMETERS} is {kind(stage[wire.PARAMETERS])}, not an object")
        after = _list(stage, wire.AFTER, what, say)
        if any(not isinstance(other, str) for other in after):
            say(f"{what}: {wire.AFTER} must be a list of names of stages")
        labels, attributes = _taxonomy(stage, what, say)
        yield Stage(
            name,
            tuple(dict.fromkeys(other for other in after if isinstance(other, str))),
            labels,
            attributes,
            tuple(_conditions(_list(stage, wire.WHEN, what, say), what, say)),
        )


def _taxonomy(stage: Mapping[str, Any], what: str, say: Say) -> tuple[tuple[str, ...], Mapping[str, Any] | None]:
    """Labels and attributes of a stage's taxonomy. It may hold more, which is nobody's business here."""
    taxonomy = stage.get(wire.TAXONOMY)
    if not isinstance(taxonomy, Mapping) or not taxonomy:
        say(f"{what} has no {wire.TAXONOMY}: say which {wire.LABELS} people may give in it")
        return (), None
    labels = []
    for label in _list(taxonomy, wire.LABELS, f"{what}, {wire.TAXONOMY}", say):
        found = _plain(label)
        if isinstance(found, str) and found:
            labels.append(found)
        else:
            say(f"{what}: a label is a name, or an object with a {wire.CHOICE}, not {shown(label)}")
    if wire.LABELS in taxonomy and not taxonomy[wire.LABELS]:
        say(f"{what}: its {wire.TAXONOMY} has no {wire.LABELS}")
    attributes = taxonomy.get(wire.ATTRIBUTES)
    if attributes is not None and not isinstance(attributes, Mapping):
        say(f"{what}: {wire.ATTRIBUTES} of its {wire.TAXONOMY} is {kind(attributes)}, not an object")
        attributes = None
    return tuple(labels), {name: _choices(told) for name, told in (attributes or {}).items()}


def _choices(attribute: Any) -> tuple[Any, ...] | None:
    choices = attribute.get(wire.CHOICES) if isinstance(attribute, Mapping) else None
    return tuple(map(_plain, choices)) if isinstance(choices, list) else None


def _plain(item: Any) -> Any:
    """A label or a choice, which may also be an object that holds it."""
    return item.get(wire.CHOICE) if isinstance(item, Mapping) else item


def shown(value: Any) -> str:
    """A JSON value in a sentence: text in the quotes of all names here, everything else as JSON has it."""
    return repr(value) if isinstance(value, str) else as_text(value)


def _conditions(conditions: list[Any], what: str, say: Say) -> Iterator[Condition]:
    for condition in conditions:
        if not isinstance(condition, Mapping):
            say(f"{what}: a condition is an object, not {kind(condition)}")
            continue
        _strangers(f"{what}: a condition", condition, wire.OF_CONDITION, say)
        stage, attribute = condition.get(wire.IF_STAGE), condition.get(wire.IF_ATTRIBUTE)
        asked = [name for name in (wire.IF_HAS, wire.IF_HAS_NOT) if name in condition]
        if not isinstance(stage, str) or not isinstance(attribute, str) or len(asked) != 1:
            say(
                f"{what}: a condition names a {wire.IF_STAGE} and an {wire.IF_ATTRIBUTE}, and what it"
                f" {wire.IF_HAS} or {wire.IF_HAS_NOT}"
            )
            continue
        value = condition[asked[0]]
        if isinstance(value, dict | list) or value is None:
            say(f"{what}: a condition compares with one value, not with {kind(value)}")
            continue
        yield Condition(stage, attribute, value, asked[0] == wire.IF_HAS)


def _list(members: Mapping[str, Any], name: str, what: str, say: Say) -> list[Any]:
    value = members.get(name, [])
    if isinstance(value, list):
        return value
    say(f"{what}: {name} is {kind(value)}, not a list")
    return []


def _name(value: Any, what: str, say: Say) -> str:
    if isinstance(value, str) and value.strip():
        return value
    say(
        f"{what} has no {wire.NAME}"
        if value in (None, "")
        else f"{what}: its {wire.NAME} is not a name: {shown(value)}"
    )
    return ""


def _strangers(what: str, members: Mapping[str, Any], known: Collection[str], say: Say) -> None:
    for name in members:
        if name not in known:
            say(f"{what} has an unknown member {name!r}{did_you_mean(str(name), known)}")
