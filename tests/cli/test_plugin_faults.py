"""A package that fails in the middle of a run: the run stops with exit code 3 and one sentence, and can be resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalesync import plugins
from scalesync.cli.ending import describe
from tests.docs.test_extending import blocks, install_example
from tests.docs.test_extending_platform import KEY as SHELF_KEY
from tests.docs.test_extending_platform import shelf
from tests.plugins import install, project

from .conftest import Run, sandbox

SOURCE = """
import os
from scalesync.sources.plugin import Reader, SourceFormat, SourceRecord
def items(stream):
    list(stream)
    for n in range(1, 701):
        if n == 600:
            exec(os.environ.get("FAULT", ""))
        body = {"attachment": "x", "attachment_type": "text", "categories": ["a", "b"]}
        yield SourceRecord(n, {"unique_id": f"u{n}", **body})
FORMAT = SourceFormat(api=1, name="odd", words="Odd", bind=lambda source: Reader(source.reads(items)))
"""
ENCODER = """
import os
from scalesync.outputs.encoders.plugin import OutputFormat
class Lines:
    def __init__(self, file):
        self.file = file
    def add(self, lines):
        exec(os.environ.get("FAULT", ""))
        self.file.write(b"".join(line + b"\\n" for line in lines))
    def pause(self): ...
    def close(self): ...
FORMAT = OutputFormat(api=1, name="odd", open=Lines, lines=lambda file: map(bytes.strip, file), resumable=True)
"""
FAULTS = {
    "KeyError: 'lost'": "raise KeyError('lost')",
    "SystemExit: 0": "raise SystemExit(0)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "CancelledError": "import asyncio; raise asyncio.CancelledError",
}
AGAIN = "run the same command again when it is fixed, and it continues"
IMPORT = ("import", "in.odd", "--type", "categorization", "--project", "p", "--job", "j")


def test_a_source_format_or_an_encoder_that_fails_stops_the_run_and_it_resumes(run: Run, tmp_path: Path) -> None:
    install(tmp_path, project("other", "scalesync.sources", odd="odd_source:FORMAT"), {"odd_source": SOURCE})
    install(tmp_path, project("another", "scalesync.encoders", odd="odd_encoder:FORMAT"), {"odd_encoder": ENCODER})
    (tmp_path / "in.odd").write_text("x\n")
    with sandbox(tmp_path, "--project", "p=categorization") as server:
        url = {"SCALE_API_URL": server.base_url}
        for words, fault in FAULTS.items():
            ended = run(*IMPORT, "--json", env={**url, "FAULT": fault})
            told = f'the source format "odd" of other 1.0 failed ({words}); {AGAIN}'
            assert (ended.code, told in ended.json["message"], "Traceback" in ended.err) == (3, True, False), ended
        assert run("status", "--job", "j", "--json", env=url).json["jobs"][0]["state"] == "unfinished"
        assert run(*IMPORT, "--json", env=url).json["created"] == 700
        for words, fault in FAULTS.items():
            ended = run("export", "--out", "out", "--format", "odd", "--json", env={**url, "FAULT": fault})
            told = f'the output format "odd" of another 1.0 failed ({words}); {AGAIN}'
            assert (ended.code, told in ended.json["message"], "Traceback" in ended.err) == (3, True, False), ended
        assert run("export", "--out", "out", "--format", "odd", "--json", env=url).json["tasks"] == 700
        assert server.tasks() == 700


PLACES = {
    "create": ("        reply = await self.call(RequestClass.CREATE", "import"),
    "read": ('        reply = await self.call(RequestClass.LIST, "GET", "/"', "import"),
    "page": ('        reply = await self.call(RequestClass.LIST, "GET", ""', "export"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_platform_that_fails_in_a_request_stops_the_run_and_it_resumes(run: Run, tmp_path: Path, place: str) -> None:
    (code,) = blocks("A platform")
    line, command = PLACES[place]
    assert code.count(line) == 1
    install_example(tmp_path, "A platform")
    module = tmp_path / "scalesync_shelf.py"
    module.write_text("import os\n" + code.replace(line, f"        exec(os.environ.get('FAULT', ''))\n{line}"))
    (tmp_path / "things.jsonl").write_text("".join(f'{{"unique_id": "u{n}"}}\n' for n in range(20)))
    with shelf() as (root, things):
        typed = {
            "import": ("import", "things.jsonl", "--job", "things", "--yes"),
            "export": ("export", "--out", "out"),
        }[command]
        env = {"SHELF_KEY": SHELF_KEY, "SHELF_URL": root}
        for words, fault in list(FAULTS.items())[:3]:
            ended = run(*typed, "--platform", "shelf", env={**env, "FAULT": fault})
            told = f'the platform "shelf" of scalesync-shelf 1.0 failed ({words}); {AGAIN}'
            assert (ended.code, told in ended.err + ended.out, "Traceback" in ended.err) == (3, True, False), ended
        assert run(*typed, "--platform", "shelf", env=env).code == 0
        assert command == "export" or len(things) == 20


@pytest.mark.parametrize(
    ("loaded", "who"), [({}, "scalesync"), ({"one": "one 1.0", "more": "one 1.0"}, "scalesync or in one 1.0")]
)
def test_a_mistake_outside_of_packages_may_come_from_what_they_returned(
    loaded: dict[str, str], who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "_packages", loaded)
    sentence, code = describe(AttributeError("no kind"))
    assert sentence.startswith(f"AttributeError: no kind - this is a bug in {who}; ")
    assert code == 3
