"""What the figures mean for a person with a million records: how long, and what the machine does meanwhile."""

from __future__ import annotations

from typing import Any

from benchmarks.tables import amount, duration, table

Json = dict[str, Any]
MILLION = 1_000_000
DAY_S = 86_400


def lasting(figures: Json) -> list[str]:
    """A million tasks: time, and use of the machine, at 30/s, at 300/s and without limit."""
    rows = [*_paced_rows(figures), *_unlimited_rows(figures)]
    head = ["a million tasks", "takes", "CPU, share of one core", "peak memory MB", "written to disk MB", "sent KB/s"]
    return table([*head, "received KB/s"], rows)


def _paced_rows(figures: Json) -> list[list[str]]:
    paced = figures.get("paced")
    if paced is None:
        return []
    rows = []
    for name, found in paced["rates"].items():
        rate = float(name)
        rows.append(
            [
                f"at {name}/s",
                duration(MILLION / rate),
                f"{found['cpu_share'] * 100:.1f} %",
                amount(_peak(figures, found["peak_mb"], found["tasks"])),
                amount(found["written_bytes_per_task"]),
                *_network(figures, rate),
            ]
        )
    return rows


def _unlimited_rows(figures: Json) -> list[list[str]]:
    titles = (("tls", "no limit, TLS, 50 ms away, 300 in flight"), ("sequential", "no limit, no latency, 64 in flight"))
    rows = []
    for name, title in titles:
        scenario = figures.get("imports", {}).get(name)
        if scenario is None:
            continue
        found = scenario["peers"]["scalesync"]["figures"]
        rate = found["tasks_per_s"]["median"]
        rows.append(
            [
                title,
                duration(MILLION / rate),
                f"{found['cpu_s']['median'] / found['wall_s']['median'] * 100:.0f} %",
                amount(_peak(figures, found["peak_mb"]["median"], found["tasks"]["median"])),
                amount(found["written_mb"]["median"] / found["tasks"]["median"] * MILLION),
                *_network(figures, rate),
            ]
        )
    return rows


def _peak(figures: Json, measured: float, tasks: float) -> float:
    """Of the short run, and what the records that it lacks of a million add to it, where that was measured."""
    millions = figures.get("million")
    if millions is None:
        return measured
    grown = max(0.0, millions["peak_growth_mb"]) / (millions["records"] - millions["small_records"])
    return measured + float(grown * (MILLION - tasks))


def _network(figures: Json, rate: float) -> list[str]:
    paced = figures.get("paced")
    if paced is None:
        return ["", ""]
    return [amount(paced[name] * rate / 1000) for name in ("bytes_sent_per_task", "bytes_received_per_task")]


def kept_rates(figures: Json) -> list[str]:
    """What was measured at the kept rates."""
    paced = figures.get("paced")
    if paced is None:
        return ["Not measured in the run that this page was made from."]
    rows = [
        [
            f"{name}/s",
            f"{found['tasks']:,}",
            amount(found["wall_s"]),
            amount(found["tasks_per_s"]),
            amount(found["cpu_us_per_task"]),
            amount(found["written_bytes_per_task"]),
        ]
        for name, found in paced["rates"].items()
    ]
    sent, received = paced["bytes_sent_per_task"], paced["bytes_received_per_task"]
    return [
        *table(["rate", "tasks", "wall s", "tasks/s", "CPU us/task", "bytes written/task"], rows),
        "",
        f"A create sends {sent} bytes and receives {received}, heads included, TLS and TCP not.",
    ]
