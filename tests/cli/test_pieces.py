"""The pieces of the command line by themselves: masking, tables, progress, endings, switches."""

from __future__ import annotations

import base64
import errno
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest

from scalesync.cli import output, results
from scalesync.cli.ending import describe, main_cause, report
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.options import Common
from scalesync.cli.progress import ProgressDisplay, progress_line
from scalesync.cli.switches import read_switches
from scalesync.errors import ConfigError, DiskFull, Interrupted, ScalesyncError, Unavailable
from scalesync.events import Progress, Waiting, duration
from scalesync.file_names import readable
from scalesync.masking import Mask
from scalesync.model.summaries import ExportSummary, ImportSummary
from scalesync.sandbox import SandboxConfig

KEY = "abc|user/ü\\+|test"
IMPORT = ImportSummary(
    job="nightly run",
    target="https://api.scale.com/v1",
    mode="test",
    read=2000,
    created=1990,
    adopted=0,
    conflicts=2,
    failed=3,
    invalid=0,
    pending=5,
    duplicates=0,
    requests=2001,
    retries=1,
    throttled=0,
    seconds=65.4,
    tasks_per_second=30.4,
    peak_in_flight=12,
)
EXPORT = ExportSummary(
    job="e",
    target="t",
    mode="live",
    tasks=7,
    files=1,
    bytes=2048,
    responses_downloaded=0,
    responses_failed=1,
    unsettled=2,
    requests=3,
    retries=0,
    throttled=0,
    seconds=1.0,
    watermark=None,
)


def snapshot(**changes: object) -> Progress:
    values: dict[str, object] = {
        "phase": "import",
        "done": 1500,
        "total": None,
        "share": None,
        "failed": 0,
        "throttled": 0,
        "rate": 30.0,
        "in_flight": 4,
        "seconds": 50.0,
    }
    return Progress(**{**values, **changes})  # type: ignore[arg-type]


# --- masking -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY),
        quote(KEY, safe=""),
        base64.b64encode(f"{KEY}:".encode()).decode(),
        base64.b64encode(KEY.encode()).decode(),
        json.dumps(KEY)[1:-1],
        KEY.encode().hex(),
    ],
)
def test_the_key_is_masked_in_every_form(form: str) -> None:
    mask = Mask()
    mask.add(KEY)
    assert mask(f"before {form} after") == "before *** after"
    assert mask.deep({"a": [form, {form: 1}], "n": 3}) == {"a": ["***", {"***": 1}], "n": 3}


def test_an_empty_secret_masks_nothing() -> None:
    mask = Mask()
    mask.add("")
    assert mask("text") == "text"


# --- printing ----------------------------------------------------------------------------------


def test_control_characters_are_shown_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("a\x1b[31mb\rc\x9bd\te")
    assert capsys.readouterr().out == "a\\x1b[31mb\\x0dc\\x9bd\te\n"


def test_columns_line_up() -> None:
    assert output.facts({"read": 1000, "created": 5, "note": "a long text"}) == (
        "read     1,000\ncreated      5\nnote     a long text"
    )


def test_json_is_one_ascii_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.say_json({"name": "ä\ud800\n", "path": Path("a")})
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert json.loads(out) == {"name": "ä\ud800\n", "path": "a"}


def test_the_summary_in_json_has_the_contracts_fields_first_in_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert results.show_import(IMPORT, Invocation(Common(json=True))) == 0
    names = (
        "job target mode read created adopted conflicts failed invalid pending duplicates "
        "requests retries throttled seconds tasks_per_second peak_in_flight"
        " server_errors retry_after_seconds waited_seconds limit_per_second"
    )
    assert list(json.loads(capsys.readouterr().out)) == names.split()
    results.show_export(EXPORT, Path("out"), Invocation(Common(json=True)))
    names = (
        "job target mode tasks files bytes responses_downloaded responses_failed unsettled "
        "requests retries throttled seconds watermark"
        " stages server_errors retry_after_seconds waited_seconds limit_per_second"
    )
    assert list(json.loads(capsys.readouterr().out)) == names.split()


def test_people_read_of_server_errors_and_of_the_time_in_which_nothing_passed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results.show_import(replace(IMPORT, server_errors=1, waited_seconds=61.6), Invocation())
    assert "1 retries, 1 server error, nothing got through for 1:02 min" in capsys.readouterr().out
    results.show_import(replace(IMPORT, waited_seconds=0.4), Invocation())
    assert "nothing got through" not in capsys.readouterr().out


def test_gone_and_message_are_reported_when_they_say_something() -> None:
    fields = results.summary_json(replace(IMPORT, gone=2, message="because"))
    assert (fields["gone"], fields["message"]) == (2, "because")
    assert "exit_code" not in fields


def test_advice_after_a_dry_run_sends_nobody_to_a_job_that_is_not_there() -> None:
    one, two = results.dry_run_advice(IMPORT)
    assert one.startswith("3 failed, 2 in conflict: fix")
    assert two == "5 records pending: the same command without --dry-run sends them"


def test_people_read_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    results.show_import(IMPORT, Invocation())
    text = capsys.readouterr().out
    assert "3 failed, 2 in conflict: scalesync failures --job 'nightly run'" in text
    assert "scalesync retry --job 'nightly run'" in text
    assert "5 records pending: run the same command again" in text
    results.show_import(IMPORT, Invocation(), results.import_advice(IMPORT, Invocation(), piped=True))
    text = capsys.readouterr().out
    assert "scalesync retry --job 'nightly run', then pipe the same input into the same import" in text
    assert "5 records pending: pipe the same input into the same import to resume" in text
    common = Common(profile="p", ledger=Path("my ledger.db"), base_url="http://h/v1", rate="5", allow_http=True)
    results.show_import(replace(IMPORT, message="stopped"), Invocation(common))
    text = capsys.readouterr().out
    where = "--profile p --base-url http://h/v1 --ledger 'my ledger.db'"
    assert f"2 in conflict: scalesync failures --job 'nightly run' {where} --allow-http\n" in text
    assert f"scalesync retry --job 'nightly run' {where} --rate 5 --allow-http\n" in text
    results.show_export(EXPORT, Path("out"), Invocation())
    text = capsys.readouterr().out
    assert str(Path("out") / "manifest.json") in text
    assert "2 partitions unsettled" in text
    assert "stages" not in text
    results.show_export(replace(EXPORT, exit_code=3, stages=2), Path("out"), Invocation())
    text = capsys.readouterr().out
    assert "1 file, 2.0 KiB, not yet listed in" in text
    assert "2 deliveries, in stages-*\n" in text


# --- progress ----------------------------------------------------------------------------------


def test_a_line_names_what_matters() -> None:
    line = progress_line(snapshot(total=3000, failed=2, throttled=7, limit="30/s", left_s=50.0))
    assert line == ("import 1,500/3,000 done, 50 %, 50 s left, 30/s (limit 30/s), 2 failed, 7 throttled, 4 in flight")
    assert progress_line(snapshot()) == "import 1,500 done, 30/s, 4 in flight"
    line = progress_line(snapshot(phase="export", total=3000, written=300))
    assert line == "export 1,500/3,000 done, 50 %, 30/s, 300 written, 4 in flight"
    assert "written" not in progress_line(snapshot(written=1500))
    assert "25 %, 2:30 min left" in progress_line(snapshot(share=0.25, left_s=150.0))
    assert "99 %" in progress_line(snapshot(share=0.999))
    assert "left" not in progress_line(snapshot(total=3000))  # whoever makes the snapshot knows whether the rate lasts


def test_a_line_of_a_run_that_waits_says_for_what_and_shows_neither_rate_nor_limit() -> None:
    at = time.mktime((2026, 11, 29, 14, 22, 5, 0, 0, -1))
    waiting = Waiting("503: busy", at, at + 600, 600.0)
    line = progress_line(snapshot(waiting=waiting, limit="42/s", in_flight=0))
    assert line == f"import 1,500 done, {waiting}, 0 in flight"
    assert "the server asked for 10:00 min (503: busy): next attempt at " in line
    assert "14:32" in line
    assert "limit" not in line


def test_without_a_terminal_a_wait_is_repeated_every_thirty_seconds_only(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    waiting = snapshot(waiting=Waiting("no way", 0.0, None), in_flight=0)
    with ProgressDisplay(terminal=False, clock=lambda: now[0]) as display:
        for tick in range(1000):  # 100 seconds: 10 of work, 70 of waiting, 20 of work
            if tick == 100:
                display.note("it waits")
            if tick == 800:
                display.note("it goes on")
            display.progress(waiting if 100 <= tick < 800 else snapshot())
            now[0] += 0.1
    lines = capsys.readouterr().err.splitlines()
    assert [line[:6] for line in lines].count("import") == 1 + 2 + 3
    first, second = (number for number, line in enumerate(lines) if line.startswith("it "))
    assert all("(no way)" in line for line in lines[first + 1 : second])
    assert second - first == 3


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (3600, "1:00 h"), (7505, "2:05 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_without_a_terminal_a_line_every_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    mask = Mask()
    mask.add(KEY)
    with ProgressDisplay(terminal=False, mask=mask, clock=lambda: now[0]) as display:
        for _ in range(200):  # 20 seconds
            display.progress(snapshot())
            now[0] += 0.1
        display.note(f"saw {KEY}\x1b")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["import 1,500 done, 30/s, 4 in flight"] * 3 + ["saw ***\\x1b"]


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with ProgressDisplay(quiet=True, terminal=False, clock=lambda: now[0]) as display:
        now[0] = 100.0
        display.progress(snapshot())
        display.note("hello")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_line_changes_in_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    now = [0.0]
    with ProgressDisplay(terminal=True, clock=lambda: now[0]) as display:
        for number in range(100):
            display.progress(snapshot(done=number, total=100))
            now[0] += 0.05
        display.note("a [note]")
    out, err = capsys.readouterr()
    assert out == ""
    assert "a [note]" in err
    assert 10 <= err.count("in flight") <= 25  # at most four a second, and once more for the note
    assert "[#####" in err


# --- endings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (ScalesyncError("plain"), 1, "plain"),
        (ConfigError("wrong"), 2, "wrong"),
        (Interrupted("stopped"), 3, "stopped"),
        (Unavailable("no connection"), 1, "no connection"),
        (KeyboardInterrupt(), 3, "same command"),
        (OSError(errno.ENOSPC, "No space left on device", "x.db"), 3, "x.db: no space left"),
        (
            OSError(errno.EMFILE, "Too many open files"),
            3,
            "too many files are open at once; raise that",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "x.db"), 3, "x.db: Permission denied"),
        (ZeroDivisionError("division by zero"), 3, "ZeroDivisionError: division by zero - this is a bug"),
        (ExceptionGroup("several", [ValueError("a"), ExceptionGroup("x", [DiskFull("full")])]), 3, "full"),
        (BaseExceptionGroup("several", [KeyboardInterrupt(), ConfigError("first")]), 2, "first"),
    ],
)
def test_every_error_has_a_sentence_and_a_code(error: BaseException, code: int, says: str) -> None:
    sentence, got = describe(main_cause(error))
    assert got == code
    assert says in sentence
    assert "\n" not in sentence


def test_a_bug_shows_its_traceback_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    invocation = Invocation()
    invocation.mask.add(KEY)
    for verbose in (0, 2):
        invocation.common = Common(verbose=verbose)
        with pytest.raises(ZeroDivisionError) as caught:
            raise ZeroDivisionError(KEY)
        assert report(caught.value, invocation, as_json=False) == 3
        err = capsys.readouterr().err
        assert KEY not in err
        assert ("Traceback" in err) == (verbose == 2)
        assert "-v -v" in err


def test_flows_run_on_a_loop_with_the_arguments() -> None:
    async def flow(first: int, second: int) -> int:
        return first + second

    assert run_async(flow, 1, 2) == 3


# --- options -----------------------------------------------------------------------------------


def test_the_later_option_wins_and_every_v_counts() -> None:
    before = Common(rate="30", verbose=1, quiet=True, ledger=Path("a.db"))
    after = Common(rate="60", verbose=1, json=True)
    assert after.over(before) == Common(rate="60", verbose=2, quiet=True, json=True, ledger=Path("a.db"))


@dataclass(frozen=True)
class Switches:
    number: int = 0
    share: float | None = None
    flag: bool = False
    either: str | float | None = None
    word: Literal["a", "b"] = "a"
    code: Literal[400, 500] = 400
    names: frozenset[str] | None = None
    table: Mapping[str, int] = field(default_factory=dict)
    own: int = 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("number=3", 3),
        ("share=0.5", 0.5),
        ("share=none", None),
        ("flag=True", True),
        ("flag=off", False),
        ("either=0.5", 0.5),
        ("either=.*png", ".*png"),
        ("word=b", "b"),
        ("code=500", 500),
        ("names=x, y", frozenset({"x", "y"})),
        ("table=live_a:401,live_b:403", {"live_a": 401, "live_b": 403}),
    ],
)
def test_switches_are_typed_by_their_field(text: str, value: object) -> None:
    name, _, typed = text.partition("=")
    assert read_switches(Switches, [(name, typed)], {}) == {name: value}


@pytest.mark.parametrize(
    "text", ["number=1.5", "share=x", "flag=maybe", "word=c", "code=404", "table=401", "nope=1", "own=1"]
)
def test_wrong_switches_are_named(text: str) -> None:
    name, _, typed = text.partition("=")
    with pytest.raises(ConfigError, match=name):
        read_switches(Switches, [(name, typed)], {"own": "--own"})


def test_every_switch_of_the_sandbox_can_be_typed() -> None:
    texts = {"keys": "live_a", "refuse": "live_a:401", "bad_attachments": "0.1"}
    defaults = SandboxConfig()
    for name in SandboxConfig.__dataclass_fields__:
        if name in {"clock", "monotonic"}:
            continue
        text = texts.get(name, str(getattr(defaults, name)))
        values = read_switches(SandboxConfig, [(name, text)], {})
        SandboxConfig(**values)


def test_a_name_that_is_not_utf8_is_printed_as_messages_write_it() -> None:
    name = os.fsdecode(b"o\xfe\x80")
    assert output.printable(f"listed in {name}") == f"listed in {readable(name)}" == "listed in o\\xfe\\x80"
