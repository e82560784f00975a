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
# What people write about their data, beside it.
_ABOUT = re.compile(
    r"(?:readme|licen[cs]e|copying|copyright|notice|authors|contributors|changelog|changes|citation|manifest|makefile"
    r"|dockerfile|(?:md5|sha1|sha256|sha512|b2)sums?|checksums?)(?:[-_.].*)?|.*\.(?:md|rst|license|md5|sha1|sha256|sha512)",
    re.IGNORECASE | re.DOTALL,
)


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


def is_about_data(name: str) -> bool:
    """A file for people to read that explains data, such as README.md, LICENSE and SHA256SUMS."""
    return _ABOUT.fullmatch(name) is not None


def is_of_the_system(name: str) -> bool:
    """What file managers, file systems, editors and browsers leave in folders under names without a dot."""
    return name.lower() in _SYSTEM or _BESIDE.fullmatch(name) is not None
