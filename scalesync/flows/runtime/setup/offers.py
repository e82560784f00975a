"""The commands that a platform offers, and the refusal of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.errors import ConfigError
from scalesync.ports.spec import PlatformSpec


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
        ],
    }
