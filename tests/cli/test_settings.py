"""Where the program sends what it sends: the profile that was typed, though the environment names another account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import KEY, LIVE_KEY, Run, Served, sandbox

IMPORT = ("import", "one.jsonl", "--type", "categorization", "--project", "letters")
PROJECT = ("--project", "letters=categorization")


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with sandbox(tmp_path_factory.mktemp("production"), *PROJECT) as running:
        yield running


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with sandbox(tmp_path_factory.mktemp("staging"), *PROJECT) as running:
        yield running


@pytest.fixture(autouse=True)
def _one_record(tmp_path: Path) -> None:
    row = {"unique_id": tmp_path.name, "attachment": "a", "attachment_type": "text", "categories": ["a", "b"]}
    (tmp_path / "one.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "config").mkdir()


def made(production: Served, staging: Served) -> list[int]:
    """How many tasks the live account and the staging account hold."""
    return [production.tasks("live"), staging.tasks("test")]


def test_a_named_profile_sends_nothing_to_the_account_of_the_environment(
    run: Run, production: Served, staging: Served, tmp_path: Path
) -> None:
    (tmp_path / "config" / "staging.toml").write_text(f'base_url = "{staging.base_url}"\napi_key_env = "STAGING_KEY"\n')
    before = made(production, staging)
    environ = {"SCALE_API_URL": production.base_url, "STAGING_KEY": KEY}
    ended = run("--profile", "staging", *IMPORT, "--json", key=LIVE_KEY, env=environ)
    assert (ended.code, ended.json["target"], ended.json["mode"]) == (0, staging.base_url, "test"), ended.err
    assert made(production, staging) == [before[0], before[1] + 1]
    assert "environment" not in ended.err


def test_what_a_named_profile_leaves_to_the_environment_is_said_before_anything_is_sent(
    run: Run, production: Served, staging: Served, tmp_path: Path
) -> None:
    (tmp_path / "config" / "staging.toml").write_text('account = "staging"\n')
    before = made(production, staging)
    ended = run("--profile", "staging", *IMPORT, key=LIVE_KEY, env={"SCALE_API_URL": production.base_url})
    assert ended.code == 0, ended.err
    first = ended.err.splitlines()[0]
    assert "profile 'staging' leaves to the environment: the live key of SCALE_API_KEY" in first
    assert f"the address of SCALE_API_URL, {production.base_url}" in first
    assert made(production, staging) == [before[0] + 1, before[1]]


def test_an_option_beats_profile_and_environment(run: Run, production: Served, staging: Served, tmp_path: Path) -> None:
    (tmp_path / "config" / "live.toml").write_text(f'base_url = "{production.base_url}"\n')
    before = made(production, staging)
    environ = {"SCALE_API_URL": production.base_url}
    ended = run("--profile", "live", *IMPORT, "--base-url", staging.base_url, env=environ)
    assert ended.code == 0, ended.err
    assert made(production, staging) == [before[0], before[1] + 1]
