"""Where rows belong: platform, address, mode, account and namespace keep jobs, keys and limits apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Database

from scalesync.config.settings import Settings
from scalesync.errors import ConfigError
from scalesync.flows.jobs.failures import write_failures
from scalesync.flows.runtime.identity import job_target
from scalesync.flows.runtime.lease import import_job_of
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import IMPORT_OPTIONS, ImportOptions
from scalesync.ledger.sqlite.connection import open_ledger as connect
from scalesync.ledger.sqlite.schema import migrations
from scalesync.model.jobs import JobSpec
from scalesync.model.rows import RowOutcome, RowState, Verb
from scalesync.model.targets import Mode, RequestClass
from scalesync.platforms import registry
from scalesync.platforms.scale.spec import SPEC
from scalesync.ports.ledger import Ledger
from tests.contract.ledger_suite import LIVE, admit, finish, outs, spec

TOY = replace(LIVE, platform="toy")
CATS, DOGS = replace(TOY, namespace="cats"), replace(TOY, namespace="dogs")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "l.db", note=lambda text: None)
    yield opened
    opened.close()


def test_a_target_of_scale_is_written_as_it_always_was() -> None:
    """Names of jobs and of quotas are made from it."""
    assert str(LIVE) == "https://a.test/v1 (live, account default)"
    assert str(CATS) == "toy at https://a.test/v1 (live, account default) in cats"
    assert len({str(target) for target in (LIVE, TOY, CATS, DOGS)}) == 4
    assert CATS.whole == TOY


async def test_a_key_is_known_within_its_platform_and_namespace_only(ledger: Ledger) -> None:
    for target in (LIVE, TOY, CATS, DOGS):
        job = await ledger.open_import(spec(target=target))
        assert await admit(job, outs(2)) == [Verb.SEND] * 2, str(target)
        await job.save_limits({RequestClass.LIST: {"rate": len(str(target))}})
        await finish(job)
    for target in (LIVE, TOY, CATS, DOGS):
        job = await ledger.open_import(spec(name="again", target=target))
        assert await admit(job, outs(2)) == [Verb.LOOK_UP] * 2, str(target)
        assert await ledger.learned_limits(target) == {RequestClass.LIST: {"rate": len(str(target))}}
    assert {row.target for row in await ledger.jobs()} == {LIVE, TOY, CATS, DOGS}


async def test_a_job_is_found_in_whichever_namespace_it_is(ledger: Ledger) -> None:
    for name, target in (("c", CATS), ("both", CATS), ("both", DOGS), ("s", LIVE)):
        await finish(await ledger.open_import(spec(name=name, target=target)))
    assert (await import_job_of(ledger, TOY, "c")).target == CATS
    assert (await import_job_of(ledger, LIVE, None)).name == "s"
    assert (await import_job_of(ledger, TOY, "both", "dogs")).target == DOGS
    assert (await import_job_of(ledger, TOY, None, "dogs")).target == DOGS
    with pytest.raises(ConfigError, match="no import job both of project birds"):
        await import_job_of(ledger, TOY, "both", "birds")
    for job, told in (
        ("both", "in cats, dogs; name one of these with --project"),
        (None, "name the job"),
        ("s", "no import job s"),
    ):
        with pytest.raises(ConfigError, match=told):
            await import_job_of(ledger, TOY, job)


def test_the_namespace_of_an_import_is_its_project_where_keys_are_unique_within_one() -> None:
    assert job_target(LIVE, SPEC, "cats") == LIVE
    namespaced = replace(SPEC, key=replace(SPEC.key, namespaced=True))
    assert job_target(TOY, namespaced, "cats") == CATS
    with pytest.raises(ConfigError, match="needs --project NAME"):
        job_target(TOY, namespaced, None)


def test_targets_of_an_older_ledger_are_scales_and_all_that_refers_to_them_stays(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        migrations().apply(Database(old), stop_before="m007_platforms")
        for number, account in ((3, "default"), (8, "other")):
            old.execute("INSERT INTO targets VALUES (?, 'https://a.test/v1', 'live', ?, 'then')", (number, account))
            old.execute(
                "INSERT INTO jobs (id, target, name, command, identity, settings, created_at)"
                " VALUES (?, ?, 'j', 'import', '{}', '{}', '')",
                (number * 10, number),
            )
    with closing(connect(path, create=False, note=lambda text: None)) as now:
        assert now.execute("SELECT * FROM targets ORDER BY id").fetchall() == [
            (3, "scale", "https://a.test/v1", "live", "default", "", "then"),
            (8, "scale", "https://a.test/v1", "live", "other", "", "then"),
        ]
        assert now.execute("SELECT id, target FROM jobs ORDER BY id").fetchall() == [(30, 3), (80, 8)]
        assert now.execute("PRAGMA foreign_key_check").fetchall() == []
        assert now.execute("PRAGMA foreign_keys").fetchone() == (1,)
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            now.execute("UPDATE jobs SET target=99 WHERE id=30")
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
            now.execute("INSERT INTO targets VALUES (9, 'scale', 'https://a.test/v1', 'live', 'other', '', '')")
        assert now.execute("SELECT count(*) FROM job_summary").fetchone() == (0,)


def test_a_new_ledger_is_made_as_an_old_one_becomes(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "old.db", isolation_level=None)) as old:
        migrations().apply(Database(old), stop_before="m007_platforms")
    schemas = []
    for name in ("old.db", "new.db"):
        with closing(connect(tmp_path / name, create=True, note=lambda text: None)) as db:
            schemas.append(db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall())
    assert schemas[0] == schemas[1]


async def test_failures_of_all_namespaces_of_an_account_are_written_out_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are of one account, so nobody has to say which is meant."""
    namespaced = replace(SPEC, name="toy", key=replace(SPEC.key, namespaced=True))
    monkeypatch.setattr(registry, "spec_of", lambda name: namespaced)
    (tmp_path / "a.jsonl").write_text('{"n": 1, "unique_id": "k0"}\n')
    ledger = open_ledger(tmp_path / "l.db", note=lambda text: None)
    options = ImportOptions(sources=("a.jsonl",), type="t", folder=str(tmp_path))
    for target in (CATS, DOGS, LIVE):
        asked = JobSpec("j", "import", target, {"sources": ["a"]}, IMPORT_OPTIONS.write(options))
        job = await ledger.open_import(asked)
        await job.register_sources([(str(tmp_path / "a.jsonl"), {"name": "a.jsonl"})])
        await admit(job, outs(1))
        await job.record([RowOutcome("k0", RowState.FAILED, status=400, reason="no")])
        await finish(job)
    ledger.close()
    settings = Settings(base_url=TOY.base_url, api_key="k", mode=Mode.LIVE, ledger=tmp_path / "l.db", platform="toy")
    done = await write_failures(settings, None, None, tmp_path / "out.jsonl")
    assert (done.written, done.left) == (2, ())
    with pytest.raises(ConfigError, match="to say which are meant"):
        await write_failures(replace(settings, api_key=""), None, None, tmp_path / "more.jsonl")
