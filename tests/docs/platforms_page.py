"""docs/platforms.md, made from the specs: `python -m tests.docs.platforms_page` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scalesync.flows.runtime.setup import services
from scalesync.flows.runtime.setup.offers import described
from tests.docs.console import ROOT

PAGE = ROOT / "docs" / "platforms.md"
HEAD = """# Platforms

This page is made from what the program knows of each labelling service. `scalesync platforms NAME` prints the same,
with `--json` for programs. scalesync refuses a command that a platform does not offer before it sends anything, and
gives the reason.

`--platform` or a profile's `platform` chooses one; else the host of the API address does, else it is `scale`. Where a
service has several versions of its API, each is a platform, and `--api` or a profile's `api` chooses among them; else
the type of the tasks of an import does. Another package can add a platform, which is loaded only where its name is
given. `--with KEY=VALUE` sets an option of the platform. An import into a platform that keeps no key of a record needs
`--at-least-once`.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, *("\n".join(section(described(services.spec_of(name)))) for name in services.platform_names().own)]
    return "\n".join(parts) + "\n"


def section(one: Mapping[str, Any]) -> Iterator[str]:
    """One platform."""
    key = one["key"]
    yield f"## {one['title']}\n"
    yield "| | |\n|---|---|"
    yield f"| `--platform` | `{one['platform']}` |"
    if one["api"]:
        yield f"| `--api` | `{one['api']}` |"
    yield f"| API address | {'`' + one['url'] + '`' if one['url'] else 'each installation has its own'} |"
    yield f"| environment | `{one['variables']['key']}`, `{one['variables']['url']}` |"
    within = f", unique within a {key['within']}" if key["within"] else ""
    yield f"| key of a record | `{key['name']}`{within} |"
    yield f"| an import | {key['promise']} |"
    for option in one["options"]:
        yield f"| `--with {option['option']}=...` | {option['words']} |"
    yield "\n| command | | how, or why not |\n|---|---|---|"
    for offer in one["offers"]:
        yield f"| `{offer['command']}` | {'yes' if offer['works'] else 'no'} | {offer['words']} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
