"""Stop if nothing can work: hold the first records if all are refused with one message, instead of failing them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

_T = TypeVar("_T")

_LONGEST = 2000
# The field in a message, in the form of validators. It distinguishes kinds of refusals; a quoted value does not.
_FIELD = r"[A-Za-z_][A-Za-z0-9_.\[\]-]{0,60}"
_NAMED = re.compile(
    rf"""["'`](?P<subject>{_FIELD})["'`](?=\ (?:is\ (?:required|missing|not\ allowed|unknown)|must\ |may\ not\ be))"""
    rf"""|(?<=\bmissing\ )["'`](?P<missing>{_FIELD})["'`]|(?<=\bfield\ )["'`](?P<field>{_FIELD})["'`]"""
    rf"""|(?<=\bparameter\ )["'`](?P<parameter>{_FIELD})["'`]""",
    re.VERBOSE,
)
# What is no more than a word, and what comes before one that is an id.
_WORD = re.compile(r"[A-Za-z][a-z]*(?:_[a-z]+)*")
_ANNOUNCED = r"(\b(?:unique_id|id|key|task|record)s?\b[\s:=]{1,3})"
# Names that end in digits, and single bytes and characters: none of them is a number that differs by record.
_NAME = (
    r"(?<![A-Za-z0-9])(?:"
    r"(?:cp|ibm|windows|utf|ucs|iso|latin|koi8|sha|base|md|mp|u?int|float)[-_]?\d{1,5}(?:[-_](?:\d{1,4}|[lb]e|sig))*"
    r"|(?:ISO|RFC)\ \d{4}|h26[45]|koi8[-_][ru]"
    r"|0x[0-9a-f]{1,4}|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|u\+[0-9a-f]{4,6}"
    r")(?![A-Za-z0-9])"
)
# In this order: what is found first is not looked into again.
_VARIABLE: Sequence[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = (
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>]+", re.IGNORECASE), "<url>"),
    (re.compile(r'"[^"]*"|`[^`]*`|(?<!\w)\'[^\']*\'(?!\w)|[\u201c][^\u201d]*[\u201d]'), "<text>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?:0x)?(?=[a-f]*[0-9])[0-9a-f]{8,}\b", re.IGNORECASE), "<id>"),
    (re.compile(rf"(?P<name>{_NAME})|\d+(?:[.,:]\d+)*", re.IGNORECASE), lambda found: found["name"] or "<n>"),
    (re.compile(r"\s+"), " "),
)


def normalise_message(text: str, key: str | None = None) -> str:
    """The message without what differs from record to record, to distinguish kinds of failures.

    URLs become <url>, quoted strings <text> unless they name the field that the message is about, UUIDs and hex ids
    <id>, numbers <n>. What only looks like a number stays: a name (cp1252, UTF-8), an escaped byte (0xff).

    key: the record's unique_id, replaced by <id> where it stands unquoted. One that is a plain word may be any word of
        the message, and the one that matters: it is replaced only behind what announces an id. Messages are cut to
        2,000 characters first.
    """
    text = text[:_LONGEST]
    if key and key in text:
        text = _without(key, text)
    text = _NAMED.sub(lambda found: found[0] if (name := str(found[found.lastgroup or 0])) == key else name, text)
    for pattern, mark in _VARIABLE:
        text = pattern.sub(mark, text)
    return text.strip()


def _without(key: str, text: str) -> str:
    """The text with <id> where the key stands by itself: a short one may be part of any word."""
    if _WORD.fullmatch(key):
        return re.sub(rf"{_ANNOUNCED}{re.escape(key)}(?!\w)", r"\g<1><id>", text)
    first, *rest = text.split(key)
    made = first
    for part in rest:
        alone = not made[-1:].isalnum() and not part[:1].isalnum()
        made += ("<id>" if alone else key) + part
    return made


class FirstRefusals(Generic[_T]):
    """Holds definite refusals back while there is nothing else and all have one message.

    Feed refusals and successes in order; the results are released, to be recorded. The first success, or a second kind
    of message, releases everything and ends the holding for good. `limit` refusals of one kind trip the guard: then
    held records stay held, because they were never decided.
    """

    __slots__ = ("_held", "_limit", "_message", "_open", "_tripped")

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._held: list[_T] = []
        self._message: str | None = None
        self._open = False
        self._tripped = False

    @property
    def held(self) -> tuple[_T, ...]:
        """What is held back now, in order."""
        return tuple(self._held)

    @property
    def is_open(self) -> bool:
        """True once something other than refusals of one kind came: nothing is held any longer."""
        return self._open

    @property
    def tripped(self) -> bool:
        """True once `limit` refusals of one message came, and nothing else before them."""
        return self._tripped

    def refused(self, item: _T, message: str, key: str | None = None) -> list[_T]:
        """A definite refusal with the platform's message.

        key: the record's unique_id if known.
        """
        if self._open:
            return [item]
        kind = normalise_message(message, key)
        self._held.append(item)
        if self._tripped or self._message in (None, kind):
            self._message = self._message or kind
            self._tripped = self._tripped or len(self._held) >= self._limit
            return []
        self._open = True
        return self._emptied()

    def succeeded(self) -> list[_T]:
        """A record was accepted."""
        if self._open or self._tripped:
            return []
        self._open = True
        return self._emptied()

    def flush(self) -> list[_T]:
        """At the end of the input: release what is held; nothing when the guard tripped."""
        return [] if self._tripped else self._emptied()

    def _emptied(self) -> list[_T]:
        released, self._held = self._held, []
        return released
