"""Which list of version 2 an export reads: `--with list=tasks|deliveries|dataset`, `--with dataset=ID_OR_NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from scalesync.errors import ConfigError
from scalesync.ports.spec import Option, Reading

LISTS = ("tasks", "deliveries", "dataset")
CHATS, DELIVERIES, DATASET = LISTS

_WORDS = {
    CHATS: ("the chats of a project or batch as they are now", "list=tasks"),
    DELIVERIES: ("what was delivered of a project", "list=deliveries"),
    DATASET: ("the tasks of a dataset", "dataset=ID_OR_NAME"),
}
_NO_TAGS = "does not work with API v2: its tasks have no tags"
_NO_REVIEW = "does not work with API v2: its tasks have no review status"
_NO_TYPE = "does not work with API v2: its tasks have no type; a project decides about that of its chats"
_EVERYWHERE = {"tags": _NO_TAGS, "review_status": _NO_REVIEW, "type": _NO_TYPE}
_BY_DELIVERY = "; use the time of delivery, which is that of --updated-after, --updated-before and --by updated"
_AS_DELIVERED = {
    "batch": "does not work with deliveries: what they list names no batch; --with list=tasks knows it",
    "status": "does not work with deliveries: all that is delivered was completed; leave it out",
    "completed_after": f"does not work with deliveries: they do not show a time of completion{_BY_DELIVERY}",
    "completed_before": f"does not work with deliveries: they do not show a time of completion{_BY_DELIVERY}",
}
_NO_CREATION = f"does not work with datasets: their tasks have no time of creation{_BY_DELIVERY}"
_NO_CHANGE = "does not work with chats: they do not show when they changed; use the time of completion or creation"
_REFUSED: Mapping[str, Mapping[str, str]] = {
    CHATS: {
        "updated_after": _NO_CHANGE,
        "updated_before": _NO_CHANGE,
    },
    DELIVERIES: _AS_DELIVERED,
    DATASET: {
        **{name: why.replace("deliveries:", "datasets:") for name, why in _AS_DELIVERED.items()},
        "project": "does not work with datasets: a dataset belongs to no project; leave it out",
        "created_after": _NO_CREATION,
        "created_before": _NO_CREATION,
    },
}


class Choice(NamedTuple):
    """The list that is read; dataset: its id or name."""

    list: str
    dataset: str | None


def chosen(extras: Mapping[str, Any]) -> Choice:
    """The list that the options choose. Raises ConfigError if they exclude each other, or name no dataset."""
    dataset = extras.get("dataset")
    wanted = extras.get("list") or (DATASET if dataset else CHATS)
    if dataset and wanted != DATASET:
        raise ConfigError(f"--with dataset={dataset} reads a dataset, --with list={wanted} does not; leave one out")
    if wanted == DATASET and not dataset:
        raise ConfigError(
            "--with list=dataset needs its dataset: add --with dataset=ID_OR_NAME; `scalesync scale datasets list`"
            " shows all"
        )
    return Choice(wanted, dataset)


def reading(extras: Mapping[str, Any]) -> Reading:
    """What an export reads. Raises ConfigError as `chosen`."""
    choice = chosen(extras)
    typed = {"dataset": choice.dataset} if choice.dataset else {"list": choice.list} if choice.list != CHATS else {}
    this = f"the tasks of dataset {choice.dataset}" if choice.dataset else _WORDS[choice.list][0]
    others = [f"{words} (--with {option})" for name, (words, option) in _WORDS.items() if name != choice.list]
    return Reading(
        typed=typed,
        words=f"reading {this}; API v2 also lists {' and '.join(others)}",
        refuses={**_EVERYWHERE, **_REFUSED[choice.list]},
        unseen=frozenset({"project"}) if choice.list == DELIVERIES else frozenset(),
        stays=frozenset({"batch"}),
    )


def _one_of(text: str) -> str:
    if text not in LISTS:
        raise ValueError(f"takes one of {', '.join(LISTS)}")
    return text


def _named(text: str) -> str:
    if not text.strip():
        raise ValueError("takes the id or the name of a dataset")
    return text


OPTIONS: Mapping[str, Option] = {
    "list": Option("what an export reads: tasks, deliveries or dataset [tasks]", _one_of),
    "dataset": Option("the dataset that an export reads, by id or name", _named),
}
