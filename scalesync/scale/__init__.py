"""The client of Scale's API, for programs: `from scalesync.scale import AsyncScaleClient`.

`Client` is the same without async, for scripts. Both are made of one table of endpoints
(`scalesync.platforms.scale.api`), as `scalesync scale` is. The names below are the interface; they are imported on
first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalesync.platforms.scale.api.errors import (
        ScaleDuplicateResource,
        ScaleError,
        ScaleForbidden,
        ScaleInternalError,
        ScaleInvalidRequest,
        ScaleNotEnabled,
        ScaleResourceNotFound,
        ScaleServiceUnavailable,
        ScaleTimeoutError,
        ScaleTooManyRequests,
        ScaleUnauthorized,
    )
    from scalesync.scale.client import AsyncScaleClient
    from scalesync.scale.listing import BlockingListing, Envelope, Listing
    from scalesync.scale.sync import Client

__all__ = [
    "AsyncScaleClient",
    "BlockingListing",
    "Client",
    "Envelope",
    "Listing",
    "ScaleDuplicateResource",
    "ScaleError",
    "ScaleForbidden",
    "ScaleInternalError",
    "ScaleInvalidRequest",
    "ScaleNotEnabled",
    "ScaleResourceNotFound",
    "ScaleServiceUnavailable",
    "ScaleTimeoutError",
    "ScaleTooManyRequests",
    "ScaleUnauthorized",
]

_HOMES = {
    "AsyncScaleClient": "scalesync.scale.client",
    "Client": "scalesync.scale.sync",
    "BlockingListing": "scalesync.scale.listing",
    "Envelope": "scalesync.scale.listing",
    "Listing": "scalesync.scale.listing",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "scalesync.platforms.scale.api.errors")), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
