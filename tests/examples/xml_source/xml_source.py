"""XML as a source: each child of the root is a record, of attributes and inner elements; a repeated name is a list.

A document type is refused: it may declare entities, by which a small file unfolds to any size."""

from collections.abc import Iterator
from itertools import chain
from typing import Any
from xml.etree.ElementTree import ParseError, XMLParser

from scalesync.sources.plugin import BadRecord, ByteStream, Item, Reader, Source, SourceFormat, SourceRecord


class Items:
    """What the parser reports to. ready: items that are complete; nothing else is kept of what was read."""

    def __init__(self) -> None:
        self.ready: list[dict[str, Any]] = []
        self._open: list[tuple[dict[str, Any], list[str]]] = []  # members and texts, from the root inwards
        self._size = 0

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ValueError("declares a document type; remove it")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._open.append(({name.rpartition("}")[2]: value for name, value in attributes.items()}, []))
        self.data("", len(tag) + sum(map(len, attributes.values())))

    def data(self, text: str, size: int = 0) -> None:
        if len(self._open) > 1:  # between items there is white space only
            self._open[-1][1].append(text)
            self._size += len(text) + size
        if self._size > 1 << 24:  # characters of one item
            raise ValueError("holds an item that is too long")

    def end(self, tag: str) -> None:
        members, texts = self._open.pop()
        text, name = "".join(texts).strip(), tag.rpartition("}")[2]  # without its namespace
        value = {**members, "text": text} if text and members else members or text
        if len(self._open) == 1:
            self.ready.append(value if isinstance(value, dict) else {"text": value})
            self._size = 0
        elif self._open:
            outer = self._open[-1][0]
            if isinstance(outer.get(name), list):
                outer[name].append(value)
            else:
                outer[name] = [outer[name], value] if name in outer else value


def parse(stream: ByteStream) -> Iterator[Item]:
    items, number, trouble = Items(), 0, None
    parser = XMLParser(target=items)
    for piece in chain(stream, (None,)):
        try:
            parser.close() if piece is None else parser.feed(piece)
        except ParseError as error:
            trouble = stream.damage or f"is not valid XML: {str(error).partition(':')[0]} (line {error.position[0]})"
        except (ValueError, LookupError) as error:  # refused above, or an encoding that the parser does not know
            trouble = str(error)
        for number, value in enumerate(items.ready, number + 1):  # noqa: B020
            yield SourceRecord(number, value)
        items.ready.clear()
        if trouble is not None:
            yield BadRecord(number + 1, f"{trouble}; what follows is not read", "")
            return


def bind(source: Source) -> Reader:
    return Reader(source.reads(parse, binary=True))  # the parser finds out the encoding by itself


FORMAT = SourceFormat(api=1, name="xml", words="XML", bind=bind, begins=lambda head: head.lstrip().startswith(b"<"))
