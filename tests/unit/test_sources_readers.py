"""What a reader says of a file before it reads on: nothing in it, a list inside one object, windows, encodings."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalesync.errors import ConfigError, SourceError
from scalesync.model.records import BadRecord, SourceRecord
from scalesync.sources.bytestream import ByteStream, Progress
from scalesync.sources.formats import jsonguess
from scalesync.sources.formats.jsonwrapped import read_wrapped
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions
from scalesync.sources.recount.files import recount_file
from scalesync.sources.source_file import SourceFile
from scalesync.sources.zstdframe import FrameHeader, is_zstd, read_header, repacking, size_words
from tests.draws import draws

zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def opened(tmp_path: Path, data: bytes | str, name: str = "t.jsonl", **options: Any) -> SourceFile:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    (source,) = open_sources([str(path)], ReadOptions(**options))
    return source


def items(source: SourceFile) -> list[Any]:
    return [item for block in source.blocks() for item in block.records]


def values(source: SourceFile) -> list[Any]:
    found = items(source)
    assert all(isinstance(item, SourceRecord) for item in found), found
    return [item.value for item in found]


# --- files without records -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name", "note"),
    [
        (b"", "t.jsonl", "holds no record: it is empty"),
        (b"", "t.json", "holds no record: it is empty"),
        (b"", "t.csv", "holds no record: it is empty"),
        (b"\n \n", "t.jsonl", "holds no record: it is empty"),
        (b"[ ]\n", "t.json", "holds no record"),
        (b"a,b\n", "t.csv", "holds no record: it has a header and no rows"),
        (b"a\tb", "t.tsv", "holds no record: it has a header and no rows"),
        (b"\xef\xbb\xbfa,b\r\n\r\n", "t.csv", "holds no record: it has a header and no rows"),
        (gzip.compress(b"", mtime=0), "t.jsonl.gz", "holds no record: it is empty"),
        (zstd.compress(b"a,b\n"), "t.csv.zst", "holds no record: it has a header and no rows"),
    ],
)
def test_a_file_without_records_says_so(tmp_path: Path, data: bytes, name: str, note: str) -> None:
    source = opened(tmp_path, data, name)
    assert source.notes == (note,)
    assert items(source) == []


def test_a_parquet_file_without_rows_says_so(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"a": pa.array([], pa.string())}), tmp_path / "t.parquet")
    (source,) = open_sources([str(tmp_path / "t.parquet")], ReadOptions())
    assert source.notes == ("holds no record: it has no rows",)


@pytest.mark.parametrize(
    ("data", "name"), [(b'{"a":1}', "t.jsonl"), (b"[{}]", "t.json"), (b"a\n1\n", "t.csv"), (b"7\n", "t.jsonl")]
)
def test_a_file_with_records_or_complaints_is_not_called_empty(tmp_path: Path, data: bytes, name: str) -> None:
    assert opened(tmp_path, data, name).notes == ()


# --- lists inside one object ---------------------------------------------------------------------


def test_a_list_under_a_key_gives_its_elements(tmp_path: Path) -> None:
    data = json.dumps({"count": 2, "data": {"items": [{"a": 1}, {"a": [{"b": 2}]}]}, "rest": [1, "]"]}, indent=1)
    source = opened(tmp_path, data, "t.json", records="data.items")
    assert [(item.line, item.value) for item in items(source)] == [(1, {"a": 1}), (2, {"a": [{"b": 2}]})]


def test_pages_that_follow_each_other_give_the_elements_of_all(tmp_path: Path) -> None:
    pages = "".join(json.dumps({"items": [{"n": n}, {"n": n + 1}], "next": n}) + "\n" for n in range(0, 6, 2))
    for name in ("t.json", "t.jsonl", "t.ndjson"):
        assert values(opened(tmp_path, pages, name, records="items")) == [{"n": n} for n in range(6)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"a": [{}], "b": 1}', r'holds no list "items" \(there is a, b\)'),
        ('{"items": {"x": 1}}', '"items" is an object, not a list of records'),
        ('{"items": null}', 'holds no list "items"'),
        ("[{}]", "is a list, not an object that holds a list of records; leave --records out"),
    ],
)
def test_a_key_that_is_not_there_ends_the_command_before_anything_is_sent(
    tmp_path: Path, data: str, words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        opened(tmp_path, data, "t.json", records="items")


LITERAL, NESTED = {"a.b": [{"n": 1}]}, {"a": {"x": [], "b": [{"n": 2}, {"n": 3}]}}
DOTTED: list[tuple[list[Any], int, str]] = [
    ([LITERAL], 1, 'the key "a.b": --records a.b takes that, because there is none under "b" inside "a"'),
    ([{**LITERAL, "a": {"c": []}}], 1, "takes that"),
    ([{**LITERAL, "a": 1}, LITERAL], 2, "takes that"),
    ([LITERAL | NESTED], 2, 'the key "a.b" too: --records a.b takes the one under "b" inside "a"'),
    ([NESTED | LITERAL], 2, "takes the one"),
    ([NESTED], 2, ""),
    ([NESTED, LITERAL], 3, ""),
    ([{"a.b": 7} | NESTED], 2, ""),
]


@pytest.mark.parametrize(("pages", "count", "told"), DOTTED)
def test_a_key_with_dots_that_could_be_two_lists_says_which_it_is(
    tmp_path: Path, pages: list[Any], count: int, told: str
) -> None:
    source = opened(tmp_path, "\n".join(json.dumps(page, indent=1) for page in pages), "t.json", records="a.b")
    assert len(items(source)) == count
    assert told in " ".join(source.notes)
    assert bool(source.notes) == bool(told)
    counted = recount_file(str(tmp_path / "t.json"), ReadOptions(records="a.b"))
    assert counted.records == count


def test_what_is_wrong_inside_a_wrapped_list_costs_only_itself(tmp_path: Path) -> None:
    found = items(opened(tmp_path, '{"items": [{"a": 1}, 7,\n{"a": }, {"a": 2}]}\n{"other": []}\n', records="items"))
    assert [(type(item).__name__, item.line) for item in found] == [
        ("SourceRecord", 1),
        ("BadRecord", 2),
        ("BadRecord", 3),
        ("SourceRecord", 4),
        ("BadRecord", 5),
    ]
    assert "is a number, not an object (line 1)" in found[1].reason
    assert 'holds no list "items" (line 3)' in found[4].reason


def test_a_wrapped_list_that_is_cut_off_is_reported(tmp_path: Path) -> None:
    found = items(opened(tmp_path, '{"items": [{"a": 1}, {"a": 2', "t.json", records="items"))
    assert found[0].value == {"a": 1}
    assert isinstance(found[-1], BadRecord)
    assert "the list has no end (file cut off?)" in found[-1].reason
    assert len(found) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(['"', "\\", "]}", "items"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.text(max_size=3), JSON, max_size=3),
            st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=2), max_size=4),
            st.dictionaries(st.sampled_from(["x", "y\\", '"']), JSON, max_size=2),
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([None, 1]),
    st.integers(1, 40),
    st.booleans(),
)
@settings(max_examples=draws(80), deadline=None)
def test_wrapped_lists_read_as_the_json_module_reads_them(
    pages: list[Any], indent: int | None, piece: int, ascii_only: bool
) -> None:
    texts, wanted = [], []
    for before, records, after in pages:
        page = {**before, "items": records, **after}
        texts.append(json.dumps(page, indent=indent, ensure_ascii=ascii_only))
        wanted += json.loads(texts[-1])["items"]
    data = "\n".join(texts).encode("utf-8", "surrogatepass")

    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(piece)

    found = list(read_wrapped(ByteStream(Dripping(data), Progress()), ["items"]))
    assert [getattr(item, "value", item) for item in found] == wanted


@pytest.mark.parametrize("name", ["t.json", "t", "t.jsonl"])
@pytest.mark.parametrize("size", [30, 20_000])
def test_one_record_with_one_long_list_of_objects_brings_a_hint(tmp_path: Path, name: str, size: int) -> None:
    data = json.dumps({"v": 1, "AddToPlaylist": [{"data": [n]} for n in range(size)]})
    if name == "t.jsonl" and size > 30:
        pytest.skip("a line without its end in the head: the name says that it is a record")
    (note,) = opened(tmp_path, data, name).notes
    assert note.startswith('is one record, with a long list under "AddToPlaylist"; --records AddToPlaylist')


@pytest.mark.parametrize(
    "data",
    [
        '{"a": [{}, {}, {}]}',
        json.dumps({"points": [[1, 2]] * 50, "tags": ["x"] * 50}),
        '{"n": 1}\n{"n": 2}\n',
        (json.dumps({"l": [{"a": 1}] * 20}) + "\n") * 2,
    ],
)
def test_short_lists_and_several_records_bring_none(tmp_path: Path, data: str) -> None:
    assert opened(tmp_path, data, "t.json").notes == ()


# --- lines before a header -----------------------------------------------------------------------


def test_lines_before_the_header_are_skipped_and_places_stay_physical(tmp_path: Path) -> None:
    source = opened(tmp_path, "Report, made by\n\nid;text\n1;a,b\n2;c\n", "t.csv", skip_rows=2)
    assert [(item.line, item.value) for item in items(source)] == [
        (4, {"id": "1", "text": "a,b"}),
        (5, {"id": "2", "text": "c"}),
    ]


def test_of_two_header_rows_the_second_can_be_taken_or_both_be_renamed(tmp_path: Path) -> None:
    data = "A,B\na unit,b unit\n1,2\n"
    assert values(opened(tmp_path, data, "t.csv", skip_rows=1)) == [{"a unit": "1", "b unit": "2"}]
    assert values(opened(tmp_path, data, "t.csv", skip_rows=2, header=("a", "b"))) == [{"a": "1", "b": "2"}]


def test_skipped_lines_count_the_line_that_names_the_delimiter_and_old_line_ends(tmp_path: Path) -> None:
    assert values(opened(tmp_path, "sep=;\nx\na;b\n1;2\n", "t.csv", skip_rows=2)) == [{"a": "1", "b": "2"}]
    assert values(opened(tmp_path, "x\ra,b\r1,2\r", "t.csv", skip_rows=1)) == [{"a": "1", "b": "2"}]
    told = "holds no record: --skip-rows 5 skips all of it"
    assert opened(tmp_path, "x\na,b\n", "t.csv", skip_rows=5).notes == (told,)


def test_options_that_do_not_apply_are_reported(tmp_path: Path) -> None:
    assert opened(tmp_path, "a,b\n1,2\n", "t.csv", records="x").notes == (
        "is CSV: --records is for JSON and was not used",
    )
    assert opened(tmp_path, '{"a":1}\n', skip_rows=1).notes == (
        "is JSON lines: --skip-rows is for CSV and TSV and was not used",
    )
    for options in ({"records": "a..b"}, {"records": ""}, {"skip_rows": -1}):
        with pytest.raises(ConfigError):
            open_sources([], ReadOptions(**options))  # type: ignore[arg-type]


# --- encodings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "name"), [('{"a":"n\u00e4h"}\n', "t.jsonl"), ("a\nn\u00e4h\n", "t.csv")])
def test_another_encoding_is_reported_at_once_and_the_option_is_named(tmp_path: Path, data: str, name: str) -> None:
    source = opened(tmp_path, data.encode("cp1252"), name)
    (note,) = source.notes
    assert "--encoding cp1252" in note
    (bad,) = [item for item in items(source) if isinstance(item, BadRecord)]
    assert "is not valid UTF-8" in bad.reason
    assert "--encoding cp1252" in bad.reason
    assert values(opened(tmp_path, data.encode("cp1252"), name, encoding="cp1252")) == [{"a": "n\u00e4h"}]


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t"])
def test_utf16_without_a_mark_brings_the_option_that_reads_it(tmp_path: Path, order: str, name: str) -> None:
    data = '{"a": "n\u00e4h, \u4e2d"}\n' if name == "t.jsonl" else "a,b\n1,n\u00e4h\n2,\u4e2d\n"
    with pytest.raises(SourceError, match=f"looks like UTF-16 without a mark; give --encoding {order}"):
        opened(tmp_path, data.encode(order), name)
    found = values(opened(tmp_path, data.encode(order), name, encoding=order))
    assert found[0] == ({"a": "n\u00e4h, \u4e2d"} if name == "t.jsonl" else {"a": "1", "b": "n\u00e4h"})


def test_a_pipe_whose_first_line_holds_a_long_list_brings_no_hint() -> None:
    line = json.dumps({"l": [{"a": 1}] * 20}).encode() + b"\n"

    class Pipe(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return self.readline()

    (source,) = open_sources(["-"], ReadOptions(), stdin=Pipe(line * 3))
    assert source.notes == ()
    assert len(items(source)) == 3


def test_a_character_that_the_head_cuts_is_no_other_encoding(tmp_path: Path) -> None:
    data = ('{"a":"' + "x" * (256 * 1024 - 7) + "\u00e4" * 10 + '"}\n').encode()
    assert opened(tmp_path, data).notes == ()


# --- zstd ----------------------------------------------------------------------------------------


def packed(data: bytes, log: int) -> bytes:
    """One frame whose header names a window of 2**log bytes, as `zstd --long=log` writes it from a pipe."""
    options = {zstd.CompressionParameter.window_log: 20, zstd.CompressionParameter.content_size_flag: 0}
    engine = zstd.ZstdCompressor(options=options)
    frame = bytearray(engine.compress(data) + engine.flush())
    assert read_header(bytes(frame)).window == 1 << 20
    frame[5] = (log - 10) << 3
    return bytes(frame)


@pytest.mark.parametrize("log", [27, 28, 30, 31])
def test_every_window_up_to_two_gigabytes_is_read_and_the_large_ones_are_reported(tmp_path: Path, log: int) -> None:
    data = b'{"a":1}\n' * 1000
    source = opened(tmp_path, zstd.compress(data) + packed(data, log), "t.jsonl.zst")
    assert len(values(source)) == 2000
    source = opened(tmp_path, packed(data, log), "t.jsonl.zst")
    assert len(values(source)) == 1000
    assert [note.split(":")[0] for note in source.notes] == (
        [] if log == 27 else [f"is packed with a window of {size_words(1 << log)}"]
    )


def test_a_frame_that_needs_a_dictionary_is_neither_empty_nor_damaged(tmp_path: Path) -> None:
    samples = [b'{"a": %d, "text": "hello world %d"}\n' % (n, n * 7) for n in range(1000)]
    dictionary = zstd.train_dict(samples, 4096)
    frame = zstd.compress(samples[1], zstd_dict=dictionary)
    words = f"the zstd data needs dictionary {dictionary.dict_id}, which is not in the file; unpack it with zstd -d -D"
    with pytest.raises(SourceError, match=words):
        opened(tmp_path, frame, "t.jsonl.zst")
    found = items(opened(tmp_path, zstd.compress(samples[0]) + frame, "t.jsonl.zst"))
    assert found[0].value == {"a": 0, "text": "hello world 0"}
    assert words in found[1].reason


def test_damage_at_the_first_byte_is_damage_not_emptiness(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the zstd data is damaged"):
        opened(tmp_path, zstd.compress(b"x" * 100)[:6] + b"\xff" * 20, "t.jsonl.zst")
    with pytest.raises(SourceError, match="the gzip data is damaged"):
        opened(tmp_path, gzip.compress(b"x" * 100)[:10] + b"\xff" * 20, "t.jsonl.gz")


def test_skippable_frames_before_between_and_behind_are_skipped(tmp_path: Path) -> None:
    def skippable(kind: int) -> bytes:
        return bytes([0x50 | kind]) + b"\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"

    data = b"".join(skippable(kind) + zstd.compress(b'{"a":%d}\n' % kind) for kind in (0, 7, 15)) + skippable(1)
    assert is_zstd(data)
    assert values(opened(tmp_path, data, "t")) == [{"a": 0}, {"a": 7}, {"a": 15}]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_791, 65_792, 1_000_000])
def test_headers_tell_what_the_library_tells(size: int) -> None:
    frame = zstd.compress(b"x" * size)
    assert read_header(frame[:18]) == FrameHeader(size, zstd.get_frame_info(frame).dictionary_id or 0)


def test_how_to_pack_again_names_the_window() -> None:
    assert repacking(1 << 31).startswith("zstd -d --long=31 -c FILE | zstd > NEW")
    assert repacking((1 << 28) + 1).startswith("zstd -d --long=29 ")
    assert read_header(b"\x28\xb5\x2f") == read_header(b"PAR1....") == FrameHeader(0, 0)


@given(st.binary(max_size=40))
@settings(max_examples=draws(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_header_makes_the_reader_fall_over(data: bytes) -> None:
    read_header(b"\x28\xb5\x2f\xfd" + data)


@pytest.mark.parametrize(
    "data",
    [
        '[{"a": 1},\n{"a": 2}]\n',
        '[{"a": 1}, {"a": 2}]',
        '{\n "a": 1\n}\n{\n "a": 2\n}\n',
        '\n[\n{"a": 1}, {"a": 2}\n]\n',
    ],
    ids=["array", "one line", "pretty", "pretty array"],
)
def test_json_over_several_lines_under_the_name_of_lines_brings_the_option_that_reads_it(
    tmp_path: Path, data: str
) -> None:
    source = opened(tmp_path, data)
    (note,) = source.notes
    assert "--input-format json reads such a file" in note
    assert not [item for item in items(source) if isinstance(item, SourceRecord)]
    assert values(opened(tmp_path, data, format="json")) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("data", ['{"a": 1}\n[2]\n', '{"a": 1}\n{\n', ' {"a": 1}\n'])
def test_lines_that_begin_as_lines_bring_no_such_note(tmp_path: Path, data: str) -> None:
    assert not opened(tmp_path, data).notes


def test_a_header_that_is_cut_behind_a_blank_line_is_waited_for(tmp_path: Path) -> None:
    """What has come of a pipe may end inside the header: here the first member ends in its second cell."""
    data = gzip.compress(b'\n"k"\t"te', mtime=0) + gzip.compress(b'xt"\n"1"\t"a"\n', mtime=0)
    os.mkfifo(tmp_path / "p.tsv.gz")
    writer = threading.Thread(target=(tmp_path / "p.tsv.gz").write_bytes, args=(data,))
    writer.start()
    (source,) = open_sources([str(tmp_path / "p.tsv.gz")], ReadOptions())
    found = [item.value for block in source.blocks() for item in block.records]
    writer.join(10)
    assert found == [{"k": "1", "text": "a"}]


# --- lines of objects in a .json -----------------------------------------------------------------


@pytest.mark.parametrize("length", [300_000, 3_000_000])
@pytest.mark.parametrize("way", ["file", "packed", "folder", "pipe"])
def test_json_lines_in_a_json_file_are_recognised_by_a_first_line_of_any_length(
    tmp_path: Path, length: int, way: str
) -> None:
    """Read as lines, each bad one is told; as objects that follow each other, two of them would be one."""
    data = json.dumps({"long": "x" * length}).encode() + b'\n"text"\nnonsense\n\n{"a": 1} {"b": 2}\n{"k": 2}\n'
    path = tmp_path / "t.json"
    if way == "pipe":
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_bytes, args=(data,))
        writer.start()
        (source,) = open_sources([str(path)], ReadOptions())
    else:
        path.write_bytes(gzip.compress(data) if way == "packed" else data)
        (source,) = open_sources([str(tmp_path if way == "folder" else path)], ReadOptions())
    found = items(source)
    if way == "pipe":
        writer.join(10)
    else:
        assert recount_file(str(path), ReadOptions()).records == 5
    assert [isinstance(item, SourceRecord) for item in found] == [True, False, False, False, True]
    assert way == "folder" or [item.line for item in found] == [1, 2, 3, 5, 6]


def test_of_a_first_line_beyond_the_longest_look_nobody_says_that_it_is_json_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonguess, "LONGEST_LOOK", 100_000)  # less than is looked at by the way
    path = tmp_path / "t.json"
    for length, number in ((90_000, 2), (110_000, 3)):
        path.write_text(json.dumps({"long": "x" * length}) + '\n{"a": 1} {"b": 2}\n')
        (source,) = open_sources([str(path)], ReadOptions())
        assert len(items(source)) == recount_file(str(path), ReadOptions()).records == number


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\n"], ids=["bare", "newline", "blank"])
@pytest.mark.parametrize("way", ["file", "packed", "folder", "packed in a folder"])
def test_an_object_alone_on_its_line_has_the_number_of_that_line(tmp_path: Path, end: bytes, way: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for text, line in ((b'\n \n\n{"a": 1}', 4), (b'{"a": 1}', 1), (b'\n\n{"a":\n1}', 1)):
        data = text + end
        (folder / "t.json").write_bytes(gzip.compress(data) if "packed" in way else data)
        (source,) = open_sources([str(folder if "folder" in way else folder / "t.json")], ReadOptions())
        (record,) = items(source)
        assert record.value == {"a": 1}
        assert (record.inner if "folder" in way else record.line) == line
