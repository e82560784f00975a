"""The common options: before or after a command's name, and values of options as typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import click

from scalesync.cli.types import LocalPath
from scalesync.errors import ConfigError
from scalesync.text import did_you_mean


@dataclass(frozen=True, slots=True)
class Common:
    """The options every command takes, as typed; None, False and 0 mean not typed."""

    platform: str | None = None
    api: str | None = None
    base_url: str | None = None
    profile: str | None = None
    ledger: Path | None = None
    rate: str | None = None
    rate_all: str | None = None
    concurrency: str | None = None
    allow_http: bool = False
    with_: tuple[str, ...] = ()
    log_file: Path | None = None
    log_format: str | None = None
    json: bool = False
    verbose: int = 0
    quiet: bool = False

    def over(self, outer: Common) -> Common:
        """These options, or those of `outer` that were not typed here; every -v counts."""
        chosen = {
            item.name: outer_value if own is None or own is False else own
            for item in fields(self)
            for own, outer_value in [(getattr(self, item.name), getattr(outer, item.name))]
        }
        return Common(**{**chosen, "verbose": self.verbose + outer.verbose, "with_": (*outer.with_, *self.with_)})


def common_options() -> list[click.Option]:
    """Fresh options, because each command shows and parses its own."""
    return [
        click.Option(["--platform"], metavar="NAME", help="labelling service; see scalesync platforms  [scale]"),
        click.Option(["--api"], metavar="V", help="version of its API, such as v2; see scalesync platforms  [v1]"),
        click.Option(["--base-url"], metavar="URL", help="API address, the v1 root  [SCALE_API_URL]"),
        click.Option(["--profile"], metavar="NAME", help="read config/NAME.toml, here or in your config folder"),
        click.Option(["--ledger"], metavar="FILE", type=LocalPath(), help="ledger  [./scalesync.db]"),
        click.Option(["--rate"], metavar="R", help="requests of the job's own class: 30, 100/min or auto"),
        click.Option(["--rate-all"], metavar="R", help="all requests together, such as 50 or 1000/min"),
        click.Option(["--concurrency"], metavar="N", help="requests in flight: 1 to 512, or auto"),
        click.Option(["--allow-http"], is_flag=True, help="plain http to other machines; sends the key in clear"),
        click.Option(
            ["--with", "with_"],
            metavar="KEY=VALUE",
            multiple=True,
            help="option of the platform; may be repeated",
        ),
        click.Option(
            ["--log-file"],
            metavar="FILE",
            type=LocalPath(dir_okay=False),
            help="append the log to it",
        ),
        click.Option(["--log-format"], type=click.Choice(["text", "json"]), help="of --log-file  [text]"),
        click.Option(["--json"], is_flag=True, help="print one JSON object and nothing else on standard output"),
        click.Option(["-v", "--verbose"], count=True, help="say more; twice for details and tracebacks"),
        click.Option(["-q", "--quiet"], is_flag=True, help="no progress and no notes"),
    ]


def key_values(typed: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE as typed; the last of a key counts. Raises ConfigError."""
    pairs = {}
    for text in typed:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"--with takes KEY=VALUE, not {text!r}")
        pairs[name] = value
    return pairs


def listed(values: Sequence[str]) -> tuple[str, ...]:
    """Values of an option that may be repeated, comma separated, or both."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def filter_values(values: Sequence[str]) -> tuple[str, ...]:
    """`listed`, with an empty string for an option without a value: later checks refuse it, so it does not count as no
    filter.
    """
    return tuple(part for value in values for part in listed([value]) or ("",))


def one_of(name: str, values: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    """`listed`, each of them known. Raises ConfigError naming the option."""
    parts = listed(values)
    for part in parts:
        if part not in allowed:
            hint = did_you_mean(part, allowed)
            raise ConfigError(f"{name} does not know {part!r}{hint}; use {', '.join(allowed)}")
    return parts
