"""docs/coverage.md: what there is of Scale's API, and where it is here. Made from code and from what tests called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scalesync.platforms.scale.api import objects
from scalesync.platforms.scale.api.endpoint import Endpoint
from scalesync.platforms.scale.api.table import ENDPOINTS, ROWS
from scalesync.scale import AsyncScaleClient
from tests.cli import test_resources
from tests.scale import facts
from tests.scale.recorder import BY_SDK, methods_of_results, operations

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "coverage.md"
# methods of the SDK that are a second way to a row
SECOND = {
    "tasks": "get_tasks",
    "batches": "get_batches",
    "projects": "get_projects",
    "get_tasks_count": "get_tasks",
    "v2_get_tasks": "v2_get_tasks",
}
HEAD = """# What is covered of Scale's API

Everything that the official SDK, the documentation and the SDK's README know of the API, and where it is here. A test
makes this page of the code and of what it called: the SDK's methods are found in the installed SDK, the methods of the
client and the commands in the table of endpoints. "Tested" names the runs in which the call was made and came back:

- **SDK 1**, **SDK 2** (`tests/scale/test_like_the_sdk.py`, version 1 and version 2): the SDK makes the call, our client
  makes it on a second sandbox, and both requests and both results are equal; with async and without.
- **beyond** (the same file): calls that the SDK does not have, by what they change in the sandbox.
- **terminal** (`tests/cli/test_resources.py`): the command sends each of its options to its place in the request.

"Sandbox" says how the [sandbox](sandbox.md) imitates the call.
"""
GUESSES = "[guesses](sandbox.md#guesses-and-the-switch-for-each)"
READS = "reads what came, without a request"


@dataclass
class Ran:
    """What one run called.

    methods: of the SDK, compared with ours. arguments: of them, where they were typed. rows: of the table, by our
    client. earlier: methods that our client refused before they were sent, as the server would have. results: methods
    of the SDK's results -> the method that they call.
    """

    methods: set[str] = field(default_factory=set)
    arguments: set[tuple[str, str]] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)
    earlier: list[str] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)


def page(ran: Mapping[str, Ran]) -> str:
    """The whole page. Raises KeyError for what has neither a place here nor a reason."""
    parts = [HEAD, *_sdk(ran), *_results(ran), *_endpoints(ran), *_readme(ran)]
    return "\n".join(parts) + "\n"


def _sdk(ran: Mapping[str, Ran]) -> Iterator[str]:
    yield "## Every method of the SDK\n"
    yield from _table("the SDK")
    for name in sorted(operations(), key=lambda name: (name.startswith("v2"), name)):
        row = ENDPOINTS[SECOND[name]] if name in SECOND else BY_SDK[name]
        ours = name if hasattr(AsyncScaleClient, name) else row.name
        yield _line(f"`{name}`", f"`{ours}`", row, _tested(ran, row, name))
    yield ""


def _results(ran: Mapping[str, Ran]) -> Iterator[str]:
    yield "## Every method of what the SDK returns\n"
    yield from _table("the SDK")
    called = {name: method for run in ran.values() for name, method in run.results.items()}
    for name in sorted(methods_of_results()):
        method = called[name]
        if method:
            row = BY_SDK[method]
            yield _line(f"`{name}`", _on_result(name, row), row, _tested(ran, row, method))
        else:
            yield f"| `{name}` | {_reader(name)} | {READS} | {READS} | SDK 1 |"
    yield ""


def _on_result(name: str, row: Endpoint) -> str:
    return f"`{name}`" if name == row.bound else f"`{row.name}`, with the {row.params[0].name}"


def _reader(name: str) -> str:
    """Where a result of ours has what a method of the SDK reads."""
    owner, _, method = name.partition(".")
    if method == "as_dict":
        return "`as_dict`" if owner in NAMES else PLAIN[owner]
    return PLAIN[name]


NAMES = {**objects.CLASSES, "StudioProjectGroup": objects.Group}
PLAIN = {
    "StudioLabelerAssignment": "a plain list, in the mapping `Assignments`",
    "StudioWorker": "a plain object, in `Group.workers`",
    "TaskTemplate.get_response_schema": "the attribute `response_schema`",
    "TaskTemplate.get_template_variables": "the attribute `template_variables`",
    "TaskTemplate.is_auto_onboardable": "the attribute `auto_onboard_enabled`",
}


def _endpoints(ran: Mapping[str, Ran]) -> Iterator[str]:
    yield "## Every endpoint\n"
    yield from _table("the endpoint")
    by_wire = {f"{row.method} {_starred(row.path)}": row for row in ROWS}
    lines = [*facts.ENDPOINTS, *facts.GUESSED]
    known = [" /".join(_parts(line)) for line in lines]
    for line, wire in zip(lines, known, strict=True):
        row = by_wire[wire]
        guess = " (its path is a guess)" if line in facts.GUESSED else ""
        yield _line(f"`{line}`{guess}", f"`{row.name}`", row, _tested(ran, row, row.sdk))
    if more := set(by_wire) - set(known):
        raise KeyError(f"the facts do not know {sorted(more)}")
    for name, reason in facts.NOWHERE.items():
        yield f"| {name} | {reason} | the same | the same | the same |"
    yield ""


def _readme(ran: Mapping[str, Ran]) -> Iterator[str]:
    yield "## Every section of the SDK's README\n"
    yield from _table("the section")
    results = {name: method for run in ran.values() for name, method in run.results.items()}
    for section, about in facts.README.items():
        if about == facts.V2:
            methods: Iterable[str] = [name for name in operations() if name.startswith("v2")]
        elif isinstance(about, str):
            yield f"| {section} | {about} | makes no call | makes no call | makes no call |"
            continue
        else:
            methods = about
        names = [results.get(name) or name for name in methods]
        rows = {(ENDPOINTS[SECOND[name]] if name in SECOND else BY_SDK[name]).name: name for name in names}
        shown = [ENDPOINTS[name] for name in rows]
        if len(shown) > 1:
            yield f"| {section} | all `v2_...` methods | the nouns of version 2 | {_all(shown)} | {_runs(ran, shown)} |"
        else:
            ours = ", ".join(f"`{name}`" for name in dict.fromkeys(methods) if "." not in name)
            yield _line(section, ours, shown[0], _tested(ran, shown[0], names[0]))


def _all(rows: list[Endpoint]) -> str:
    guesses = sum(_sandbox(row).startswith("guess") for row in rows)
    return f"{len(rows)} calls, {guesses} of them with guesses"


def _runs(ran: Mapping[str, Ran], rows: list[Endpoint]) -> str:
    """The runs that called all of them."""
    return ", ".join(sorted(set.intersection(*(set(_tested(ran, row, row.sdk).split(", ")) for row in rows))))


def _table(first: str) -> Iterator[str]:
    yield f"| {first} | client | `scalesync ...` | sandbox | tested |\n|---|---|---|---|---|"


def _line(first: str, client: str, row: Endpoint, tested: str) -> str:
    return f"| {first} | {client} | `{row.flag}` | {_sandbox(row)} | {tested} |"


def _tested(ran: Mapping[str, Ran], row: Endpoint, sdk: str) -> str:
    """The runs that called it. Raises KeyError if there are none."""
    names = [label for label, run in ran.items() if sdk in run.methods or (not row.sdk and row.name in run.rows)]
    names += ["terminal"] if row.flag in AT_THE_TERMINAL else []
    if len(names) < 2:
        raise KeyError(f"{row.name} is not tested in both ways")
    return ", ".join(names)


def _commands_tested() -> frozenset[str]:
    """The commands that the test of all commands gets, from its own parameters."""
    (mark,) = test_resources.test_every_option_of_every_row_reaches_its_place_in_the_request.pytestmark
    return frozenset(row.flag for row in mark.args[1])


AT_THE_TERMINAL = _commands_tested()


def _sandbox(row: Endpoint) -> str:
    """How the sandbox imitates it, as its page says. Raises KeyError for a call that it does not serve."""
    return SANDBOX[f"{row.method} {_starred(row.path)}"]


def _starred(path: str) -> str:
    return re.sub(r"\{\w+\}", "*", path)


def _parts(line: str) -> tuple[str, str]:
    method, _, path = line.partition(" /")
    return method, _starred(path)


def _statements() -> dict[str, str]:
    """call -> what docs/sandbox.md states of it; tests/sandbox compares its lines with what is served."""
    text = (DOCS / "sandbox.md").read_text("utf-8")
    found: dict[str, str] = {}
    before = ""
    for call, words in re.findall(r"^\| `([A-Z]+ /[^`]*)` \| `\w+` \| (.+) \|$", text, re.MULTILINE):
        before = before if words == "the same" else words.replace("the guesses below", GUESSES)
        found[call] = before.replace("](#", "](sandbox.md#")
    return found


SANDBOX = _statements()
