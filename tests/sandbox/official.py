"""The official SDK's own tests, as its authors publish them, run against the sandbox: `make proof-sdk`.

The package registry has them in the source of the SDK. They are run from where they are found, and none is kept here.
As a plug-in of that run, this module leads the SDK to the sandbox.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tarfile
import tempfile
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "sdk"
ADDRESS, FOLDER = "SCALESYNC_SDK_SANDBOX", "SCALESYNC_SDK_TESTS"
FILES = ("test_client.py", "test_v2_client.py")
# The tests upload a picture that the source package leaves out; any picture will do.
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAAMBAQB5m3GpAAAAAElFTkSuQmCC"


@dataclass
class Outcome:
    """How it went. counts: of passed, failed and skipped tests; words: why, by the name of each that did not pass."""

    counts: Counter[str] = field(default_factory=Counter)
    words: dict[str, str] = field(default_factory=dict)


def found() -> Path | None:
    """The folder of the SDK's tests: $SCALESYNC_SDK_TESTS, or where `make proof-sdk` puts them."""
    named = os.environ.get(FOLDER)
    folder = Path(named) if named else HOME / f"scaleapi-{version('scaleapi')}" / "tests"
    return folder if (folder / FILES[0]).exists() else None


def get() -> Path:
    """Fetch the source of the installed SDK from the package registry."""
    wanted = f"scaleapi=={version('scaleapi')}"
    HOME.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"]
    subprocess.run([*command, HOME, wanted], check=True)
    (packed,) = HOME.glob(f"{wanted.replace('==', '-')}.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(HOME, filter="data")
    folder = HOME / packed.name.removesuffix(".tar.gz") / "tests"
    if not (folder / "test_image.png").exists():
        (folder / "test_image.png").write_bytes(b64decode(PICTURE))
    return folder


async def run(folder: Path) -> Outcome:
    """Run the tests against a sandbox of their own."""
    from scalesync.sandbox import Sandbox, SandboxConfig  # noqa: PLC0415  the plug-in's process needs none

    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.xml"
        options = ["-q", "-p", "tests.sandbox.official", "-p", "no:cacheprovider", "-p", "no:asyncio"]
        async with Sandbox(SandboxConfig()) as sandbox:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pytest", *options, f"--junit-xml={report}", "--rootdir=.", "-c", os.devnull),
                *(f"{folder.name}/{file}" for file in FILES if (folder / file).exists()),
                cwd=folder.parent,
                env={
                    **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
                    "PYTHONPATH": str(ROOT),
                    "SCALE_TEST_API_KEY": "test_official",
                    ADDRESS: sandbox.origin,
                },
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            printed, _ = await process.communicate()
        if not report.exists():
            raise RuntimeError(f"the tests did not run: {printed.decode(errors='replace')[-1000:]}")
        return _read(report)


def _read(report: Path) -> Outcome:
    outcome = Outcome()
    for case in ElementTree.parse(report).iter("testcase"):
        wrong = next((part for part in case if part.tag in {"failure", "error", "skipped"}), None)
        kind = "passed" if wrong is None else "skipped" if wrong.tag == "skipped" else "failed"
        outcome.counts[kind] += 1
        if wrong is not None:
            outcome.words[str(case.get("name"))] = str(wrong.get("message"))
    return outcome


def pytest_configure(config: pytest.Config) -> None:
    """Lead the SDK to the sandbox, where this is a plug-in of its tests."""
    origin = os.environ.get(ADDRESS)
    if not origin:
        return
    import scaleapi.api  # noqa: PLC0415  for this process alone
    from scaleapi.api_client.v2 import Configuration  # noqa: PLC0415

    scaleapi.api.SCALE_API_BASE_URL_V1 = f"{origin}/v1"
    plain = Configuration.__init__
    Configuration.__init__ = lambda self, host=None, **more: plain(self, host=host or origin, **more)


def main() -> None:
    """Fetch them if they are not here, run them, say how it went. Exits with 1 if one failed."""
    outcome = asyncio.run(run(found() or get()))
    lines = [f"scaleapi {version('scaleapi')}: " + ", ".join(f"{n} {kind}" for kind, n in outcome.counts.items())]
    lines += [f"  {name}: {words}" for name, words in outcome.words.items()]
    sys.stdout.write("\n".join([*lines, ""]))
    sys.exit(1 if outcome.counts["failed"] else 0)


if __name__ == "__main__":
    main()
