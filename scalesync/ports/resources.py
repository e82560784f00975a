"""A service's own things as commands: what a command line has to know of one call of its API. Pure.

A platform brings its calls as rows of a table. How a call travels is the platform's knowledge alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """How an argument looks, in Python and when it is typed.

    DOCUMENT: an object that people keep in a file.
    """

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    TIME = "time"
    TEXTS = "texts"
    OBJECT = "object"
    DOCUMENT = "document"


class In(StrEnum):
    """Where an argument travels.

    BODY: a member of the JSON object. WHOLE: the whole body. REST: its members are members of the body, beside others.
    FORM: a field of multipart/form-data.
    """

    PATH = "path"
    QUERY = "query"
    BODY = "body"
    WHOLE = "whole"
    REST = "rest"
    FORM = "form"


class Argument(Protocol):
    """One argument of a call.

    words: what it is, for --help.
    needed: the call makes no sense without it.
    choices: all values, where they are known not to grow.
    """

    @property
    def name(self) -> str: ...
    @property
    def words(self) -> str: ...
    @property
    def place(self) -> In: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def needed(self) -> bool: ...
    @property
    def choices(self) -> tuple[str, ...]: ...


class ResourceCall(Protocol):
    """One call.

    noun, verb: of its command.
    words: what it does, one line for --help; `op` for messages: "cancel task".
    named_by: the argument that no two things share, empty if there is none.
    asks: what a person is asked before, empty to ask nothing.
    columns: of the table that people get.
    reads: it changes nothing.
    uploads: it sends a file.
    """

    @property
    def name(self) -> str: ...
    @property
    def noun(self) -> str: ...
    @property
    def verb(self) -> str: ...
    @property
    def words(self) -> str: ...
    @property
    def op(self) -> str: ...
    @property
    def params(self) -> Sequence[Argument]: ...
    @property
    def named_by(self) -> str: ...
    @property
    def is_list(self) -> bool: ...
    @property
    def asks(self) -> str: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def reads(self) -> bool: ...
    @property
    def uploads(self) -> bool: ...
