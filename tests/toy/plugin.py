"""The package that Toy's platform would be, installed for a test and seen by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from scalesync.platforms import registry
from scalesync.plugins import Plugins
from scalesync.ports.spec import API, PlatformSpec
from tests.plugins import install, project

PYPROJECT = project("scalesync-toy", registry.GROUP, toy="tests.toy.platform.spec:SPEC")


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Lay the package into a folder and let this process find it."""
    install(folder, PYPROJECT, {})
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(folder))
        plugins = Plugins(registry.GROUP, "platform", PlatformSpec, API, registry.BUILT_IN)
        with patch.object(registry, "PLUGINS", plugins):
            yield
