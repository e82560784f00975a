"""Checks of an export before anything is bound or written: wrong usage, a folder of another export."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from scalesync.errors import ConfigError, Refused
from scalesync.flows.exports import filters
from scalesync.flows.exports.folder.manifests import shape_of
from scalesync.flows.runtime.account import check_fields, check_names, wrong_root
from scalesync.flows.runtime.options import ExportOptions
from scalesync.flows.runtime.wiring import Connection
from scalesync.outputs.encoders.registry import find
from scalesync.outputs.fields import FieldPicker
from scalesync.outputs.manifest import Manifest
from scalesync.outputs.writer import SegmentWriter
from scalesync.ports.spec import PlatformSpec, Vocabulary
from scalesync.times import local_ms


def check_options(options: ExportOptions, platform: PlatformSpec) -> None:
    """Raise ConfigError for options that are invalid or exclude each other."""
    if options.page_size is not None and not 1 <= options.page_size <= platform.page_most:
        raise ConfigError(f"a page holds 1 to {platform.page_most} tasks, not {options.page_size}")
    _check_filters(options, platform.vocabulary)
    for name, why in options.reading.refuses.items():
        if getattr(options, name):
            raise ConfigError(f"{option_of(name)} {why}")
    _check_form(options)
    if options.full_every is not None:
        filters.duration_ms(options.full_every, "--full-every")
        if not options.incremental:
            raise ConfigError("--full-every goes with --incremental")
    filters.duration_ms(options.overlap, "--overlap")
    if options.incremental:
        _check_incremental(options)


def _check_filters(options: ExportOptions, words: Vocabulary) -> None:
    for name in ("project", "batch", "type", "status", "review_status", "tags", *filters.BOUNDS):
        value = getattr(options, name)
        if value == "" or (isinstance(value, tuple) and "" in value):
            raise ConfigError(f"{option_of(name)} is empty; give it a value, or leave it out for tasks of any")
    # No documentation says how a server treats other values, and a misspelt one would match nothing.
    for name, known in (("status", words.statuses), ("review_status", words.reviews)):
        for value in getattr(options, name):
            if known and value not in known:
                raise ConfigError(f"{option_of(name)} {value!r} is unknown; use {', '.join(known)}")
    filters.selection(options, local_ms())


def _check_form(options: ExportOptions) -> None:
    format = find(options.format)
    if options.fields and not format.fields:
        raise ConfigError(f"--fields cuts lines; with --format {format.name} choose columns when you read the files")
    if options.fields:
        FieldPicker(",".join(options.fields))
    SegmentWriter(options.out, "tasks", options.format)  # reports a missing package; touches no disk


def _check_incremental(options: ExportOptions) -> None:
    if options.again:
        raise ConfigError("--again exports everything again, --incremental adds what is new; choose one of them")
    if options.updated_after or options.updated_before:
        raise ConfigError("--incremental keeps its own range of updates; leave --updated-after and -before out")
    if options.fields and not {"task_id", "updated_at"} <= set(options.fields):
        raise ConfigError("--incremental must know each line's version; add task_id and updated_at to --fields")


async def first_look(connection: Connection, options: ExportOptions, note: Callable[[str], None]) -> None:
    """Read one task. It shows that the key works, the server's time, and that the server understands the filters.

    Raises ConfigError if the server refuses the filters, or the account lacks a name in them.
    """
    platform = connection.platform
    now_ms = platform.server_now_ms
    window = (0, now_ms) if options.incremental else None
    selection = filters.selection(options, now_ms)
    query = platform.lister.query(
        filters.asked(selection, window=window, by=platform.lister.changes, stays=options.reading.stays),
        (options.page_size or platform.spec.page_most) if options.fields else 1,
    )
    names = partial(check_names, connection, selection, increment=options.incremental)
    try:
        try:
            page = await connection.call(lambda: platform.lister.page(query, None))
        except Refused as error:
            if error.status == 404:
                await names(found=False)  # some services list nothing of a project that is not there, others refuse it
            raise
        await names(found=bool(page.documents))
    except Refused as error:
        way_out = wrong_root(error, connection) or "correct the filters or --base-url and run the command again"
        raise ConfigError(f"the server refused the first page ({error.status}): {error}; {way_out}") from error
    check_fields(options.fields, page.documents, platform.spec.fields, note)


def same_filters(manifest: Manifest, options: ExportOptions, hint: str) -> None:
    """Raise ConfigError if the folder holds other tasks, or the same tasks in another form."""
    asked = filters.typed(options)
    if asked != manifest.filters:
        raise ConfigError(
            f"{options.out} holds an export with other filters: it has {as_typed(manifest.filters)}, this command has"
            f" {as_typed(asked)}; {hint}"
        )
    form = shape_of(options)
    before = manifest.extra.get("form", form)
    if before != form:
        raise ConfigError(
            f"{options.out} holds an export in another form: it has {_form(before)}, this command has"
            f" {_form(form)}; {hint}"
        )


def as_typed(values: Mapping[str, Any]) -> str:
    """Options by field name, as typed."""
    words: list[str] = []
    for name, value in values.items():
        words.append(option_of(name))
        if value is not True:
            several = isinstance(value, Sequence) and not isinstance(value, str)
            words.append(shlex.quote(",".join(map(str, value)) if several else str(value)))
    return " ".join(words) or "none"


def option_of(name: str) -> str:
    """The option that sets a field."""
    singular = {"tags": "tag", "responses": "download-responses"}
    return "--" + singular.get(name, name.replace("_", "-"))


def _form(form: Mapping[str, Any]) -> str:
    return as_typed({name: value for name, value in form.items() if value})
