"""A blueprint from its JSON. What is wrong with its shape is found in one go; what its stages say is for `graph`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from scalesync.sandbox.core.wire.rawjson import loads
from scalesync.sandbox.scale.multistage import wire
from scalesync.sandbox.scale.multistage.plan import Condition, Plan, Stage

NOTHING: Any = object()


@lru_cache(maxsize=256)
def plan_of(body: bytes) -> Plan:
    """The plan of a blueprint that was checked before."""
    return read(loads(body), [])


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at the name that was probably meant; empty if none is near."""
    found = difflib.get_close_matches(word, list(known), 1)
    return f'; did you mean "{found[0]}"?' if found else ""


def read(value: dict[str, Any], wrong: list[str]) -> Plan:
    """The plan of a blueprint; `wrong` gets a sentence for everything that has not the right shape."""
    _no_others(value, (*wire.BLUEPRINT_MEMBERS, *wire.OWN), "the blueprint", wrong)
    name = _name(value, "the blueprint", wrong)
    delivery = value.get(wire.DELIVERY, wire.BY_TASK)
    if delivery not in wire.DELIVERIES:
        words = " or ".join(f'"{word}"' for word in wire.DELIVERIES)
        wrong.append(f'"{wire.DELIVERY}" must be {words}{nearest(str(delivery), wire.DELIVERIES)}')
    listed = value.get(wire.STAGES)
    if not isinstance(listed, list) or not listed or not all(isinstance(item, dict) for item in listed):
        wrong.append(f'"{wire.STAGES}" must be a list of one or more objects')
        listed = []
    return Plan(name, delivery == wire.BY_STAGE, tuple(_stage(item, n, wrong) for n, item in enumerate(listed, 1)))


def _stage(item: dict[str, Any], number: int, wrong: list[str]) -> Stage:
    name = _name(item, f"stage {number}", wrong)
    where = f'stage "{name}"' if name else f"stage {number}"
    _no_others(item, wire.STAGE_MEMBERS, where, wrong)
    if not isinstance(item.get(wire.PARAMETERS, {}), dict):
        wrong.append(f'{where}: "{wire.PARAMETERS}" must be an object')
    labels, attributes = _taxonomy(item, where, wrong)
    return Stage(
        name,
        tuple(dict.fromkeys(_texts(item, wire.AFTER, where, wrong))),
        labels,
        attributes,
        _conditions(item.get(wire.WHEN, []), where, wrong),
    )


def _taxonomy(
    item: dict[str, Any], where: str, wrong: list[str]
) -> tuple[tuple[str, ...], dict[str, tuple[Any, ...] | None]]:
    taxonomy = item.get(wire.TAXONOMY)
    if not isinstance(taxonomy, dict) or not taxonomy:
        wrong.append(f'{where} has no "{wire.TAXONOMY}": an object with the "{wire.LABELS}" that the stage adds')
        return (), {}
    labels = [_plain(label) for label in _list(taxonomy.get(wire.LABELS))]
    if wire.LABELS in taxonomy and not (labels and all(isinstance(label, str) and label for label in labels)):
        wrong.append(f'{where}: "{wire.LABELS}" of the taxonomy must be a list of one or more names')
    attributes = taxonomy.get(wire.ATTRIBUTES, {})
    if not isinstance(attributes, dict):
        wrong.append(f'{where}: "{wire.ATTRIBUTES}" of the taxonomy must be an object')
        attributes = {}
    return tuple(str(label) for label in labels), {name: _choices(value) for name, value in attributes.items()}


def _choices(settings: Any) -> tuple[Any, ...] | None:
    choices = settings.get(wire.CHOICES) if isinstance(settings, dict) else None
    return tuple(_plain(choice) for choice in choices) if isinstance(choices, list) else None


def _plain(item: Any) -> Any:
    return item.get(wire.CHOICE) if isinstance(item, dict) else item


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _conditions(value: Any, where: str, wrong: list[str]) -> tuple[Condition, ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        wrong.append(f'{where}: "{wire.WHEN}" must be a list of objects')
        return ()
    return tuple(found for item in value if (found := _condition(item, where, wrong)) is not None)


def _condition(item: dict[str, Any], where: str, wrong: list[str]) -> Condition | None:
    _no_others(item, wire.CONDITION_MEMBERS, f"a condition of {where}", wrong)
    stage, attribute = item.get(wire.STAGE), item.get(wire.ATTRIBUTE)
    given = [word for word in (wire.HAS, wire.HAS_NOT) if word in item]
    if not isinstance(stage, str) or not isinstance(attribute, str) or len(given) != 1:
        form = f'"{wire.STAGE}", "{wire.ATTRIBUTE}" and either "{wire.HAS}" or "{wire.HAS_NOT}"'
        wrong.append(f"a condition of {where} needs {form}")
        return None
    value = item[given[0]]
    if value is None or isinstance(value, dict | list):
        wrong.append(f"a condition of {where} compares with one value, a text, a number, true or false")
        return None
    return Condition(stage, attribute, value, given[0] == wire.HAS)


def _name(item: dict[str, Any], where: str, wrong: list[str]) -> str:
    name = item.get(wire.NAME)
    if isinstance(name, str) and name.strip() and _storable(name):
        return name
    wrong.append(f'{where} has no "{wire.NAME}": a text that is not empty')
    return ""


def _storable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # a lone surrogate, which has no UTF-8 form
        return False
    return True


def _texts(item: dict[str, Any], member: str, where: str, wrong: list[str]) -> list[str]:
    value = item.get(member, [])
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    wrong.append(f'{where}: "{member}" must be a list of names of stages')
    return []


def _no_others(item: dict[str, Any], known: Sequence[str], where: str, wrong: list[str]) -> None:
    for member in item:
        if member not in known:
            wrong.append(f'{where} has an unknown member "{member}"{nearest(member, known)}')
