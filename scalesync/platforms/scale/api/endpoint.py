"""What a row of the table of endpoints says, and the request that it makes of a call's arguments. Pure.

The wire has oddities in several places, and each stands here once: names in paths are quoted whole, because a batch may
be called `a/b`; truth values are written `true` and `false`, which the server reads in both spellings; lists are
repeated keys, but reviews are one value with commas; some bodies are bare arrays and bare objects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from scalesync.errors import ConfigError
from scalesync.model.targets import RequestClass
from scalesync.ports.resources import In, Kind
from scalesync.text import did_you_mean

__all__ = ["PAGE_SIZE", "Again", "Endpoint", "In", "Kind", "Pages", "Param", "Request", "path_of", "request_of"]

PAGE_SIZE = (1, 100)  # what the API gives at once; beyond it some servers refuse and some give less


class Again(StrEnum):
    """What may be done when a request went out and no answer came.

    SAFE: send it again. NAMED: send it again if the argument `named_by` is given; a 409 then asks for the thing of
    that name. ONCE: nothing, the caller has to look.
    """

    SAFE = "safe"
    NAMED = "named"
    ONCE = "once"


class Pages(StrEnum):
    """How a list continues: by what its last page says, by counting, or not at all."""

    CURSOR = "cursor"
    OFFSET = "offset"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Param:
    """One argument of an endpoint.

    name: in Python, and as an option with dashes.
    words: what it is, for --help.
    wire: its name in the request; empty for the same.
    needed: the request makes no sense without it.
    joined: several values are one, with commas between them.
    wrapped: each of several values is an object with this one member.
    sends_null: the body holds null where it is left out, as the official SDK has it.
    placed: in Python it may be given by its place although it is optional, as in the README of the official SDK.
    choices: all values, where they are known not to grow.
    within: the least and the most of a number, where both are known.
    ready: what is sent of a value; raises ValueError with what is wrong with it.
    """

    name: str
    words: str
    place: In = In.QUERY
    kind: Kind = Kind.TEXT
    wire: str = ""
    needed: bool = False
    joined: bool = False
    wrapped: str = ""
    sends_null: bool = False
    placed: bool = False
    choices: tuple[str, ...] = ()
    within: tuple[int, int] | None = None
    ready: Callable[[Any], Any] | None = None

    @property
    def key(self) -> str:
        """Its name in the request."""
        return self.wire or self.name


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of the API.

    name: of the client's method, the official SDK's where it has one.
    noun, verb: of the command `scalesync scale NOUN VERB`.
    words: what it does, one line for --help; `op` for messages: "cancel task".
    path: below the API root of its version, with {names} of its PATH arguments.
    any_of: groups of arguments. At least one of each group has to be given; the SDK may give the id and the name.
    named_by: the argument that no two things share: what is looked up after an attempt without an answer.
    returns: the class of the result, by its name in `objects`; of an item, for lists. Empty: whatever comes back.
    docs: the member of a list's answer that holds the items; empty for a bare array.
    redirects: the answer is the address that a redirect names.
    asks: what a person is asked before, because money or people are concerned; empty to ask nothing.
    columns: of the table that people get.
    bound: the same as a method of a result: `Task.cancel`. The result says what the call is about.
    sdk: the official SDK's method; empty where it has none.
    facts: where its wire is described.
    """

    name: str
    noun: str
    verb: str
    words: str
    op: str
    method: str
    path: str
    params: tuple[Param, ...] = ()
    any_of: tuple[tuple[str, ...], ...] = ()
    version: str = "v1"
    request: RequestClass = RequestClass.LIST
    again: Again = Again.SAFE
    named_by: str = ""
    returns: str = ""
    is_list: bool = False
    pages: Pages = Pages.NONE
    docs: str = ""
    redirects: bool = False
    asks: str = ""
    columns: tuple[str, ...] = ()
    bound: str = ""
    sdk: str = ""
    facts: str = ""
    known: Mapping[str, Param] = field(init=False, repr=False, compare=False)
    parts: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # once for each row, because every call needs them
        object.__setattr__(self, "known", {param.name: param for param in self.params})
        object.__setattr__(self, "parts", tuple(_parts(self.path)))
        paths = {param.name for param in self.params if param.place is In.PATH}
        if paths != {name for _, name in self.parts if name}:
            raise ValueError(f"{self.name}: the path {self.path} does not fit its arguments")

    @property
    def flag(self) -> str:
        """The command behind `scalesync`."""
        return f"scale {self.noun} {self.verb}"

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"

    @property
    def twins(self) -> tuple[tuple[str, str], ...]:
        """Pairs of arguments that name one thing, by its id and by its name."""
        stems = (name.removesuffix("_id") for name in self.known if name.endswith("_id"))
        return tuple((f"{stem}_id", f"{stem}_name") for stem in stems if f"{stem}_name" in self.known)

    @property
    def uploads(self) -> bool:
        """Whether it sends a file beside its arguments."""
        return any(param.place is In.FORM for param in self.params)


class Request(NamedTuple):
    """What goes out. path: below the host's root for v2, below the API root for v1; fields: of a form."""

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    body: bytes | None
    fields: Mapping[str, str]


def request_of(endpoint: Endpoint, arguments: Mapping[str, Any], shown: Callable[[str], str] = str) -> Request:
    """The request of a call. Arguments that are None are as if they were left out.

    shown: the name of an argument in messages, where it is not the one of Python.

    Raises ConfigError for a name that the endpoint does not have, for one that is missing, and for a value that cannot
    be sent, before anything leaves.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    _check(endpoint, given, shown)
    query: list[tuple[str, str]] = []
    members: dict[str, Any] = {}
    fields: dict[str, str] = {}
    whole: Any = None
    has_body = False
    for param in endpoint.params:
        has_body = has_body or param.place in {In.BODY, In.REST}
        if param.name not in given:
            if param.sends_null and param.place is In.BODY:
                members[param.key] = None
            continue
        value = _checked(endpoint, param, given[param.name], shown)
        match param.place:
            case In.QUERY:
                query.extend(_pairs(param, value))
            case In.BODY:
                members[param.key] = [{param.wrapped: item} for item in value] if param.wrapped else _plain(value)
            case In.REST:
                members.update(value)
            case In.FORM:
                fields[param.key] = _json(endpoint, value).decode() if param.kind is Kind.OBJECT else _text(value)
            case In.WHOLE:
                whole = dict(value) if isinstance(value, Mapping) else value
            case In.PATH:
                pass  # below
    body = _json(endpoint, whole) if whole is not None else _json(endpoint, members) if has_body else None
    return Request(endpoint.method, path_of(endpoint, given), query, body, fields)


def _json(endpoint: Endpoint, value: Any) -> bytes:
    try:
        written = orjson.dumps(value)
        if b"null" in written:  # orjson writes it for NaN and infinities as well
            json.dumps(value, allow_nan=False, default=str)
    except TypeError:  # orjson writes no integers beyond 64 bits
        written = b""
    except ValueError:
        raise ConfigError(f"{endpoint.op}: an argument holds NaN or an infinity, which JSON cannot hold") from None
    try:
        return written or json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{endpoint.op}: an argument cannot be written as JSON: {error}") from None


def path_of(endpoint: Endpoint, given: Mapping[str, Any]) -> str:
    """The path with its arguments in place, quoted whole: a name may hold a slash."""
    return "".join([before + (quote(given[name], safe="") if name else "") for before, name in endpoint.parts])


def _parts(path: str) -> Iterator[tuple[str, str]]:
    """(text, name of the argument behind it) of each part; the last one has no name."""
    rest = path
    while rest:
        before, brace, rest = rest.partition("{")
        name, _, rest = rest.partition("}") if brace else ("", "", "")
        yield before, name


def _check(endpoint: Endpoint, given: Mapping[str, Any], shown: Callable[[str], str]) -> None:
    known = endpoint.known
    for name in given:
        if name not in known:
            raise ConfigError(f"{endpoint.op}: there is no argument {name!r}{did_you_mean(name, known)}")
    missing = [shown(param.name) for param in endpoint.params if param.needed and param.name not in given]
    if missing:
        raise ConfigError(f"{endpoint.op}: {', '.join(missing)} must be given")
    for group in endpoint.any_of:
        if not any(name in given for name in group):
            raise ConfigError(f"{endpoint.op}: give {' or '.join(map(shown, group))}")


def _checked(endpoint: Endpoint, param: Param, value: Any, shown: Callable[[str], str]) -> Any:
    wrong = _wrong(param, value)
    if wrong:
        raise ConfigError(f"{endpoint.op}: {shown(param.name)} {wrong}")
    if param.kind is Kind.TEXTS:
        return [str(item) for item in ([value] if isinstance(value, str) else value)]
    if param.ready is None:
        return value
    try:
        return param.ready(value)
    except ValueError as error:
        raise ConfigError(f"{endpoint.op}: {error}") from None


def _wrong(param: Param, value: Any) -> str:
    """What is wrong with the value of an argument, empty if nothing is."""
    match param.kind:
        case Kind.TEXT if not isinstance(value, str):
            return f"must be text, not {type(value).__name__}"
        case Kind.TEXT if not _is_unicode(value):
            return "holds half of a surrogate pair, which cannot be sent"
        case Kind.TEXT if param.place is In.PATH and value in {"", ".", ".."}:
            return f"must be a name, not {value!r}"  # the path would be another one
        case Kind.NUMBER if isinstance(value, bool) or not isinstance(value, int):
            return f"must be a whole number, not {value!r}"
        case Kind.NUMBER if param.within is not None and not param.within[0] <= value <= param.within[1]:
            return f"must be from {param.within[0]} to {param.within[1]}, not {value}"
        case Kind.FLAG if not isinstance(value, bool):
            return f"must be True or False, not {value!r}"
        case Kind.TIME if not isinstance(value, str | datetime):
            return f"must be a time, not {type(value).__name__}"
        case Kind.OBJECT | Kind.DOCUMENT if not isinstance(value, Mapping):
            return f"must be an object, not {type(value).__name__}"
        case Kind.TEXTS:
            items = [value] if isinstance(value, str) else value
            if not isinstance(items, Sequence | set | frozenset) or not all(isinstance(item, str) for item in items):
                return "must be a list of strings"
            if not all(map(_is_unicode, items)):
                return "holds half of a surrogate pair, which cannot be sent"
            value = next((item for item in items if param.choices and item not in param.choices), "")
    if param.choices and value and value not in param.choices:
        return f"must be one of {', '.join(param.choices)}, not {value!r}"
    return ""


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _pairs(param: Param, value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        yield param.key, _text(value)
    elif param.joined:
        yield param.key, ",".join(value)
    else:
        yield from ((param.key, item) for item in value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(_plain(value))


def _plain(value: Any) -> Any:
    """A time as the API writes them, everything else as it is. Without a zone it is UTC, as the API reads it."""
    if not isinstance(value, datetime):
        return value
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
