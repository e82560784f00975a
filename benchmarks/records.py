"""Records to import: imageannotation tasks of about 300 bytes, with sequential or random ids."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

SEED = 5
CAMERAS = ("front", "left", "right", "rear")


def sequential_id(number: int) -> str:
    """30 characters, ascending."""
    return f"fleet-07-drive-0042-fr-{number:07d}"


def ids(kind: str, count: int) -> Iterator[str]:
    """`sequential`, or `hash`: 32 hexadecimal digits in random order."""
    rng = random.Random(SEED)
    for number in range(count):
        yield sequential_id(number) if kind == "sequential" else f"{rng.getrandbits(128):032x}"


def record(key: str, number: int) -> bytes:
    """One line without its end."""
    value = {
        "unique_id": key,
        "instruction": "Draw a box around each vehicle.",
        "attachment_type": "image",
        "attachment": f"https://frames.example.com/drive-0042/{CAMERAS[number % 4]}/{number:09d}.jpg",
        "geometries": {"box": {"objects_to_annotate": ["car", "truck", "bus"], "min_width": 8, "min_height": 8}},
        "metadata": {"frame": number, "camera": CAMERAS[number % 4], "drive": "0042"},
    }
    return json.dumps(value, separators=(",", ":")).encode()


def records_file(folder: Path, kind: str, count: int) -> Path:
    """A JSONL file with so many records, written unless it is there already."""
    path = folder / f"records-{kind}-{count}.jsonl"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            file.writelines(record(key, number) + b"\n" for number, key in enumerate(ids(kind, count)))
        unfinished.replace(path)
    return path
