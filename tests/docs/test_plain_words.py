"""Documents, help, messages and comments stay in plain English: words that were replaced do not come back.

`REPLACED` lists each as a pattern, with what to say in its place; a space in it stands for any white space, so a phrase
is found across the end of a line. `ALLOWED` holds the few places where such a word is right, with the reason.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .console import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = sorted((ROOT / "scalesync").rglob("*.py"))

# pattern, what to say in its place
REPLACED = {
    r"\banew\b": "again",
    r"\bthereby\b": "so, and",
    r"\bin vain\b": "without success",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b(end|ends|ended|ending) with (code )?[0-3]\b": "exit with code 2",
    r"\bfor want of\b": "without",
    r"\bwhich lies?\b": "leave it out, or: is",
    r"(?<!there\s)\b(is|are|was|were) no (?!longer|more\b)": "is not a",
    r"(?<!\.)\btold\b": "reported, said",
    r"(?<![.`])\btells?\b(?!`)": "says, reports, shows",
    r"\blies (in|on|at|beside|beneath|below|outside)\b": "is in",
    r"\bof which\b": "two sentences, or: with",
    r"\bany more\b": "no longer",
    r"\bas far as\b": "if, up to",
    r"\bas such\b": "leave it out",
    r"\bfor (it|there|they|that) (is|are|has|have|was|were)\b": "because",
    r"\bwithout a word\b": "silently",
    r"\bverdicts?\b": "outcome, comparison",
    r"(?<!`)\bsettle[sdr]?\b(?![`:])": "finish, record, resolve",
    r"(?<!set\s)\basides?\b(?!:)": "other record",
    r"\bslices\b": "partitions",
    r"\b(doubts|judge[sd]?|lessor|mishaps?)\b(?!:)": "in doubt, compare, slot source, task error",
    r"\btexts\b": "strings",
    r"\bso many\b": "that many, N",
    r"\bgo(es)? on\b": "continue, resume",
    r"\b(carry|carries|carried) on\b": "resume",
    r"\bpass(ed|es|ing)? over\b": "skip",
    r"\bwhoever\b": "name who",
    r"\bcannot be told\b": "is unknown",
    r"\btaken? away\b": "remove",
    r"\bso that (it|they|he|she) (is|are|was|were)\b": "so it is, because",
    r"\bto go on with\b": "that continues",
    r"\bgone on with\b": "continued, resumed",
    r"\bas good as\b": "almost, like",
    r"\bstands? in\b": "is in, replaces",
    r"\brehears\w*": "dry run",
    r"\bbeginnings\b": "checkpoints, first records",
    r"\blet go of\b": "close, release",
    r"\bnothing that counts\b": "no data",
    r"\ball else\b": "everything else",
    r"\bwhatever becomes\b": "whatever happens",
    r"\bwhat became of\b": "outcome",
}
# (file, phrase): reason
ALLOWED: dict[tuple[str, str], str] = {}


def compiled(table: dict[str, str]) -> list[tuple[re.Pattern[str], str]]:
    """The patterns, with white space of any kind in the place of each space."""
    return [(re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE), instead) for pattern, instead in table.items()]


PATTERNS = compiled(REPLACED)


@dataclass(frozen=True, slots=True)
class Words:
    """A text that people read, and its place.

    line: of its first character, from 1.
    """

    file: str
    line: int
    text: str


def words_of_page(page: Path) -> Iterator[Words]:
    """The whole page."""
    yield Words(page.relative_to(ROOT).as_posix(), 1, page.read_text("utf-8"))


def words_of_module(path: Path) -> Iterator[Words]:
    """Comments, and strings that hold a space: messages, help, docstrings. A value in an f-string reads as `{}`."""
    file, source = path.relative_to(ROOT).as_posix(), path.read_text("utf-8")
    yield from comments_of(file, source)
    inside: set[ast.AST] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            inside |= set(node.values)
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            text = node.value
        else:
            continue
        if " " in text:
            yield Words(file, node.lineno, text)


def comments_of(file: str, source: str) -> Iterator[Words]:
    """Each comment; comments on successive lines are one text."""
    lines: list[str] = []
    first = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if lines and token.start[0] != first + len(lines):
            yield Words(file, first, "\n".join(lines))
            lines = []
        first = first if lines else token.start[0]
        lines.append(token.string.lstrip("# "))
    if lines:
        yield Words(file, first, "\n".join(lines))


def complaints(words: Words) -> Iterator[str]:
    """Each replaced word in the text, with its place and what to say instead."""
    for pattern, instead in PATTERNS:
        for found in pattern.finditer(words.text):
            phrase = " ".join(found[0].split())
            if (words.file, phrase) not in ALLOWED:
                line = words.line + words.text.count("\n", 0, found.start())
                yield f"{words.file}:{line}: '{phrase}'; say: {instead}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documents_are_in_plain_words(page: Path) -> None:
    found = [complaint for words in words_of_page(page) for complaint in complaints(words)]
    assert not found, "\n".join(found)


def test_help_messages_docstrings_and_comments_are_in_plain_words() -> None:
    found = [complaint for path in MODULES for words in words_of_module(path) for complaint in complaints(words)]
    assert not found, "\n".join(found)


def test_every_exception_is_still_needed() -> None:
    texts = {words.file: "" for path in PAGES for words in words_of_page(path)}
    for words in [*map(next, map(words_of_page, PAGES)), *(each for path in MODULES for each in words_of_module(path))]:
        texts[words.file] = texts.get(words.file, "") + " ".join(words.text.split()) + "\n"
    unused = [key for key in ALLOWED if key[1] not in texts.get(key[0], "")]
    assert not unused


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ('"""Docstrings\n\n    begin anew."""', "anew"),
        ("def f() -> None:\n    raise ValueError(f'{f} cannot be mended')", "mended"),
        ("help = 'the run ends with 2'", "ends with 2"),
        ("help = f'{help} is no JSON'", "is no"),
        ("help = 1  # of which nothing is left", "of which"),
        ("# the pages that were passed\n# over before\nhelp = 1", "passed over"),
    ],
)
def test_a_replaced_word_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, phrase: str) -> None:
    monkeypatch.setattr("tests.docs.test_plain_words.ROOT", tmp_path)
    module = tmp_path / "module.py"
    module.write_text(text, "utf-8")
    found = [complaint for words in words_of_module(module) for complaint in complaints(words)]
    assert len(found) == 1
    assert f"'{phrase}'" in found[0]
