"""The plan of a backfill: options, period, windows, and which windows are left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scalesync.errors import ConfigError
from scalesync.flows.exports import filters
from scalesync.flows.exports.backfill.windows import Width, Window, cut, missing
from scalesync.flows.exports.checks import check_options, same_filters
from scalesync.flows.exports.folder.manifests import stages_of
from scalesync.flows.runtime.options import ExportOptions
from scalesync.model.exports import WindowRow
from scalesync.model.records import JsonObject
from scalesync.model.summaries import ExportSummary
from scalesync.outputs.manifest import Manifest
from scalesync.ports.spec import PlatformSpec
from scalesync.times import iso, local_ms, milliseconds

By = Literal["created", "completed", "updated"]
NONE_LOST: Mapping[str, str] = {}
WITH_FINDINGS = ("unsettled", "responses_failed")


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """One backfill as asked for.

    export: folder, filters and form.
    first, last: ISO 8601 or ages; last None is now.
    """

    export: ExportOptions
    first: str
    last: str | None = None
    window: str = "1d"
    by: By = "created"
    order: Literal["oldest", "newest"] = "oldest"


@dataclass(frozen=True, slots=True)
class BackfillSummary(ExportSummary):
    """Figures over the whole folder, requests of this run.

    windows: all of the folder.
    windows_read: by this run.
    """

    windows: int = 0
    windows_read: int = 0


def check_backfill(options: BackfillOptions, platform: PlatformSpec) -> None:
    export = options.export
    check_options(export, platform)
    if (why := export.reading.refuses.get(f"{options.by}_after")) is not None:
        raise ConfigError(f"--by {options.by} {why}")
    if export.incremental or export.again:
        raise ConfigError("a backfill reads each window once; leave --incremental and --again out")
    for side in ("after", "before"):
        if getattr(export, f"{options.by}_{side}"):
            raise ConfigError(f"--by {options.by} has its range from --from and --to; leave --{options.by}-{side} out")
    _period(options, local_ms())


def _period(options: BackfillOptions, now_ms: int) -> tuple[int, int, Width]:
    """From, to and width. A --from that is an age begins with its hour, day or month, so windows are even."""
    width = Width.parse(options.window)
    lo = filters.moment(options.first, now_ms, "--from")
    if _is_age(options.first):
        lo = width.floor(lo)
    hi = filters.moment(options.last, now_ms, "--to") if options.last is not None else now_ms
    if lo >= hi and options.last is not None and _is_age(options.first) == _is_age(options.last):
        raise ConfigError("--from must be before --to")
    return lo, hi, width


def _is_age(text: str) -> bool:
    return filters.AGE.match(text.strip()) is not None


def same_backfill(manifest: Manifest, options: BackfillOptions) -> None:
    out = options.export.out
    if "windows" not in manifest.extra:
        raise ConfigError(f"{out} holds an export, not a backfill; choose another --out")
    same_filters(manifest, options.export, "choose another --out")
    if manifest.extra["by"] != options.by:
        raise ConfigError(
            f"{out} holds windows by {manifest.extra['by']} time, not by {options.by}; choose another --out"
        )


def may_be_missing(options: BackfillOptions, manifest: Manifest, lost: Mapping[str, str]) -> bool:
    """Whether a window is left to do, if that is known without the server's time."""
    if lost or options.last is None or _is_age(options.first) or _is_age(options.last):
        return True
    return bool(Asked(options, manifest, filters.LAST_MS).todo)


def done_windows(manifest: Manifest | None) -> list[JsonObject]:
    return list(manifest.extra["windows"]) if manifest is not None else []


def window_of(entry: JsonObject) -> Window:
    return Window(milliseconds(entry["start"]), milliseconds(entry["end"]))


def _routes(manifest: Manifest | None, lost: Mapping[str, str]) -> dict[str, str]:
    """The start of each window that lost a file -> the file, the first of them."""
    if manifest is None:
        return {}
    listed = {entry.path: entry.route for entry in manifest.files}
    listed |= {entry["path"]: entry.get("route") for entry in manifest.responses["files"]}
    return {route: path for path in reversed(list(lost)) if (route := listed[path]) is not None}


class Asked:
    """What a run must do: the windows of its period that are in no manifest, and those to read again.

    lost: listed files that are missing; their windows are read again.
    elsewhere: the lost ones outside of the period.
    Raises ConfigError for a period that has not begun.
    """

    def __init__(
        self, options: BackfillOptions, manifest: Manifest | None, now_ms: int, lost: Mapping[str, str] = NONE_LOST
    ) -> None:
        lo, hi, width = _period(options, now_ms)
        if lo >= now_ms:
            raise ConfigError(f"--from is in the future: the server's time is {iso(now_ms)}; use an earlier one")
        self.now_ms = now_ms
        self.cut_short = hi > now_ms
        hi = min(hi, now_ms)
        entries = done_windows(manifest)
        self.done = sorted(window_of(entry) for entry in entries)
        routes = _routes(manifest, lost)
        findings = {entry["start"] for entry in entries if any(entry.get(name) for name in WITH_FINDINGS)}
        open_ends = [window_of(entry) for entry in entries if entry["start"] in findings | set(routes)]
        again = [window for window in open_ends if window.lo < hi and window.hi > lo]
        read = {window.name for window in again}
        self.elsewhere = {path: lost[path] for route, path in routes.items() if route not in read}
        todo = sorted([*missing(cut(lo, hi, width), self.done), *again], reverse=options.order == "newest")
        self.todo: Sequence[Window] = todo


def totals(manifest: Manifest | None) -> dict[str, int]:
    files = manifest.files if manifest is not None else []
    extra = manifest.extra if manifest is not None else {}
    tasks = sum(entry.rows for entry in files if entry.kind is None)
    found = {"tasks": tasks, "files": len(files), "bytes": sum(e.bytes for e in files)}
    found["stages"] = sum(entry.rows for entry in stages_of(manifest))
    return found | {name: extra.get(name, 0) for name in ("responses_downloaded", "responses_failed", "unsettled")}


def row_of(entry: JsonObject) -> WindowRow:
    state = "unsettled" if entry["unsettled"] else "incomplete" if entry["responses_failed"] else "done"
    figures = {name: entry[name] for name in ("tasks", "files", "bytes")}
    return WindowRow(entry["start"], entry["end"], state, figures)
