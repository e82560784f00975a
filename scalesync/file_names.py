"""Names of files: as strings that can be kept and shown, and which of them are nobody's data."""

from __future__ import annotations

import os
import re

# What file managers, network disks and file systems leave in folders, besides hidden names.
_SYSTEM = frozenset(
    {
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "@tmp", "@recycle", "#recycle", "#snapshot"),
        *("lost+found", "$recycle.bin", "system volume information", "recycler", "network trash folder", "__macosx"),
    }
)
# Who has a file open in Office, what an editor kept, where Windows notes a file came from, what is still coming.
_BESIDE = re.compile(r"~\$.*|.*~|#.*#|.*[:\uf03a]Zone\.Identifier|.*\.crdownload", re.DOTALL)


def readable(name: str) -> str:
    """A name as a string: it need not be UTF-8, but strings in the ledger are, so its odd bytes are written out."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    return name


def is_hidden(name: str) -> bool:
    """Names that begin with a dot or an underscore, as Spark, Hive and Hadoop write them beside their data."""
    return name.startswith((".", "_"))


def is_of_the_system(name: str) -> bool:
    """What file managers, file systems, editors and browsers leave in folders under names without a dot."""
    return name.lower() in _SYSTEM or _BESIDE.fullmatch(name) is not None
