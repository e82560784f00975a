"""The other clients, each started as a process of its own.

    python -m benchmarks.peers bare --url http://127.0.0.1:8899/v1 --file records.jsonl --in-flight 64
    python -m benchmarks.peers sdk --url ... --file ... --in-flight 30 --limit 1000
    python -m benchmarks.peers dlt-export --url ... --project bench --out folder

Importers POST each line of a JSONL file, read the reply and take its task_id; none keeps a ledger or looks anything up.
Exporters read all tasks of a project. Each prints how many tasks it saw. Imports stay inside the functions: a client
pays for its own libraries only.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import warnings
from collections.abc import Callable, Coroutine, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

TASK_TYPE = "imageannotation"


def lines(args: argparse.Namespace) -> Iterator[bytes]:
    """The records as they stand in the file, without their line ends."""
    with open(args.file, "rb") as file:
        for line in islice(file, args.limit):
            yield line.rstrip(b"\n")


def headers() -> dict[str, str]:
    """What every create needs."""
    key = os.environ["SCALE_API_KEY"]
    token = base64.b64encode(f"{key}:".encode()).decode("ascii")
    return {"Authorization": f"Basic {token}", "Content-Type": "application/json", "Accept": "application/json"}


def sdk(args: argparse.Namespace) -> int:
    """The official SDK's create_task; with in_flight > 1 in a pool of so many threads."""
    from concurrent.futures import ThreadPoolExecutor

    client, task_type = _scale_client(args)

    def create(line: bytes) -> str:
        return str(client.create_task(task_type, **json.loads(line)).id)

    if args.in_flight == 1:
        return sum(1 for line in lines(args) if create(line))
    with ThreadPoolExecutor(args.in_flight) as pool:
        return sum(1 for ref in pool.map(create, lines(args)) if ref)


def _scale_client(args: argparse.Namespace) -> tuple[Any, Any]:
    warnings.simplefilter("ignore")
    import scaleapi  # type: ignore[import-untyped]
    from scaleapi.tasks import TaskType  # type: ignore[import-untyped]

    return scaleapi.ScaleClient(os.environ["SCALE_API_KEY"], api_instance_url=args.url), TaskType(TASK_TYPE)


def httpx(args: argparse.Namespace) -> int:
    """httpx's AsyncClient, one loop per request in flight, on uvloop."""

    async def run() -> int:
        from httpx import AsyncClient, Limits

        url = f"{args.url}/task/{TASK_TYPE}"
        limits = Limits(max_connections=args.in_flight, max_keepalive_connections=args.in_flight)
        async with AsyncClient(limits=limits, headers=headers(), timeout=60) as client:

            async def create(line: bytes) -> str:
                response = await client.post(url, content=line)
                response.raise_for_status()
                return str(response.json()["task_id"])

            return await _workers(args, create)

    return _on_uvloop(run)


def bare(args: argparse.Namespace) -> int:
    """aiohttp's ClientSession on uvloop: the loop that one would write by hand, with orjson."""

    async def run() -> int:
        import aiohttp
        import orjson

        url = f"{args.url}/task/{TASK_TYPE}"
        connector = aiohttp.TCPConnector(limit=args.in_flight)
        async with aiohttp.ClientSession(connector=connector, headers=headers(), trust_env=False) as session:

            async def create(line: bytes) -> str:
                orjson.loads(line)
                async with session.post(url, data=line) as response:
                    body = await response.read()
                if response.status != 200:
                    raise RuntimeError(f"answered {response.status}: {body[:200]!r}")
                return str(orjson.loads(body)["task_id"])

            return await _workers(args, create)

    return _on_uvloop(run)


async def _workers(args: argparse.Namespace, create: Callable[[bytes], Coroutine[Any, Any, str]]) -> int:
    records = lines(args)

    async def work() -> int:
        done = 0
        for line in records:
            if await create(line):
                done += 1
        return done

    return sum(await asyncio.gather(*(work() for _ in range(args.in_flight))))


def _on_uvloop(run: Callable[[], Coroutine[Any, Any, int]]) -> int:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(run())
    return uvloop.run(run())


def sdk_export(args: argparse.Namespace) -> int:
    """The official SDK's get_tasks, counted and thrown away: it writes nothing."""
    client, _ = _scale_client(args)
    return sum(1 for _ in client.get_tasks(project_name=args.project, include_attachment_url=False))


def dlt_export(args: argparse.Namespace) -> int:
    """dlt's REST source with its cursor paginator, into JSONL files."""
    warnings.simplefilter("ignore")
    import dlt
    from dlt.sources.rest_api import rest_api_source

    auth: Any = {"type": "http_basic", "username": os.environ["SCALE_API_KEY"], "password": ""}
    paginator: Any = {"type": "cursor", "cursor_path": "next_token", "cursor_param": "next_token"}
    endpoint: Any = {"path": "tasks", "params": {"project": args.project, "limit": 100}, "data_selector": "docs"}
    resource: Any = {"name": "tasks", "endpoint": endpoint, "max_table_nesting": 0}
    source = rest_api_source(
        {
            "client": {"base_url": args.url + "/", "auth": auth, "paginator": paginator},
            "resources": [resource],
        }
    )
    folder = Path(args.out).resolve()
    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.filesystem(str(folder / "data")),
        dataset_name="tasks",
        pipelines_dir=str(folder / "state"),
    )
    pipeline.run(source, loader_file_format="jsonl")
    trace: Any = pipeline.last_trace
    return int(trace.last_normalize_info.row_counts["tasks"])


PEERS: dict[str, Callable[[argparse.Namespace], int]] = {
    "sdk": sdk,
    "httpx": httpx,
    "bare": bare,
    "sdk-export": sdk_export,
    "dlt-export": dlt_export,
}


def main() -> None:
    """Run one client to its end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--url", required=True, help="v1 root")
    parser.add_argument("--file", help="JSONL file of records")
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--limit", type=int, help="only the first so many records")
    parser.add_argument("--project")
    parser.add_argument("--out", help="folder for what is exported")
    args = parser.parse_args()
    print(PEERS[args.peer](args))


if __name__ == "__main__":
    main()
