"""The methods of the clients, written from the table of endpoints: `python -m tests.scale.generator` writes the files.

The typed methods of `AsyncScaleClient` come from the rows, those of `Client` from the methods of `AsyncScaleClient`, so
neither has a list of its own. `test_generated` compares the files with what this makes.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from scalesync.platforms.scale.api import (
    batches,
    blueprints,
    deliveries,
    files,
    genai,
    objects,
    people,
    projects,
    tasks,
)
from scalesync.platforms.scale.api.endpoint import Endpoint, In, Kind, Pages, Param

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "scalesync" / "scale"
# module -> (rows, class, what its docstring says)
NOUNS: dict[str, tuple[ModuleType, str, str]] = {
    "tasks": (tasks, "Tasks", "tasks"),
    "batches": (batches, "Batches", "batches"),
    "projects": (projects, "Projects", "projects"),
    "blueprints": (blueprints, "Blueprints", "the blueprints of multi-stage tasks"),
    "files": (files, "Files", "files, and tasks that measure annotators"),
    "people": (people, "People", "teammates, the Studio, and audits"),
    "genai": (genai, "GenAI", "chats (version 2)"),
    "deliveries": (deliveries, "Deliveries", "deliveries and datasets (version 2)"),
}
BY_HAND = {"upload_file"}
# class of a result with methods -> the argument of a row that says what the call is about, and where the result has it
ABOUT = {
    "Task": ("task_id", "self.task_id"),
    "Batch": ("batch_name", "self.name"),
    "Project": ("project_name", "self.name"),
    "Teammate": ("emails", "[self.email]"),
}
TYPES = {
    Kind.TEXT: "str",
    Kind.NUMBER: "int",
    Kind.FLAG: "bool",
    Kind.TIME: "str | datetime",
    Kind.TEXTS: "str | Sequence[str]",
    Kind.OBJECT: "Mapping[str, Any]",
    Kind.DOCUMENT: "Mapping[str, Any]",
}
IMPORTS = {
    "Mapping": "collections.abc",
    "Sequence": "collections.abc",
    "datetime": "datetime",
    "PathLike": "os",
    "Any": "typing",
    "BinaryIO": "typing",
    "Literal": "typing",
    **dict.fromkeys(objects.CLASSES, "scalesync.platforms.scale.api.objects"),
    **dict.fromkeys(ABOUT, "scalesync.scale.methods.results"),
    "Base": "scalesync.scale.base",
    "Blocking": "scalesync.scale.base",
    "BlockingListing": "scalesync.scale.listing",
    "Envelope": "scalesync.scale.listing",
    "Listing": "scalesync.scale.listing",
    "Bound": "scalesync.scale.bound",
    "Self": "typing",
}
# where the results are that those without async are made with
OWN = dict.fromkeys(ABOUT, "scalesync.scale.blocking.results")
NOTE = "# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file."


def type_of(param: Param) -> str:
    if param.choices and param.kind is Kind.TEXT:
        return f"Literal[{', '.join(map(repr, param.choices))}]"
    return TYPES[param.kind]


def is_open(param: Param) -> bool:
    """Whether the members of the body are the caller's own keyword arguments."""
    return param.place is In.REST and not param.needed


def signature(params: Iterable[Param], *, paged: bool) -> str:
    params = list(params)
    needed = [f"{param.name}: {type_of(param)}" for param in params if param.needed]
    left = [param for param in params if not param.needed and not is_open(param)]
    needed += [f"{param.name}: {type_of(param)} | None = None" for param in left if param.placed]
    optional = [f"{param.name}: {type_of(param)} | None = None" for param in left if not param.placed]
    if paged:
        optional += ["limit: int | None = None", "cursor: str | None = None"]
    rest = [f"**{param.name}: Any" for param in params if is_open(param)]
    return ", ".join(["self", *needed, *(["*"] if optional else []), *optional, *rest])


def docstring(words: str, params: Iterable[Param], row: Endpoint, *, paged: bool) -> str:
    lines = [f"{param.name}: {param.words}{'' if param.words.endswith('.') else '.'}" for param in params]
    lines += [f"Give {' or '.join(group)}." for group in row.any_of]
    if paged:
        lines += ["limit: how many in all.", "cursor: of an earlier list with the same filters, to continue there."]
    first = words[0].upper() + words[1:] + "."
    return f'"""{first}"""' if not lines else '"""' + "\n        ".join([first, "", *lines, '"""'])


def method(row: Endpoint) -> Iterator[str]:
    paged = row.is_list and row.pages is not Pages.NONE
    given = "{" + ", ".join(f'"{param.name}": {param.name}' for param in row.params) + "}"
    result, call = _result(row, paged, given)
    yield f"    {'' if paged else 'async '}def {row.name}({signature(row.params, paged=paged)}) -> {result}:"
    yield f"        {docstring(row.words, row.params, row, paged=paged)}"
    yield f"        return {call}"
    yield ""


def _result(row: Endpoint, paged: bool, given: str) -> tuple[str, str]:
    if paged:
        return f"Listing[{row.returns}]", f'self._listing("{row.name}", {row.returns}, {given}, cursor, limit)'
    if row.is_list:
        return f"list[{row.returns}]", f'await self._objects("{row.name}", {row.returns}, {given})'
    if row.returns:
        return row.returns, f'await self._object("{row.name}", {row.returns}, {given})'
    if row.redirects:
        return "str", f'str(await self._value("{row.name}", {given}))'
    return "Any", f'await self._value("{row.name}", {given})'


def count(row: Endpoint) -> Iterator[str]:
    """The method that counts what a list has."""
    params = [param for param in row.params if param.name not in {"page_size", "limited_response"}]
    given = "{" + ", ".join(f'"{param.name}": {param.name}' for param in params) + "}"
    yield f"    async def {row.name}_count({signature(params, paged=False)}) -> int:"
    yield f"        {docstring('count the tasks that fit, with one request', params, row, paged=False)}"
    yield f'        return await self._total("{row.name}", {given})'
    yield ""


def methods_module(noun: str) -> str:
    rows, name, about = NOUNS[noun]
    body = [f"class {name}(Base):", f'    """Calls about {about}."""', ""]
    for row in rows.ROWS:
        if row.name in BY_HAND:
            continue
        body += method(row)
        if row.name == "get_tasks":
            body += count(row)
    return module(f"Calls about {about}, as methods.", body)


def results_module(*, blocking: bool) -> str:
    """The classes of results whose methods make calls."""
    body = []
    for name in ABOUT:
        body += [f"class {name}(Bound, objects.{name}):", f'    """{inspect.getdoc(objects.CLASSES[name])}"""', ""]
        for noun, _, _ in NOUNS.values():
            for row in noun.ROWS:
                owner, _, called = row.bound.partition(".")
                if owner == name:
                    body += bound_method(row, called, blocking=blocking)
    if blocking:
        members = ", ".join(f'"{name}": {name}' for name in ABOUT)
        body += [f"CLASSES: dict[str, type[Bound]] = {{{members}}}"]
    title = "Results whose methods make calls" + (" without async." if blocking else ".")
    return module(title, body, OBJECTS, ["from scalesync.platforms.scale.api import objects"])


OBJECTS = dict.fromkeys(objects.CLASSES, "scalesync.platforms.scale.api.objects")


def bound_method(row: Endpoint, name: str, *, blocking: bool) -> Iterator[str]:
    owner = row.bound.partition(".")[0]
    about, here = ABOUT[owner]
    params = [param for param in row.params if param.name != about]
    passed = ", ".join(f"{param.name}={param.name}" if not is_open(param) else f"**{param.name}" for param in params)
    given = f"{about}={here}" + (f", {passed}" if passed else "")
    call = f"{'' if blocking else 'await '}self._client.{row.name}({given})"
    yield f"    {'' if blocking else 'async '}def {name}({signature(params, paged=False)}) -> {_given_back(row)}:"
    yield f"        {docstring(row.words, params, row, paged=False)}"
    if row.returns == owner and not row.is_list:
        yield f"        return self._hold({call})"
    else:
        yield f"        found: {_given_back(row)} = {call}"
        yield "        return found"
    yield ""


def _given_back(row: Endpoint) -> str:
    if row.is_list:
        return f"list[{row.returns}]"
    return "Self" if row.returns == row.bound.partition(".")[0] else row.returns or "Any"


def blocking_module(noun: str) -> str:
    home = "scalesync.scale.by_hand" if noun == "by_hand" else f"scalesync.scale.methods.{noun}"
    (kind,) = [each for each in vars(import_module(home)).values() if inspect.isclass(each) and each.__module__ == home]
    body = [f"class {kind.__name__}(Blocking):", f'    """`{home}.{kind.__name__}` without async."""', ""]
    for name, function in vars(kind).items():
        if not name.startswith("_") and inspect.isfunction(function):
            body += twin(name, function)
    return module(f"The methods of `{home}` without async.", body, OWN)


def twin(name: str, function: object) -> Iterator[str]:
    assert inspect.isfunction(function)
    found = inspect.signature(function)
    kinds = inspect.Parameter
    written, passed = ["self"], []
    starred = False
    for each in list(found.parameters.values())[1:]:
        if each.kind is kinds.VAR_KEYWORD:
            written.append(f"**{each.name}: {each.annotation}")
            passed.append(f"**{each.name}")
            continue
        if each.kind is kinds.KEYWORD_ONLY and not starred:
            written.append("*")
            starred = True
        written.append(
            f"{each.name}: {each.annotation}" + ("" if each.default is each.empty else f" = {each.default!r}")
        )
        passed.append(f"{each.name}={each.name}" if starred else each.name)
    result = str(found.return_annotation).replace("Listing[", "BlockingListing[")
    call = f"self._client.{name}({', '.join(passed)})"
    lists = result.startswith("BlockingListing[")
    yield f"    def {name}({', '.join(written)}) -> {result}:"
    yield f'        """{inspect.getdoc(function).splitlines()[0]}"""'
    if lists or not OWN.keys() & set(re.findall(r"\w+", result)):
        yield f"        return self.{'_listed' if lists else '_wait'}({call})"
    else:
        yield f"        found: {result} = self._own({call})"
        yield "        return found"
    yield ""


def module(title: str, body: list[str], homes_of: Mapping[str, str] | None = None, imports: Iterable[str] = ()) -> str:
    """A whole module. homes_of: where names come from, before IMPORTS. imports: lines that it has beside."""
    known = {**IMPORTS, **(homes_of or {})}
    made_here = set(re.findall(r"^class (\w+)", "\n".join(body), re.MULTILINE))
    code = "\n".join(body)
    bare = re.sub(r'""".*?"""', "", code, flags=re.DOTALL)
    homes: dict[str, list[str]] = {}
    for name in sorted(set(re.findall(r"(?<!objects\.)\b[A-Za-z]\w*\b", bare)) & known.keys() - made_here):
        homes.setdefault(known[name], []).append(name)
    lines = [*imports, *(f"from {home} import {', '.join(names)}" for home, names in homes.items())]
    parts = [f'"""{title}"""', NOTE, "from __future__ import annotations", "\n".join(lines), code]
    return "\n\n".join(parts) + "\n"


def generated() -> Iterator[tuple[Path, str]]:
    """Every file, and what it has to hold, as `make format` leaves it."""
    yield from _formatted({f"{folder}/results.py": results_module(blocking=folder == "blocking") for folder in FOLDERS})
    yield from _methods()
    yield from _formatted({f"blocking/{noun}.py": blocking_module(noun) for noun in [*NOUNS, "by_hand"]})


FOLDERS = ("methods", "blocking")


def _methods() -> Iterator[tuple[Path, str]]:
    return _formatted({f"methods/{noun}.py": methods_module(noun) for noun in NOUNS})


def _formatted(made: dict[str, str]) -> Iterator[tuple[Path, str]]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in made.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text, "utf-8")
        ruff = Path(sys.executable).with_name("ruff")
        for command in (["check", "--select", "I", "--fix"], ["format"]):
            subprocess.run([ruff, *command, "--quiet", "--config", ROOT / "pyproject.toml", folder], check=True)
        yield from ((HOME / file, (folder / file).read_text("utf-8")) for file in made)


def main() -> None:
    for path, text in generated():  # the methods first: those without async are made of what they then are
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
