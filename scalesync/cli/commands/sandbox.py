"""`scalesync sandbox`: the embedded emulator of the API on a port of this machine."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.command import SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.output import say_json, tell
from scalesync.cli.types import LocalPath, Pair
from scalesync.errors import ConfigError

if TYPE_CHECKING:
    from scalesync.sandbox import FaultRule, Sandbox, SandboxConfig

OWN = {
    "data": "--data",
    "rate": "--rate",
    "retry_after": "--retry-after",
    "seed": "--seed",
    "annotate_after_s": "--annotate-after",
}


@click.command(
    "sandbox",
    cls=SyncCommand,
    commons=("log_file", "log_format", "json", "verbose", "quiet"),
    examples=(
        "scalesync sandbox --project reviews=categorization",
        "scalesync sandbox --port 0 --data sandbox.db --rate 30 --retry-after 1",
        "scalesync sandbox --faults faults.toml --seed 7 --annotate-after 2",
        "scalesync sandbox --set test_completion=never --set page_gzip=true",
    ),
)
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 takes any free port")
@click.option("--data", metavar="FILE", type=LocalPath(dir_okay=False), help="keep the state in FILE")
@click.option("--rate", type=click.FloatRange(min=0), metavar="N", help="answer 429 above N creates a second")
@click.option("--retry-after", type=click.FloatRange(min=0), metavar="S", help="Retry-After of a 429, in seconds")
@click.option("--faults", metavar="FILE", type=LocalPath(), help="TOML or JSON file of fault rules")
@click.option("--seed", type=int, default=0, show_default=True, help="of ids, answers and faults")
@click.option(
    "--annotate-after", type=click.FloatRange(min=0), metavar="S", help="complete live tasks S seconds after creation"
)
@click.option(
    "--project",
    "projects",
    type=Pair(),
    multiple=True,
    metavar="NAME=TYPE",
    help="make a project for live and test keys alike; repeatable",
)
@click.option("--set", "switches", type=Pair(), multiple=True, metavar="KEY=VALUE", help="any other switch; repeatable")
@click.pass_obj
def sandbox_command(invocation: Invocation, /, **typed: Any) -> int:
    """Serve an emulator of the API until Ctrl-C: tasks, batches, projects, simulated annotation, faults.

    It accepts any key that starts with live_ or test_. It never touches keys, tasks and money of the real service.
    """
    from scalesync.sandbox import Sandbox

    host, port, faults = typed["host"], typed["port"], typed["faults"]
    config = _config(typed)
    rules = [] if faults is None else _faults(faults)
    try:
        sandbox = Sandbox(config, rules, host, port)
    except (ValueError, OSError) as error:
        raise ConfigError(f"the sandbox cannot use its data file: {error}") from error
    _refuse_two_types(typed["projects"])
    for name, kind in typed["projects"]:
        add_project(sandbox, name, kind)
    try:
        run_async(_serve, sandbox, lambda: _announce(sandbox, invocation, typed["projects"]))
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; --port 0 takes a free port"
        ) from error
    return 0


def _refuse_two_types(projects: Iterable[tuple[str, str]]) -> None:
    kinds: dict[str, str] = {}
    for name, kind in projects:
        if kinds.setdefault(name, kind) != kind:
            raise ConfigError(f"--project {name} was given two types, {kinds[name]} and {kind}; a project has one")


def add_project(sandbox: Sandbox, name: str, kind: str) -> None:
    """Make the project in both worlds, unless the data file already has it."""
    for world in (sandbox.store.world("live"), sandbox.store.world("test")):
        if name in world.project_names:
            continue
        try:
            world.add_project(name, kind)
        except Exception as error:
            raise ConfigError(f"--project {name}={kind}: {getattr(error, 'text', error)}") from error


async def _serve(sandbox: Sandbox, announce: Callable[[], None]) -> None:
    import anyio

    from scalesync.cli.signals import TAKEN

    with anyio.open_signal_receiver(*TAKEN) as signals:
        async with sandbox:
            announce()
            async for _ in signals:
                return


def _announce(sandbox: Sandbox, invocation: Invocation, projects: Sequence[tuple[str, str]]) -> None:
    if invocation.common.json:
        say_json({"base_url": sandbox.base_url, "control_url": f"{sandbox.origin}/_sandbox"})
    if invocation.common.quiet:
        return
    tell(f"serving {sandbox.base_url} (control routes under {sandbox.origin}/_sandbox/); Ctrl-C ends it")
    tell("for example:")
    tell(f"  export SCALE_API_KEY=test_demo SCALE_API_URL={sandbox.base_url}")
    name, kind = projects[0] if projects else ("", "categorization")
    there = f" --project {shlex.quote(name)}" if name else ""
    tell(f"  scalesync import records.jsonl --type {kind}{there}")
    tell(f"  scalesync export --out annotations{there}")


def _config(typed: dict[str, Any]) -> SandboxConfig:
    from scalesync.cli.switches import read_switches
    from scalesync.sandbox import SandboxConfig

    own = {name: typed[flag.removeprefix("--").replace("-", "_")] for name, flag in OWN.items()}
    try:
        return SandboxConfig(**own, **read_switches(SandboxConfig, typed["switches"], OWN))
    except ValueError as error:
        raise ConfigError(f"the sandbox cannot be set so: {error}") from error


def _faults(path: Path) -> Iterable[FaultRule]:
    from scalesync.sandbox import load_faults

    try:
        return load_faults(path)
    except ValueError as error:
        raise ConfigError(str(error)) from error
