"""Single calls through `AsyncScaleClient` beside the official SDK and a bare aiohttp session, in one run.

    python -m benchmarks.calls                     five rounds, figures into docs/performance.md
    python -m benchmarks.calls --rounds 1 --scale 0.1 --no-page

Two questions. Over TLS at 50 ms: how many tasks a second does each client get? Without latency: how much CPU do gets
and pages of a list cost next to a session that does the same calls and nothing else? Each client is a process of its
own, and measures its calls alone, not its start. What counts is the quotient within a round.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from benchmarks import machine, page
from benchmarks.measure import (
    ROOT,
    Figures,
    RunFailed,
    environment,
    in_turn,
    ratio,
    run_process,
    summarized,
)
from benchmarks.nginx import NoNginx, serving
from benchmarks.peers import headers

ID = "5c84d0efc4fd4f0075d11f8c"
THREADS, IN_FLIGHT = 30, 300
TLS_CALLS = {"sdk-30": 1_200, "bare": 12_000, "scalesync": 12_000}
GETS, PAGES = 10_000, 1_000
PAGE_SIZE = 100
Asked = tuple[str, int, int]  # v1 root, gets, pages


def sdk(asked: Asked) -> Callable[[], int]:
    """The official SDK's get_task in 30 threads."""
    from concurrent.futures import ThreadPoolExecutor

    import scaleapi  # type: ignore[import-untyped]

    url, gets, _ = asked
    client = scaleapi.ScaleClient(os.environ["SCALE_API_KEY"], api_instance_url=url)

    def work() -> int:
        with ThreadPoolExecutor(THREADS) as pool:
            return sum(task.id == ID for task in pool.map(client.get_task, [ID] * gets))

    return work


def ours(asked: Asked) -> Callable[[], int]:
    """AsyncScaleClient, which finds out itself how many calls may be under way."""
    from scalesync.scale import AsyncScaleClient

    async def work() -> int:
        url, gets, pages = asked
        async with AsyncScaleClient(base_url=url) as client:

            async def get() -> bool:
                return bool((await client.get_task(ID)).task_id == ID)

            done = await _many(get, gets)
            listing = client.get_tasks(project_name=f"pages{pages}", page_size=PAGE_SIZE)
            return done + (sum([task.task_id == ID async for task in listing]) // PAGE_SIZE if pages else 0)

    return lambda: asyncio.run(work())


def bare(asked: Asked) -> Callable[[], int]:
    """aiohttp's ClientSession, with orjson: the loop that one would write by hand."""
    import aiohttp
    import orjson

    async def work() -> int:
        url, gets, pages = asked
        connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
        async with aiohttp.ClientSession(connector=connector, headers=headers()) as session:

            async def read(path: str, **query: str) -> Any:
                async with session.get(url + path, params=query) as response:
                    response.raise_for_status()
                    return orjson.loads(await response.read())

            async def get() -> bool:
                return bool((await read(f"/task/{ID}"))["task_id"] == ID)

            done, token = await _many(get, gets), ""
            for _ in range(pages):
                found = await read(
                    "/tasks", project=f"pages{pages}", limit=str(PAGE_SIZE), **({"next_token": token} if token else {})
                )
                done += sum(task["task_id"] == ID for task in found["docs"]) // PAGE_SIZE
                token = found.get("next_token") or ""
            return done

    return lambda: asyncio.run(work())


async def _many(get: Callable[[], Coroutine[Any, Any, bool]], count: int) -> int:
    """So many gets, as many at once as the client can have under way."""
    left = iter(range(count))

    async def work() -> int:
        return sum([await get() for _ in left])

    return sum(await asyncio.gather(*(work() for _ in range(min(IN_FLIGHT, count)))))


CLIENTS: dict[str, Callable[[Asked], Callable[[], int]]] = {"sdk-30": sdk, "bare": bare, "scalesync": ours}


def client_process(name: str, asked: Asked) -> None:
    """One client from its first call to its last; prints its figures."""
    work = CLIENTS[name](asked)
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    print(json.dumps({"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "done": done}))


def measured(server: Any, name: str, gets: int, pages: int = 0) -> Figures:
    """One client in a process of its own. Raises RunFailed if not every call came back with its task."""
    command = [sys.executable, "-m", "benchmarks.calls", "--client", name, "--url", server.base_url]
    sample = run_process([*command, "--gets", str(gets), "--pages", str(pages)], env=environment(server.env))
    said = json.loads(sample.said)
    if said["done"] != gets + pages:
        raise RunFailed(f"{name} made {said['done']} of {gets + pages} calls")
    calls = gets + pages
    return {
        "wall_s": said["wall_s"],
        "tasks": calls,
        "tasks_per_s": calls / said["wall_s"],
        "cpu_us_per_task": said["cpu_s"] / calls * 1e6,
        "peak_mb": sample.peak_mb,
    }


def run(work: Path, rounds: int, scale: float, note: Callable[[str], None], serve: Any = serving) -> dict[str, Any]:
    """Both questions. scale: of the number of calls."""
    began, facts = time.monotonic(), machine.facts(work)
    found: dict[str, Any] = {"rounds": rounds, "machine": facts}
    counts = {name: max(THREADS, int(count * scale)) for name, count in TLS_CALLS.items()}
    with serve(tls=True, latency_ms=50) as server:
        note("gets over TLS at 50 ms")
        found["tls"] = _compared(
            {name: lambda name=name: measured(server, name, counts[name]) for name in counts}, rounds, note
        )
    gets, pages = max(THREADS, int(GETS * scale)), max(2, int(PAGES * scale))
    with serve() as server:
        note(f"{gets:,} gets and {pages:,} pages without latency")
        found["cpu"] = _compared(
            {name: lambda name=name: measured(server, name, gets, pages) for name in ("bare", "scalesync")},
            rounds,
            note,
        )
    found["seconds"] = round(time.monotonic() - began)
    return found


def _compared(runs: dict[str, Callable[[], Figures]], rounds: int, note: Callable[[str], None]) -> dict[str, Any]:
    """The clients in turn, and ours against each of the others."""
    taken = in_turn(runs, rounds, note)
    others = [name for name in runs if name != "scalesync"]
    names = ("tasks_per_s", "cpu_us_per_task")
    return {
        "peers": {name: {"figures": summarized(taken[name]), "rounds": taken[name]} for name in runs},
        "ratios": {
            f"scalesync / {name}": {figure: ratio(taken, "scalesync", name, figure) for figure in names}
            for name in others
        },
    }


def main() -> None:
    """Run, write, render; or be one of the clients."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of calls")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "calls.json")
    parser.add_argument("--no-page", action="store_true", help="leave docs/performance.md alone")
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--gets", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--pages", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        client_process(args.client, (args.url, args.gets, args.pages))
        return
    args.work.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # servers and clients end with this process
    try:
        found = run(args.work, args.rounds, args.scale, lambda line: print(line, file=sys.stderr, flush=True))
    except (NoNginx, RunFailed) as error:
        sys.exit(str(error))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if not args.no_page:
        page.publish(calls=args.out)
    print(json.dumps({name: found[name]["ratios"] for name in ("tls", "cpu")}))


if __name__ == "__main__":
    main()
