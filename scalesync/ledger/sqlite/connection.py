"""Opens the ledger file: permissions, journal mode, migrations, and messages for errors."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scalesync.errors import DiskFull, LedgerBusy, LedgerUnusable, ScalesyncError
from scalesync.ledger.sqlite.read_only import can_write, open_read_only
from scalesync.ledger.sqlite.upgrade import migrate

BUSY_TIMEOUT_S = 30.0
BETWEEN_S = 0.01
# Ids are in no order, so nearly every row touches another page. Small pages make that three times cheaper, and several
# rows touch most of them between two checkpoints.
PAGE_BYTES = 1024
CHECKPOINT_PAGES = 32 * 1024 * 1024 // PAGE_BYTES

# WAL keeps its index in shared memory, which these file systems do not share between machines (sqlite.org/wal.html).
NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "davfs", "fuse.sshfs", "fuse.rclone", "fuse.davfs"),
        *(
            "ceph",
            "fuse.ceph",
            "glusterfs",
            "fuse.glusterfs",
            "lustre",
            "beegfs",
            "gpfs",
            "wekafs",
            "panfs",
            "orangefs",
        ),
        *("fuse.s3fs", "fuse.gcsfuse", "fuse.blobfuse2", "fuse.juicefs", "fuse.mount-s3", "fuse.goofys"),
        # folders that a virtual machine shares with its host
        *("9p", "virtiofs", "vboxsf", "prl_fs", "fuse.vmhgfs-fuse", "fuse.grpcfuse", "drvfs"),
    }
)
_UNLOCKABLE = frozenset({"SQLITE_IOERR_LOCK", "SQLITE_IOERR_RDLOCK", "SQLITE_IOERR_CHECKRESERVEDLOCK"})


def open_ledger(
    path: Path,
    *,
    create: bool,
    note: Callable[[str], None],
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    to_read: bool = False,
) -> sqlite3.Connection:
    """Connect, set the journal mode and migrate.

    The connection is in autocommit mode, where the caller begins transactions, and may move to another thread.
    to_read: the caller only reads, so the ledger may be read-only.
    Raises LedgerUnusable (missing, not a ledger, read-only, newer), LedgerBusy, DiskFull.
    """
    if not create and not path.exists():
        raise LedgerUnusable(f"no ledger at {path}; name it with --ledger or run an import or export first")
    with ledger_errors(path):
        _create_private(path)
        if not can_write(path):
            if to_read:
                return _open_to_read(path, busy_timeout_s)
            raise LedgerUnusable(f"the ledger {path} is read-only; make it and its folder writable or name another")
        connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")  # of a new file; an existing one keeps its size
            _set_journal(connection, path, note, busy_timeout_s)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA cache_size=-4096")
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _open_to_read(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    connection = open_read_only(path, busy_timeout_s)
    try:
        _migrate(connection, path)  # an older ledger is a temporary copy by now; a current one is only checked
    except BaseException:
        connection.close()
        raise
    return connection


def check_place(path: Path) -> None:
    """Raise LedgerUnusable if a new ledger could not be made at this path. Makes none."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise LedgerUnusable(_no_folder(path))
    if not os.access(folder, os.W_OK):
        raise LedgerUnusable(f"the folder of the ledger {path} is read-only; make it writable or name another ledger")


def _no_folder(path: Path) -> str:
    return f"the folder of the ledger {path} does not exist; create it first"


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    try:
        migrate(connection)
    except LedgerUnusable as error:
        raise LedgerUnusable(f"the ledger {path} {error}") from None


def _create_private(path: Path) -> None:
    try:
        # A link may lead to a file that is still to be made: O_EXCL takes the link itself for that file.
        os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise LedgerUnusable(f"the ledger {path} is a folder; name a file with --ledger") from None
    except FileNotFoundError:
        raise LedgerUnusable(_no_folder(path)) from None


def _set_journal(connection: sqlite3.Connection, path: Path, note: Callable[[str], None], patience_s: float) -> None:
    wanted = "delete" if file_system(path) in NETWORK_FILE_SYSTEMS else "wal"
    got = journal_mode(connection, wanted, patience_s)
    if got != "wal":
        note(
            f"the ledger {path} uses the {got} journal because its file system cannot share memory; "
            "use it from one machine at a time"
        )
    if is_mounted_alone(path):
        note(
            f"the ledger {path} is mounted without its folder: the newest changes are in files beside it, which a"
            " container that is killed and removed takes with it; mount the folder"
        )


def journal_mode(connection: sqlite3.Connection, wanted: str, patience_s: float) -> str:
    """Request a journal mode, and return the mode that the file then has, in lower case.

    If several connections switch a new file to WAL at the same moment, SQLite reports a lock to some of them without
    waiting, because each holds the file for reading. So this function tries again, for `patience_s` at most.
    """
    patience = time.monotonic() + patience_s
    while True:
        try:
            return str(connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()[0]).lower()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > patience:
                raise
        time.sleep(BETWEEN_S)


def file_system(path: Path) -> str:
    """Type of the file system that holds `path`, as /proc/mounts names it; "" if it is unknown."""
    return _mount(path)[1]


def is_mounted_alone(path: Path) -> bool:
    """Whether the file is a mount of its own, as `docker run -v ./scalesync.db:/data/scalesync.db` makes it."""
    return os.path.realpath(path) == _mount(path)[0] and not path.is_dir()


def _mount(path: Path) -> tuple[str, str]:
    """The mount that holds `path`: its place and the type of its file system; both "" if unknown."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "", ""
    here = os.path.realpath(path)  # a link may lead from a local folder to another machine
    best, kind = "", ""
    for mount in mounts:
        fields = mount.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        if len(point) >= len(best) and (here == point or here.startswith(point.rstrip("/") + "/")):
            best, kind = point, fields[2]
    return best, kind


@contextmanager
def ledger_errors(path: Path) -> Iterator[None]:
    """Map errors of SQLite and of the file system to the program's errors."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"the disk is full: there is no room for the ledger {path}") from error
        raise LedgerUnusable(
            f"the ledger {path} cannot be opened for writing: {error.strerror}; name another with --ledger"
        ) from error


def translate(error: sqlite3.Error, path: Path) -> ScalesyncError:
    """The program's error for an error of SQLite, with one sentence for people."""
    text = str(error)
    lowered = text.lower()
    if "full" in lowered:
        return DiskFull(f"the disk is full: the ledger {path} cannot grow; free some space and run the same command")
    if "locking protocol" in lowered or getattr(error, "sqlite_errorname", "") in _UNLOCKABLE:
        return LedgerUnusable(
            f"the ledger {path} cannot be locked, as on some network file systems ({text});"
            " keep it on a disk of this machine: --ledger FILE"
        )
    if "locked" in lowered or "busy" in lowered:
        return LedgerBusy(f"the ledger {path} stayed locked by another program; end that and run the same command")
    if "readonly" in lowered or "read-only" in lowered or "unable to open" in lowered:
        return LedgerUnusable(
            f"the ledger {path} cannot be written ({text}); check the file's and folder's permissions"
        )
    if "not a database" in lowered or "malformed" in lowered:
        return LedgerUnusable(f"{path} is not a usable ledger ({text}); name another file with --ledger")
    if "disk i/o" in lowered:
        return DiskFull(f"the ledger {path} cannot be written ({text}); check the disk and run the same command again")
    return LedgerUnusable(f"the ledger {path} failed: {text}")
