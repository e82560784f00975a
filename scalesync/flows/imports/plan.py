"""ImportPlan: the checked options and opened sources of an import, before any request."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, get_args

from scalesync.addresses import is_url
from scalesync.errors import ConfigError
from scalesync.file_names import readable
from scalesync.flows.imports.guards.limits import failures_bound
from scalesync.flows.imports.reading.opening import open_named, read_options
from scalesync.flows.runtime.options import ImportOptions, OnConflict
from scalesync.home import Home
from scalesync.mapping.body import BodyBuilder, BodySpec
from scalesync.mapping.overlay import parse_sets
from scalesync.mapping.template import Template
from scalesync.model.jobs import SourceSplit
from scalesync.model.records import JsonObject
from scalesync.model.targets import RequestClass
from scalesync.pacing.pace import Pace
from scalesync.ports.spec import KeyStrength, PlatformSpec, Vocabulary
from scalesync.sources.places.named import STANDARD_INPUT, is_read_once, what_is
from scalesync.sources.places.passed_over import PassedOver, Reason
from scalesync.sources.source_file import SourceFile
from scalesync.text import count, did_you_mean, either

LOAD_RECORDS = 512
SHOWN_NAMES = 3  # names of sources in one sentence
# Options that change the task of a record, or which records are read.
SHAPING = (
    *("template", "sets", "unique_id", "project", "batch", "blueprint", "force"),
    *("format", "delimiter", "quotechar", "header", "encoding", "records", "skip_rows"),
)
# Options among them that earlier versions did not have, with the values that change nothing.
LATER = {"records": None, "skip_rows": 0, "blueprint": None}


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """Everything that an import needs in addition to the ledger and the platform.

    origins: for each source the name typed for it, by what it is.
    named: all names.
    missing: the names that are gone.
    total_bytes: of all sources, None if one of them does not say.
    """

    home: Home
    options: ImportOptions
    template: Template
    builder: BodyBuilder
    sources: Sequence[SourceFile]
    max_failures: Callable[[int, int], bool] | None
    passed: PassedOver
    origins: Sequence[str]
    named: frozenset[str]
    missing: Sequence[str]
    total_bytes: int | None

    @property
    def recheck(self) -> bool:
        """Whether conflicts of earlier runs are looked up again, because this run handles them in another way."""
        return self.options.on_conflict != "report" or bool(self.options.reclaim)

    @property
    def adopts(self) -> bool:
        """Whether the run accepts tasks that differ from their record."""
        return self.options.on_conflict == "adopt"

    @property
    def trusts_ledger(self) -> bool:
        """Whether unchanged lines may stay unread. They may not if the run needs every record."""
        options = self.options
        return not (options.rescan or options.finalize or options.limit is not None or self.recheck)

    @property
    def shaping(self) -> str:
        """A string that is equal if the same lines become the same tasks with the same keys."""
        kept = {name: getattr(self.options, name) for name in SHAPING} | {"template": self.template.as_mapping()}
        for name, default in LATER.items():
            if kept[name] == default:
                del kept[name]
        return blake2b(json.dumps(kept, sort_keys=True, default=list).encode(), digest_size=16).hexdigest()

    def notes(self) -> Iterator[str]:
        """Notes for people about how the sources are read: one sentence each, with the first few names."""
        if self.passed:
            way = "--describe-all" if self.builder.names_file else "a template that names _file, or --describe-all,"
            more = f"; {way} makes a record of such a file" if self.passed.has(Reason.EMPTY) else ""
            yield f"{self.passed}{more}"
            if doubtful := self.passed.named(Reason.DOUBT):
                yield (
                    f"{', '.join(doubtful)}: may hold records, but not read, because no format has such a name; unpack,"
                    " rename (.jsonl, .csv, ...) or type it as a source, too"
                )
        if self.missing:
            yield self.left_out
        names: dict[str, list[str]] = {}
        for source in self.sources:
            for note in source.notes:
                names.setdefault(note, []).append(source.name)
        for note, told in names.items():
            yield f"{few_names(told)}: {note}"

    @property
    def left_out(self) -> str:
        """The sentence about sources of earlier runs that are gone."""
        it = "it" if len(self.missing) == 1 else "them"
        return (
            f"{few_names(self.missing)}: no longer there, and left out; the other sources of the job are read (put {it}"
            f" back, or import {it} from the new place with --job {self.options.job})"
        )

    def facts(self, place: int) -> JsonObject:
        """The facts about the source at this index for the ledger: its state, its name, the name typed for it."""
        source = self.sources[place]
        told = {"name": source.name, "under": self.origins[place]}
        if source.place is not None:
            told["path"] = readable(self.home.told(source.place))
        return source.fingerprint() | told

    def is_there(self, split: SourceSplit) -> bool:
        """Whether a source of an earlier run still exists. A source on another machine counts as existing."""
        path = str(split.spec.get("path", split.name))
        return is_read_once(path) or is_url(path) or os.path.lexists(self.home.place(path))

    def splits(self) -> Iterator[tuple[str, JsonObject]]:
        """One split for each source. A file that was named twice is read twice and needs two names."""
        times: dict[str, int] = {}
        for place in range(len(self.sources)):
            facts = self.facts(place)
            path = str(facts["path"])
            times[path] = times.get(path, 0) + 1
            yield path if times[path] == 1 else f"{path} ({times[path]})", facts

    def load_records(self, pace: Pace, most: int) -> int:
        """Records in a load: about a second of work, so a kill leaves few intents without a request.

        most: records in one request.
        """
        rate = pace.rate(RequestClass.CREATE)
        return LOAD_RECORDS if rate is None else max(16, min(LOAD_RECORDS, int(rate * most)))


def few_names(names: Sequence[str]) -> str:
    """The first few names of sources, and how many more there are."""
    rest = len(names) - SHOWN_NAMES
    more = f" and {count(rest, 'more source')}" if rest > 0 else ""
    return f"{', '.join(names[:SHOWN_NAMES])}{more}"


def make_plan(options: ImportOptions, platform: PlatformSpec, home: Home, given: BinaryIO | None = None) -> ImportPlan:
    """Check the options and open the sources. Raises ConfigError or SourceError before any request.

    home: sources in it are known by their path within it.
    given: read instead of standard input.
    """
    if not options.sources:
        raise ConfigError("no source was named; give files, globs, folders or - for standard input")
    _check(options, platform.vocabulary)
    _check_key(options, platform)
    _check_type(options.type, platform)
    _check_blueprint(options, platform)
    template = _template(options)
    spec = BodySpec(
        type=options.type,
        project=options.project,
        batch=options.batch,
        unique_id=options.unique_id,
        template=template,
        sets=parse_sets(options.sets),
        force=options.force,
        named=_named(options, platform),
        platform=platform.name,
        one_project=platform.key.namespaced,
    )
    passed = PassedOver()
    builder = BodyBuilder(spec, platform.shaper)
    found, missing = open_named(options, read_options(options, builder), passed, given)
    told = {typed: what_is(typed, options.folder, home) for typed in options.sources}
    sizes = [source.size for source, _ in found]
    known = [size for size in sizes if size is not None]
    return ImportPlan(
        home,
        options,
        template,
        builder,
        [source for source, _ in found],
        failures_bound(options.max_failures),
        passed,
        origins=[told[typed] for _, typed in found],
        named=frozenset(told.values()),
        missing=missing,
        total_bytes=sum(known) if len(known) == len(sizes) else None,
    )


def _template(options: ImportOptions) -> Template:
    if options.template is None:
        return Template.EMPTY
    if isinstance(options.template, str | Path):
        return Template.load(Path(options.template))
    return Template.from_mapping(dict(options.template))


def _check(options: ImportOptions, words: Vocabulary) -> None:
    for name in ("limit", "canary", "canary_wait", "max_new", "max_invalid"):
        value = getattr(options, name)
        if value is not None and value < 0:
            raise ConfigError(f"--{name.replace('_', '-')} takes a number of 0 or more, not {value}")
    if options.job is None and (pipe := next((source for source in options.sources if _is_pipe(source)), None)):
        what = "standard input" if pipe == STANDARD_INPUT else f"{pipe} is a pipe and"
        raise ConfigError(f"{what} needs a name for the job: add --job NAME")
    if options.on_conflict not in get_args(OnConflict):
        raise ConfigError(f"--on-conflict takes {', '.join(get_args(OnConflict))}, not {options.on_conflict!r}")
    if words.type_required and not options.type:
        raise ConfigError("the type of the tasks is missing; name it with --type")
    unknown = options.reclaim.difference(words.reclaimable)
    if unknown:
        raise ConfigError(
            f"--reclaim takes {' and '.join(words.reclaimable) or 'nothing here'}, not {', '.join(sorted(unknown))}"
        )


def _check_key(options: ImportOptions, platform: PlatformSpec) -> None:
    if platform.key.strength is KeyStrength.NONE and not options.at_least_once:
        raise ConfigError(
            f"{platform.title} keeps no key of a record, so one whose request gets no answer may become two tasks;"
            " accept that with --at-least-once"
        )


def _check_type(type: str, platform: PlatformSpec) -> None:
    makes = platform.only_types
    if type and makes and type not in makes:
        raise ConfigError(
            f"{platform.title} makes no tasks of type {type}{did_you_mean(type, makes)}, only {either(sorted(makes))};"
            " correct --type, or leave --api out"
        )


def _check_blueprint(options: ImportOptions, platform: PlatformSpec) -> None:
    if options.blueprint is None:
        return
    if not options.blueprint:
        raise ConfigError("--blueprint is empty; name a blueprint or leave it out")
    rule = platform.blueprints
    if rule is None:
        raise ConfigError(f"{platform.title} has no blueprints; leave --blueprint out")
    if options.type not in rule.types:
        raise ConfigError(f"--blueprint is for tasks of type {either(sorted(rule.types))}, not {options.type}")


def _named(options: ImportOptions, platform: PlatformSpec) -> dict[str, str | None]:
    """The field that names a blueprint, and the one for records which name none."""
    rule = platform.blueprints
    return {} if rule is None or options.type not in rule.types else {rule.field: options.blueprint}


def _is_pipe(source: str) -> bool:
    """Whether the same name may give other records the next time."""
    return is_read_once(source) or _is_fifo(source)


def _is_fifo(source: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(source).st_mode)
    except (OSError, ValueError):
        return False
