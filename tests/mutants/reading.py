"""Mutants of the readers of lines and arrays, of folders and globs, and of what stays unread when an import resumes."""

from __future__ import annotations

from tests.mutants.model import Edit, Mutant

READING = ("tests/reading/test_matrix.py",)
PROMISE = "nothing is lost from the first byte on"
RECORDS = "scalesync/records"


def _mutant(name: str, file: str, old: str, new: str, first: tuple[str, ...] = READING) -> Mutant:
    return Mutant(f"reading: {name}", PROMISE, (Edit(file, old, new),), first)


def _resumed(name: str, file: str, old: str, new: str) -> Mutant:
    return _mutant(name, file, old, new, ("tests/flows/test_import_beginnings.py", *READING))


READING_MUTANTS = (
    # --- lines
    _mutant(
        "a last line without a newline is dropped",
        f"{RECORDS}/jsonlines.py",
        "        if not self._carried:\n            return\n",
        "        if self._stream.damage is None:\n            return\n",
    ),
    _mutant(
        "a blank line counts as a record",
        f"{RECORDS}/jsonlines.py",
        "    elif not is_blank(line):\n",
        "    else:\n",
    ),
    _mutant(
        "lines end at U+2028 as well",
        f"{RECORDS}/jsonlines.py",
        "            lines = piece.split(self._newline)\n",
        '            lines = piece.replace("\\u2028".encode(), self._newline).split(self._newline)\n',
    ),
    _mutant(
        "the place of a line leaves blank lines out",
        f"{RECORDS}/jsonlines.py",
        "        for line in batch:\n            number += 1\n",
        "        for line in batch:\n            number += bool(line.strip())\n",
    ),
    # --- arrays, and objects that follow each other
    _mutant(
        "elements that are no objects are passed over",
        f"{RECORDS}/jsonarray.py",
        '            yield replace(item, line=number, reason=f"{item.reason} (line {item.line})")\n',
        "            continue\n",
    ),
    _mutant(
        "an element's place is its line",
        f"{RECORDS}/jsonarray.py",
        "            yield SourceRecord(number, item.value)\n",
        "            yield item\n",
    ),
    _mutant(
        "an element that the data ends behind is forgotten",
        f"{RECORDS}/jsonarray.py",
        "    byte = split.peek()\n    if not array or byte in (-1, 0x5D):\n        return\n    if byte == 0x2C:\n",
        "    byte = split.peek()\n    if not array or byte in (-1, 0x5D):\n        split.pos = len(split.buffer)\n"
        "        return\n    if byte == 0x2C:\n",
    ),
    # --- folders and globs
    _mutant(
        "a file of a folder is begun where the one before it ended",
        f"{RECORDS}/sources.py",
        "    inner = Progress()  # the file's own",
        "    inner = progress  # the file's own",
    ),
    _mutant(
        "a folder is read from its last name to its first",
        f"{RECORDS}/folders.py",
        "entries = sorted(found, key=_by_name)",
        "entries = sorted(found, key=_by_name, reverse=True)",
    ),
    _mutant(
        "links to files are passed over in a folder",
        f"{RECORDS}/folders.py",
        "elif entry.is_symlink() and entry.is_dir():",
        "elif entry.is_symlink():",
    ),
    _mutant(
        "a file that is reached by two names is read twice",
        f"{RECORDS}/sources.py",
        "        if passed.meets((info.st_dev, info.st_ino), name):\n            return\n        carries",
        "        carries",
    ),
    _mutant(
        "a pattern of any depth takes the first folder only",
        f"{RECORDS}/globs.py",
        '        yield from _match(base, rest or ["*"], passed)\n',
        '        yield from _match(base, rest or ["*"], passed)\n        if base.count("/") > 5:\n            return\n',
    ),
    # --- resuming
    _resumed(
        "one line too many stays unread behind a mark",
        f"{RECORDS}/jsonlines.py",
        "        batch = found[max(0, read.line - number) :]\n",
        "        batch = found[max(0, read.line - number + (number < read.line)) :]\n",
    ),
    _resumed(
        "the keys of lines that stay unread are forgotten",
        "scalesync/ledger/prefix.py",
        "                add(key, content)\n",
        "                pass\n",
    ),
    _resumed(
        "bad places of lines that stay unread are forgotten",
        "scalesync/ledger/prefix.py",
        '                " WHERE job=? AND source=? AND line<=?",\n                (job, job, number, line),\n',
        '                " WHERE job=? AND source=? AND line<?-1000000",\n                (job, job, number, line),\n',
    ),
)
