"""What a source format of another package imports; everything else in this program may change in any release."""

from scalesync.errors import ConfigError, SourceError
from scalesync.model.records import BadRecord, Item, SourceRecord
from scalesync.sources.bytestream import ByteStream
from scalesync.sources.formats.jsonlines import Lines
from scalesync.sources.options import ReadOptions
from scalesync.sources.registry import API, SourceFormat
from scalesync.sources.source import Head, Reader, Source

__all__ = [
    "API",
    "BadRecord",
    "ByteStream",
    "ConfigError",
    "Head",
    "Item",
    "Lines",
    "ReadOptions",
    "Reader",
    "Source",
    "SourceError",
    "SourceFormat",
    "SourceRecord",
]
