"""The keyring library as it is, with a backend of our own in place of the desktop's; its lowest version does it too."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("keyring") is None, reason="needs scalesync[keyring]")

KEY = "live_0123456789abcdef"
KEY_VARIABLE = "SCALE_API_KEY"
BACKEND = f"""
from keyring.backend import KeyringBackend

class Own(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        if username == "locked":
            raise RuntimeError("{KEY} is locked")
        return "{KEY}" if (service, username) == ("scalesync", "acme") else None

    set_password = delete_password = None
"""
ASK = """
import sys
from pathlib import Path
from scalesync.config import profiles
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.errors import ConfigError

profiles._user_folder = lambda: Path("user")
try:
    print("the key is", resolve_settings(profile=sys.argv[1] or None, environ={}).api_key)
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("backend", "account", "told"),
    [
        ("own_backend.Own", "acme", f"the key is {KEY}\n"),
        ("own_backend.Own", "other", f"no API key: set {KEY_VARIABLE}"),
        ("own_backend.Own", "locked", f"the system keyring failed (RuntimeError); unlock it, or set {KEY_VARIABLE}\n"),
        ("keyring.backends.fail.Keyring", "acme", f"no API key: set {KEY_VARIABLE}"),
        ("keyring.backends.null.Keyring", "acme", f"no API key: set {KEY_VARIABLE}"),
    ],
)
def test_the_library_answers_by_account_or_the_sentence_says_why_not(
    backend: str, account: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "own_backend.py").write_text(BACKEND, "utf-8")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "work.toml").write_text(f'account = "{account}"\n', "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCALE_")}
    paths = os.pathsep.join(path for path in (str(tmp_path), os.environ.get("PYTHONPATH", "")) if path)
    environment |= {"PYTHON_KEYRING_BACKEND": backend, "PYTHONPATH": paths, "HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", ASK, "work"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.stdout.startswith(told), ended.stderr
    assert (KEY in ended.stdout + ended.stderr) == told.startswith("the key is")
