"""What all commands share: common options before or after the name, examples in the help, running a flow."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scalesync.cli.output import tell
from scalesync.cli.table import COMMANDS, not_built
from scalesync.cli.types import LocalPath, Positional
from scalesync.errors import ConfigError
from scalesync.masking import Mask
from scalesync.text import did_you_mean

if TYPE_CHECKING:
    from scalesync.cli.progress import ProgressDisplay
    from scalesync.config.settings import Settings
    from scalesync.ports.spec import Vocabulary

T = TypeVar("T")
SWITCH_S = 0.0005
GC_OBJECTS = 20_000
LEAST_FILES = 20  # standard streams, event loop, ledger, a source, a connection and a few that come and go
MORE_FILES = "ulimit -n 256"
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(frozen=True, slots=True)
class Common:
    """The options every command takes, as typed; None, False and 0 mean not typed."""

    platform: str | None = None
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


@dataclass(slots=True)
class Invocation:
    """One run of the program: the common options and what must not be printed.

    args: as typed.
    summary: what the command did, for the log.
    """

    common: Common = field(default_factory=Common)
    mask: Mask = field(default_factory=Mask)
    args: Sequence[str] = ()
    summary: Mapping[str, Any] | None = None

    def settings(self, *, need_key: bool = True) -> Settings:
        """Resolve the settings; from here on the key is masked in everything printed."""
        from scalesync.flows.runtime.setup.services import resolve_settings

        asked = self.common
        settings = resolve_settings(
            platform=asked.platform,
            base_url=asked.base_url,
            profile=asked.profile,
            ledger=asked.ledger,
            rate=asked.rate,
            rate_all=asked.rate_all,
            concurrency=asked.concurrency,
            allow_http=asked.allow_http,
            extras=_pairs(asked.with_),
            need_key=need_key,
        )
        self.mask.add(settings.api_key)
        settings = replace(settings, mask=self.mask)
        if not asked.quiet:
            for note in settings.notes:
                tell(self.mask(note))
        about = f"target {settings.target}, ledger {settings.ledger}"
        if asked.verbose and not asked.quiet:
            tell(self.mask(about))
        elif asked.log_file is not None:
            from scalesync.cli.logs import log_line

            log_line(about)
        return settings

    @staticmethod
    def words(settings: Settings) -> Vocabulary:
        """What things are called on the platform of these settings."""
        from scalesync.flows.runtime.setup.services import spec_of

        return spec_of(settings.platform).vocabulary

    def command(self, *words: str, paced: bool = False) -> str:
        """A command line to copy: the program, these words, and the typed options that lead to this ledger and this
        target.

        paced: with the typed options that slow it down, for a command that sends.
        """
        asked = self.common
        options: dict[str, object] = {
            "--profile": asked.profile,
            "--platform": asked.platform,
            "--base-url": asked.base_url,
            "--ledger": asked.ledger,
        }
        if paced:
            options |= {"--rate": asked.rate, "--rate-all": asked.rate_all, "--concurrency": asked.concurrency}
        typed = [text for name, value in options.items() if value is not None for text in (name, str(value))]
        typed += [text for pair in asked.with_ for text in ("--with", pair)]
        return shlex.join(["scalesync", *words, *typed, *(["--allow-http"] if asked.allow_http else [])])

    def display(self) -> ProgressDisplay:
        """The observer that shows a flow's progress."""
        from scalesync.cli.progress import ProgressDisplay

        return ProgressDisplay(quiet=self.common.quiet, mask=self.mask)

    def start_logging(self) -> None:
        """-v shows scalesync's own log, -vv its details as well; --log-file keeps it with all messages.

        Without them only the reports of libraries are shown.
        """
        from scalesync.cli.logs import forget_handlers, log_begin, log_to_file, log_to_stderr, mask_stray_logs

        asked = self.common
        mask_stray_logs(self.mask)
        forget_handlers()
        if asked.verbose and not asked.quiet:
            log_to_stderr(asked.verbose, self.mask)
        if asked.log_file is not None:
            log_to_file(asked.log_file, asked.log_format or "text", asked.verbose, self.mask)
            log_begin(self.args)
        elif asked.log_format is not None:
            raise ConfigError("--log-format goes with --log-file")

    def end_logging(self, code: int) -> None:
        """Write the end of the command to --log-file."""
        if self.common.log_file is not None:
            from scalesync.cli.logs import log_end

            log_end(code, self.summary)


def run_async(flow: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run a flow to its end, on uvloop if it is installed. Raises Interrupted after SIGINT or SIGTERM.

    Raises ConfigError if the limit of open files is too low for the event loop and the ledger.
    """
    _check_files()
    import gc
    import importlib.util
    import sys

    import anyio

    from scalesync.cli.signals import heed, until_signal

    heed()
    # The ledger's and the reader's threads need the interpreter for moments only; the loop must not keep them waiting.
    sys.setswitchinterval(SWITCH_S)
    # Records leave no cycles behind: looking for some after every 700 objects would be for nothing.
    gc.freeze()
    gc.set_threshold(GC_OBJECTS, 20, 50)
    fast = importlib.util.find_spec("uvloop") is not None
    return anyio.run(until_signal, flow, args, backend_options={"use_uvloop": fast})


def _check_files() -> None:
    import sys

    if sys.platform == "win32":
        return
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
        raise ConfigError(f"only {soft} files may be open at once, which is too few; raise that, such as {MORE_FILES}")


class SyncCommand(click.Command):
    """A command that also takes the common options and ends its help with examples.

    examples: command lines without the prompt.
    commons: names of the common options it takes, None for all.
    """

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), commons: Sequence[str] | None = None, **kwargs: Any
    ) -> None:
        kwargs["context_settings"] = {**CONTEXT, **(kwargs.get("context_settings") or {})}
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        if self.name in COMMANDS:
            self.short_help = COMMANDS[self.name].text
        own = {parameter.name for parameter in self.params}
        self.shared = [
            option
            for option in common_options()
            if option.name not in own and (commons is None or option.name in commons)
        ]
        self.params.extend(self.shared)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        row = COMMANDS.get(self.name or "")
        if row is not None and args and args[0] in row.reserved:  # whatever follows
            raise not_built(f"{row.name} {args[0]}")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        invocation = ctx.ensure_object(Invocation)
        self._refuse_strangers(invocation.common)
        typed = Common(**{str(option.name): ctx.params.pop(str(option.name)) for option in self.shared})
        invocation.common = typed.over(invocation.common)
        invocation.start_logging()
        return super().invoke(ctx)

    def _refuse_strangers(self, before: Common) -> None:
        """Refuse an option that this command does not take before its name, as after it."""
        taken = {option.name for option in self.shared}
        for item in fields(before):
            if item.name not in taken and getattr(before, item.name) != item.default:
                option = f"--{item.name.rstrip('_').replace('_', '-')}"
                where = " before its name" if item.name in {parameter.name for parameter in self.params} else ""
                raise ConfigError(f"`scalesync {self.name}` takes no {option}{where}")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [item for item in self.get_params(ctx) if item not in self.shared]
        arguments = [(item.make_metavar(ctx), item.help or "") for item in own if isinstance(item, Positional)]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        write_options(ctx, formatter, "Options", own)
        write_options(ctx, formatter, "Options of every command", self.shared)

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Listed with the options, by every version of click."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, self.examples)


def write_options(
    ctx: click.Context, formatter: click.HelpFormatter, title: str, options: Sequence[click.Parameter]
) -> None:
    """One titled list of options."""
    named = [option for option in options if isinstance(option, click.Option)]
    records = [record for option in named if (record := option.get_help_record(ctx)) is not None]
    if records:
        with formatter.section(title):
            formatter.write_dl(records)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Print examples unwrapped: a person copies a command line whole."""
    if not examples:
        return
    with formatter.section("Examples"):
        for line in examples:
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def common_options() -> list[click.Option]:
    """Fresh options, because each command shows and parses its own."""
    return [
        click.Option(["--platform"], metavar="NAME", help="labelling service; see scalesync platforms  [scale]"),
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


def _pairs(typed: Sequence[str]) -> dict[str, str]:
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
