"""Mutants of the readers of lines and arrays, of folders and globs, and of what stays unread when an import resumes."""

from __future__ import annotations

from tests.mutants.model import Edit, Mutant

READING = ("tests/reading/test_matrix.py",)
FOLDERS = ("tests/unit/test_sources_containers.py",)
WRAPPED = ("tests/unit/test_sources_readers.py",)
JSON = ("tests/unit/test_sources_jsonarray.py",)
PROMISE = "nothing is lost from the first byte on"


def _mutant(name: str, file: str, old: str, new: str, first: tuple[str, ...] = READING) -> Mutant:
    return Mutant(f"reading: {name}", PROMISE, (Edit(file, old, new),), first)


def _resumed(name: str, file: str, old: str, new: str) -> Mutant:
    return _mutant(name, file, old, new, ("tests/flows/test_import_checkpoints.py", *READING))


READING_MUTANTS = (
    # --- lines
    _mutant(
        "a last line without a newline is dropped",
        "scalesync/sources/formats/jsonlines.py",
        "        if not self._carried:\n            return\n",
        "        if self._stream.damage is None:\n            return\n",
    ),
    _mutant(
        "a blank line counts as a record",
        "scalesync/sources/formats/jsonlines.py",
        "    elif not is_blank(line):\n",
        "    else:\n",
    ),
    _mutant(
        "lines end at U+2028 as well",
        "scalesync/sources/formats/jsonlines.py",
        "            lines = piece.split(self._newline)\n",
        '            lines = piece.replace("\\u2028".encode(), self._newline).split(self._newline)\n',
    ),
    _mutant(
        "the place of a line leaves blank lines out",
        "scalesync/sources/formats/jsonlines.py",
        "        for line in batch:\n            number += 1\n",
        "        for line in batch:\n            number += bool(line.strip())\n",
    ),
    _mutant(
        "a first line longer than the first look tells nothing",
        "scalesync/sources/readers.py",
        "        return size >= LONGEST_LOOK or",
        "        return True or",
        WRAPPED,
    ),
    _mutant(
        "the count tells the format by a shorter look",
        "scalesync/sources/recount/files.py",
        "    if not whole and may_have_json_lines(",
        "    if False and may_have_json_lines(",
        WRAPPED,
    ),
    _mutant(
        "an object without a newline is not a line",
        "scalesync/sources/formats/jsonguess.py",
        "    if not (newline or complete) or",
        "    if not newline or",
        WRAPPED,
    ),
    # --- arrays, and objects that follow each other
    _mutant(
        "elements that are not objects are skipped",
        "scalesync/sources/formats/jsonarray.py",
        '            yield replace(item, line=number, reason=f"{item.reason} (line {item.line})")\n',
        "            continue\n",
    ),
    _mutant(
        "an element's place is its line",
        "scalesync/sources/formats/jsonarray.py",
        "            yield SourceRecord(number, item.value)\n",
        "            yield item\n",
    ),
    _mutant(
        "an element that the data ends behind is forgotten",
        "scalesync/sources/formats/jsonarray.py",
        "    byte = split.peek()\n    if not array or byte in (-1, 0x5D):\n        return\n    if byte == 0x2C:\n",
        "    byte = split.peek()\n    if not array or byte in (-1, 0x5D):\n        split.pos = len(split.buffer)\n"
        "        return\n    if byte == 0x2C:\n",
    ),
    _mutant(
        "what follows the array's end is not reported",
        "scalesync/sources/formats/jsonarray.py",
        "    elif split.peek() != -1:\n",
        "    elif split.peek() == 0x2C:\n",
        JSON,
    ),
    _mutant(
        "an array that is cut off is whole",
        "scalesync/sources/formats/jsonarray.py",
        "    elif not closed:\n",
        "    elif not closed and not array:\n",
        JSON,
    ),
    _mutant(
        "a missing comma loses the element behind it",
        "scalesync/sources/formats/jsonarray.py",
        '        yield BadRecord(split.here(), "a comma is missing between two elements", "")\n',
        '        yield BadRecord(split.here(), "a comma is missing between two elements", "")\n'
        "        split.element()\n        split.text()\n",
        JSON,
    ),
    # --- a list in an object
    _mutant(
        "the list of the first object only is read",
        "scalesync/sources/formats/jsonwrapped.py",
        "        while (byte := split.peek()) != -1:\n",
        "        while split.pos == 0 and (byte := split.peek()) != -1:\n",
        WRAPPED,
    ),
    _mutant(
        "a list that is cut off is whole",
        "scalesync/sources/formats/jsonwrapped.py",
        '                raise _Unusable("the list has no end (file cut off?)")\n',
        "                return True\n",
        WRAPPED,
    ),
    _mutant(
        "an object without the list is passed over",
        "scalesync/sources/formats/jsonwrapped.py",
        """                yield BadRecord(line, f'holds no list "{".".join(path)}"', "")\n""",
        "                continue\n",
        WRAPPED,
    ),
    # --- folders and globs
    _mutant(
        "a file of a folder is begun where the one before it ended",
        "scalesync/sources/open.py",
        "    inner = Progress()  # the file's own",
        "    inner = progress  # the file's own",
    ),
    _mutant(
        "a folder is read from its last name to its first",
        "scalesync/sources/places/folders.py",
        "entries = sorted(found, key=_by_name)",
        "entries = sorted(found, key=_by_name, reverse=True)",
    ),
    _mutant(
        "links to files are passed over in a folder",
        "scalesync/sources/places/folders.py",
        "elif entry.is_symlink() and leads_to_folder(entry):",
        "elif entry.is_symlink():",
    ),
    _mutant(
        "hidden files of a folder are read",
        "scalesync/sources/places/folders.py",
        "        if is_hidden(name):\n",
        "        if not name:\n",
        ("tests/unit/test_sources_passed_over.py",),
    ),
    _mutant(
        "an empty JSON file of a folder is passed over",
        "scalesync/sources/places/folders.py",
        '        yield BadRecord(0, f"file {shown}: is empty", "")\n',
        "",
        FOLDERS,
    ),
    _mutant(
        "a broken JSON file of a folder ends the folder",
        "scalesync/sources/places/folders.py",
        '        yield BadRecord(0, f"file {error}", "")\n',
        "        raise\n",
        FOLDERS,
    ),
    _mutant(
        "a file that is reached by two names is read twice",
        "scalesync/sources/open.py",
        "        if passed.meets((info.st_dev, info.st_ino), name):\n            return\n        if passed.folders and",
        "        if passed.folders and",
    ),
    _mutant(
        "a pattern of any depth takes the first folder only",
        "scalesync/sources/places/globs.py",
        '        yield from _match(base, rest or ["*"], passed)\n',
        '        yield from _match(base, rest or ["*"], passed)\n        if base.count("/") > 5:\n            return\n',
    ),
    # --- resuming
    _resumed(
        "one line too many stays unread behind a mark",
        "scalesync/sources/formats/jsonlines.py",
        "        batch = found[max(0, read.line - number) :]\n",
        "        batch = found[max(0, read.line - number + (number < read.line)) :]\n",
    ),
    _resumed(
        "lines that want something stay unread",
        "scalesync/flows/imports/reading/checkpoints.py",
        "if open_line is None or mark[0].line < open_line]",
        "if open_line is None or mark[0].line < open_line + 1_000_000]",
    ),
    _resumed(
        "the keys of lines that stay unread are forgotten",
        "scalesync/ledger/sqlite/imports/checkpoints.py",
        "                add(key, content)\n",
        "                pass\n",
    ),
    _resumed(
        "bad places of lines that stay unread are forgotten",
        "scalesync/ledger/sqlite/imports/checkpoints.py",
        '                " WHERE job=? AND source=? AND line<=?",\n                (job, job, number, line),\n',
        '                " WHERE job=? AND source=? AND line<?-1000000",\n                (job, job, number, line),\n',
    ),
)
