"""The program in a process of its own, forked from one that has imported it already.

Starting the interpreter and importing takes ten times as long as most commands of the tests do. What is forked is a
process like any other: descriptors, environment, folder, signals and exit code are its own, and `python -m` is done
by runpy. What Python reads when it starts (PYTHONHASHSEED, LC_ALL and the like) is the parent's; a test about that
starts the interpreter, and at least one test does so for each command.

    pytest --(socket)--> parent: has imported all, one for each pytest process
                           +-- forks for each start a supervisor, which tells pid and exit code
                                 +-- forks the program
"""

from __future__ import annotations

import array
import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
ALSO = ("aiohttp.web", "anyio._backends._asyncio", "anyio._core._sockets", "encodings.idna", "sqlite_utils", "uvloop")
POSSIBLE = hasattr(os, "fork")
PATIENCE_S = 50.0


class Forked:
    """A program that was started; the part of subprocess.Popen that tests need."""

    def __init__(self, connection: socket.socket) -> None:
        self._told = connection.makefile("r")
        self._connection = connection
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float) -> int:
        """The exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            self.returncode = int(self._told.readline())
            self._told.close()
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Send it, unless the program is over."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, if it runs."""
        self.send_signal(signal.SIGKILL)


def start(
    module: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    descriptors: Sequence[int],
    fresh: bool = False,
) -> Forked | subprocess.Popen[bytes]:
    """`python -m MODULE ARGUMENTS...` in that folder, with those as standard input, output and error.

    fresh: start the interpreter instead of forking, as on systems that cannot fork.
    """
    if fresh or not POSSIBLE:
        stdin, stdout, stderr = descriptors
        command = [sys.executable, "-W", "error", "-m", module, *arguments]
        return subprocess.Popen(command, cwd=folder, env=environment, stdin=stdin, stdout=stdout, stderr=stderr)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(_parent())
    wanted = {"module": module, "arguments": arguments, "folder": str(folder), "environment": dict(environment)}
    connection.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])
    connection.sendall(json.dumps(wanted).encode() + b"\n")
    return Forked(connection)


def run(
    module: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdin: str | None = None,
    fresh: bool = False,
    meanwhile: Callable[[int], Any] = lambda pid: None,
) -> tuple[int, str, str]:
    """Run it to its end: exit code, standard output and error. meanwhile: called with its pid once it is started.

    stdin: comes through a pipe; without it standard input is the null device.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, _fed(stdin) as given:
        descriptors = (given.fileno(), out.fileno(), err.fileno())
        process = start(
            module,
            arguments,
            folder=folder,
            environment=environment,
            descriptors=descriptors,
            fresh=fresh,
        )
        given.close()
        try:
            meanwhile(process.pid)
            code = process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait(PATIENCE_S)
        return code, _text(out), _text(err)


def _fed(text: str | None) -> IO[bytes]:
    if text is None:
        return open(os.devnull, "rb")
    reads, writes = os.pipe()
    threading.Thread(target=_feed, args=(writes, text.encode()), daemon=True).start()
    return open(reads, "rb")


def _feed(descriptor: int, text: bytes) -> None:
    try:
        with open(descriptor, "wb") as file:
            file.write(text)
    except BrokenPipeError:
        return  # the program needed no more of it


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@cache
def _parent() -> str:
    """The address of this process's parent of programs, which ends with it."""
    folder = tempfile.TemporaryDirectory(prefix="forked-")
    address = str(Path(folder.name) / "socket")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.forked", address],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def end() -> None:
        process.communicate(timeout=10)
        folder.cleanup()

    atexit.register(end)
    assert process.stdout.readline(), "the parent of programs did not start"
    return address


def serve(address: str) -> None:
    """Be the parent: fork a supervisor for each connection until standard input ends."""
    import_all()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, b"ready\n")
        while listener in select.select([listener, 0], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    supervise(connection)
                    return
            reap()
    reap()


def import_all() -> None:
    """What any command may import, except what brings threads along (pyarrow)."""
    import scalesync  # noqa: PLC0415  the pytest process needs none of this

    for found in pkgutil.walk_packages(scalesync.__path__, "scalesync."):
        # runpy does the one, and the other needs pytest, which no command imports
        if not found.name.endswith("__main__") and not found.name.startswith("scalesync.testing"):
            importlib.import_module(found.name)
    for name in ALSO:
        importlib.import_module(name)


def reap() -> None:
    """Take note of supervisors that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def supervise(connection: socket.socket) -> None:
    """Fork the program and tell its pid and exit code; returns in the program alone, when that is over."""
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as file:
        wanted = json.loads(file.readline())
    pid = os.fork()
    if pid == 0:
        connection.close()
        become(wanted, descriptors)
        return
    for descriptor in descriptors:
        os.close(descriptor)
    connection.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(wanted: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    """Be the program."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    time.tzset()
    sys.path[0] = wanted["folder"]
    sys.argv = [wanted["module"], *wanted["arguments"]]
    runpy.run_module(wanted["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(sys.argv[1])
