"""The commands that a platform offers, and the refusal of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.errors import ConfigError
from scalesync.ports.changes import ChangeSpec
from scalesync.ports.operation import Repeat
from scalesync.ports.spec import PlatformSpec

IN_DOUBT = {
    Repeat.IDEMPOTENT: "",
    Repeat.COMPARE_FIRST: "; one that got no answer is looked up before it is made again",
    Repeat.ONCE: "; one that got no answer is never made again, and stays unclear",
}


def require(platform: PlatformSpec, *commands: str) -> None:
    """Refuse a command that the platform does not offer.

    commands: as typed, such as `export --incremental`.

    Raises ConfigError with the platform's own reason. A command that `offers` does not name is allowed.
    """
    for command in commands:
        offer = platform.offers.get(command)
        if offer is not None and not offer.works:
            raise ConfigError(f"`scalesync {command}` does not work with {platform.title}: {offer.words}")


def described(platform: PlatformSpec) -> Mapping[str, Any]:
    """A platform as `scalesync platforms --json` prints it."""
    key, words = platform.key, platform.vocabulary
    return {
        "platform": platform.name,
        "title": platform.title,
        "api": platform.version,
        "url": platform.default_url,
        "hosts": list(platform.hosts),
        "variables": {"key": platform.variables.key, "url": platform.variables.url},
        "key": {
            "name": words.key,
            "strength": key.strength.value,
            "landing_seconds": key.landing_s,
            "within": words.project if key.namespaced else None,
            "promise": key.promise,
        },
        "limits": [
            {"requests": cls.value, "rate": limit.rate, "width": limit.width} for cls, limit in platform.limits.items()
        ],
        "options": [{"option": name, "words": option.words} for name, option in platform.options.items()],
        "offers": [
            {"command": command, "works": offer.works, "words": offer.words}
            for command, offer in platform.offers.items()
        ]
        + [{"command": f"apply {name}", "works": True, "words": _how(spec)} for name, spec in platform.changes.items()],
        "changes": [_change(spec) for spec in platform.changes.values()],
    }


def _how(spec: ChangeSpec) -> str:
    """A change in one line: what it does, a request in doubt, and the way back."""
    back = f"undone by {spec.undone_by}" if spec.undone_by else "cannot be undone, so it asks first"
    return f"{spec.words}{IN_DOUBT[spec.repeat]}; {back}"


def _change(spec: ChangeSpec) -> Mapping[str, Any]:
    return {
        "operation": spec.name,
        "words": spec.words,
        "changes": spec.subject,
        "repeat": spec.repeat.value,
        "undone_by": spec.undone_by or None,
        "arguments": [
            {"argument": name, "takes": argument.takes.value, "needed": argument.needed, "words": argument.words}
            for name, argument in spec.arguments.items()
        ],
    }
