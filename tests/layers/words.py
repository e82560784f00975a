"""Scale's words, and where they may stand outside of its packages. `python -m tests.layers.words` lists the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.layers.picture import ROOT, name_of

HOMES = ("platforms.scale", "sandbox.scale", "scale")


class Word(NamedTuple):
    """A word of Scale's. may: modules or packages where it may stand; reason: why there."""

    name: str
    pattern: str
    may: tuple[str, ...]
    reason: str


WORDS = (
    Word(
        "task_id",
        r"\btask_ids?\b",
        (
            *("ledger.sqlite", "model.exports", "model.jobs", "ports.verify_ledger"),
            *("outputs.reader", "outputs.encoders.parquet", "outputs.fields", "sources.places.written"),
            *(
                "flows.exports.select",
                "flows.exports.missing_files",
                "flows.exports.result_files",
                "flows.exports.parts",
            ),
            *("flows.exports.folder.read_back", "flows.exports.compact", "flows.exports.checks"),
            "flows.changes.targets.folder",
            *("flows.imports.conflicts", "flows.jobs.status", "flows.verify", "flows.runtime.options"),
            *("cli.commands.verify", "cli.commands.failures", "cli.commands.apply"),
        ),
        "a column of the ledger and a member of our own files and JSON since the first version: it stays for every"
        " platform, and holds the platform's id",
    ),
    Word("next_token", r"\bnext_token\b", ("sandbox.core.faults",), "an example of a cursor"),
    Word("customer_review_status", r"customer_review_status", (), ""),
    Word("the host", r"scale\.com", (), ""),
    Word(
        "environment variables",
        r"\bSCALE_[A-Z]",
        ("cli.options", "cli.commands.sandbox", "demo.killed_import"),
        "shown to people",
    ),
    Word("the spelling of keys", r"[\"'](?:test|live)_", ("demo.inputs",), "the demo runs on the sandbox of Scale"),
    Word("Rapid", r"\bRapid\b", (), ""),
    Word("statuses", r"[\"'](?:canceled|staging)[\"']", (), ""),
    Word(
        "the name of the service",
        r"\bScale\b|[\"']scale[\"']",
        ("platforms.registry", "sandbox", "model.targets", "ledger.sqlite.schema"),
        "what there is, and whose all rows, names and hashes are from before there were several",
    ),
)


class Place(NamedTuple):
    """A word where it may not stand."""

    word: str
    module: str
    line: int
    text: str


def is_within(module: str, packages: tuple[str, ...]) -> bool:
    """Whether a module is one of these, or lies in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def places(words: tuple[Word, ...] = WORDS) -> Iterator[Place]:
    """Every word of Scale's outside of its packages and of where it may stand."""
    for path in sorted(ROOT.rglob("*.py")):
        module = name_of(path)
        if is_within(module, HOMES):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        for word in words:
            if not is_within(module, word.may):
                found = re.compile(word.pattern)
                yield from (
                    Place(word.name, module, number, line.strip())
                    for number, line in enumerate(lines, 1)
                    if found.search(line)
                )


def unused(words: tuple[Word, ...] = WORDS) -> Iterator[tuple[str, str]]:
    """Exceptions that nothing needs any more: (word, module)."""
    texts = {name_of(path): path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}
    for word in words:
        for allowed in word.may:
            if not any(
                is_within(module, (allowed,)) and re.search(word.pattern, text) for module, text in texts.items()
            ):
                yield word.name, allowed


if __name__ == "__main__":
    for place in places():
        print(f"{place.word:24} {Path(place.module)}:{place.line}  {place.text}")  # noqa: T201  a list for people
