"""The real data sets with the example templates: every record builds, in the counts that are known."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from scalesync.mapping.body import BodyBuilder, BodySpec
from scalesync.mapping.seen import SeenTable, Sight
from scalesync.mapping.template import Template
from scalesync.model.records import SourceRecord
from scalesync.platforms.scale.spec import SPEC
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SCALESYNC_SHARED", ROOT.parent / "shared")) / "data"
EXAMPLES = ROOT / "config" / "examples"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data sets are not here")

REQUIRED = {
    "categorization": {"attachment", "attachment_type", "categories"},
    "comparison": {"attachments", "attachment_type", "choices"},
    "imageannotation": {"attachment", "geometries"},
    "videoannotation": {"attachment", "attachment_type", "geometries"},
    "lidarannotation": {"attachments", "attachment_type", "labels"},
}


@pytest.mark.parametrize(
    ("example", "sources", "type_", "header", "count", "repeated"),
    [
        ("banking77", ["banking77-restaurant8k/banking77_*.csv"], "categorization", None, 13_083, 0),
        ("clinc", ["clinc150-imbalanced/*.parquet"], "categorization", None, 19_225, 1),
        ("nlvr2", ["nlvr2-image-pairs/*.json.gz"], "comparison", None, 20_908, 0),
        ("taco", ["taco-litter-boxes/all_image_urls.csv"], "imageannotation", ("small", "large"), 4_618, 5),
        ("kinetics", ["kinetics600-videos/*.csv"], "videoannotation", None, 102_924, 0),
        ("pandaset", ["lidar-sensor-fusion/pandaset_cuboids_seq001"], "lidarannotation", None, 10, 0),
    ],
)
def test_every_record_builds(
    example: str, sources: list[str], type_: str, header: Any, count: int, repeated: int
) -> None:
    if example == "clinc":
        pytest.importorskip("pyarrow")
    options = ReadOptions(header=header and ("url_640", "url_original"))
    files = open_sources([str(DATA / source) for source in sources], options)
    template = Template.load(EXAMPLES / f"{example}.toml")
    builder = BodyBuilder(BodySpec(type_, project=example, template=template), SPEC.shaper)
    seen = SeenTable()
    read = same = 0
    for number, source in enumerate(files):
        for block in source.blocks():
            for record in block.records:
                assert isinstance(record, SourceRecord), record
                out = builder.build(record, number)
                read += 1
                sight = seen.add(out.key, out.content)
                assert sight is not Sight.OTHER
                same += sight is Sight.SAME
                if read % 997 == 1:
                    check(out.body, type_)
    assert (read, same) == (count, repeated)


def check(data: bytes, type_: str) -> None:
    body = json.loads(data)
    assert REQUIRED[type_] <= body.keys()
    assert body.keys() <= REQUIRED[type_] | {
        *("instruction", "metadata", "unique_id", "project", "allow_multiple", "attachment_type")
    }
    assert all(url.startswith("http") for url in body.get("attachments", []))
    assert len(json.dumps(body["metadata"])) < 10_000


def test_clinc_numbers_stay_numbers_and_are_all_named() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = DATA / "clinc150-imbalanced" / "test-00000-of-00001.parquet"
    facts = json.loads(parquet.ParquetFile(path).schema_arrow.metadata[b"huggingface"])
    template = Template.load(EXAMPLES / "clinc.toml")
    task = template.render({"text": "x", "intent": 3})
    assert task["categories"] == facts["info"]["features"]["intent"]["names"]
    assert task["metadata"]["intent"] == 3


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("banking77-restaurant8k/restaurant8k_train_0.json.gz", 8_198),
        ("banking77-restaurant8k/restaurant8k_test.json", 3_731),
        ("prodigy-annotations/*.jsonl*", 1_235 + 500 + 149 + 523 + 2_000),
        ("taco-litter-boxes/annotations.json.gz", 1),
        ("lidar-sensor-fusion/scale_sample", 18),
        ("scale-api-recordings/sail_examples/tasks.csv", 1),
        ("scale-api-recordings/sail_examples/tasks.json", 1),
    ],
)
def test_other_real_files_read_without_complaint(source: str, count: int) -> None:
    found = [
        record
        for file in open_sources([str(DATA / source)], ReadOptions())
        for block in file.blocks()
        for record in block.records
    ]
    assert all(isinstance(record, SourceRecord) for record in found)
    assert len(found) == count
