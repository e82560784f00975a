"""For authors of platforms: the suite that a platform must pass.

    harness         what the suite must know of a platform, written once for each
    trial           one emulator, one folder, one ledger, and what is done with them
    processes       the program in a process of its own, killed at a chosen request
    imports, faults, retries, keys, kills, exports, increments, export_files, checks, rebuilds
                    the tests, a class for each promise
    platform_suite  all of them

The suite needs pytest and nothing else that scalesync does not need itself. docs/extending.md has an example.
"""

import pytest

_SUITES = (
    "checks",
    "export_files",
    "exports",
    "faults",
    "imports",
    "increments",
    "keys",
    "kills",
    "rebuilds",
    "retries",
)
for _name in (*_SUITES, "platform_suite", "trial"):
    pytest.register_assert_rewrite(f"{__name__}.{_name}")  # so that a failure shows both sides
