"""`scalesync platforms`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from scalesync.cli.command import SyncCommand
from scalesync.cli.invocation import Invocation
from scalesync.cli.output import facts, need_output, say, say_json, table
from scalesync.cli.types import Positional
from scalesync.text import either


@click.command(
    "platforms",
    cls=SyncCommand,
    commons=("log_file", "log_format", "json", "verbose", "quiet"),
    examples=("scalesync platforms", "scalesync platforms scale", "scalesync platforms --json"),
)
@click.argument("name", cls=Positional, help="a platform: all that it offers, with reasons", required=False)
@click.pass_obj
def platforms_command(invocation: Invocation, /, name: str | None) -> int:
    """List the labelling services, or say what one offers: commands, what its key promises, variables and address.

    It sends no request and needs no key. A platform of another package is loaded only when its name is given.
    """
    from scalesync.flows.runtime.setup import services
    from scalesync.flows.runtime.setup.offers import described

    known = services.platform_names()
    shown = [described(services.spec_of(one)) for one in (known.own if name is None else [name])]
    need_output()
    if invocation.common.json:
        say_json({"platforms": shown, **({"plugins": list(known.plugins)} if name is None else {})})
    elif name is not None:
        _show(shown[0])
    else:
        rows = [(one["platform"], one["title"], one["api"] or "", _first_part(one["key"]["promise"])) for one in shown]
        rows += [(plugin, "of another package", "", f"scalesync platforms {plugin}") for plugin in known.plugins]
        for line in table(("platform", "service", "--api", "an import"), rows):
            say(line)
    return 0


def _first_part(promise: str) -> str:
    return promise.partition(":")[0]


def _limit(limit: Mapping[str, Any], hosts: Sequence[str]) -> str:
    parts = []
    if limit["rate"] is not None:
        unit = "" if "/" in limit["rate"] else "/s"
        parts.append(f"{limit['rate']}{unit} at {either(hosts)}")
    if limit["width"] is not None:
        parts.append(f"{limit['width']} at a time")
    return ", ".join(parts)


def _show(one: Mapping[str, Any]) -> None:
    key = one["key"]
    within = f", unique within a {key['within']}" if key["within"] else ""
    about: dict[str, str | int] = {
        "platform": f"{one['platform']} ({one['title']})",
        **({"version": f"--api {one['api']}"} if one["api"] else {}),
        "address": one["url"] or "each installation has its own",
        "variables": f"{one['variables']['key']}, {one['variables']['url']}",
        "key": f"{key['name']}{within}",
        "an import": key["promise"],
    }
    for limit in one["limits"]:
        about[f"{limit['requests']} requests"] = _limit(limit, one["hosts"])
    for option in one["options"]:
        about[f"--with {option['option']}"] = option["words"]
    say(facts(about))
    say("")
    rows = [(offer["command"], "yes" if offer["works"] else "no", offer["words"]) for offer in one["offers"]]
    if not rows:
        say("it says nothing about single commands, so scalesync refuses none beforehand")
        return
    for line in table(("command", "works", "how, or why not"), rows):
        say(line)
