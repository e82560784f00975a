"""What the code of another package raises: it stops the run, in one sentence that names the package and its release.

What a package raises on purpose (the tree of `errors`), and what the system raises (files, memory, a cancelled task),
passes a fence as it is. Everything else is a mistake of the package, SystemExit and the like included: nobody may end
the program in the middle of a run.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from scalesync.errors import PackageFailed, ScalesyncError

P = ParamSpec("P")
T = TypeVar("T")
_PASS = (ScalesyncError, OSError, MemoryError)
_LONGEST = 300  # characters of what an exception says


def raised(error: BaseException) -> str:
    """An exception in words, on one line: `KeyError: 'lost'`. Its text may hold anything, secrets too."""
    text = ""
    with suppress(Exception):  # the text is made by the code that failed
        text = " ".join(str(error).split())
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def fault_of(error: BaseException) -> BaseException | None:
    """The mistake in what a package raised, None where all of it may pass.

    A KeyboardInterrupt is Ctrl-C only in the main thread and outside of a loop: loops await signals. A cancellation is
    one only within a task that is cancelled: raised elsewhere, it would end a task as if all were well, and what waits
    for that task would wait forever.
    """
    if isinstance(error, BaseExceptionGroup):
        return next((fault for inner in error.exceptions if (fault := fault_of(inner)) is not None), None)
    if isinstance(error, KeyboardInterrupt):
        return error if _in_loop() or threading.current_thread() is not threading.main_thread() else None
    return None if isinstance(error, _PASS) or _is_cancelled(error) else error


def _is_cancelled(error: BaseException) -> bool:
    """Whether somebody cancels the task that runs. One that ends as cancelled by itself ends in silence."""
    if not _in_loop():
        return False
    asyncio = sys.modules["asyncio"]
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _in_loop() -> bool:
    asyncio = sys.modules.get("asyncio")  # a running loop has imported it, and --help must not wait for it
    return asyncio is not None and asyncio._get_running_loop() is not None


def _is_closed(error: BaseException, trace: TracebackType | None) -> bool:
    """Whether a generator or coroutine is closed by its owner: not so if the package raises that itself."""
    return isinstance(error, GeneratorExit) and (trace is None or trace.tb_next is None or _in_loop())


@dataclass(frozen=True, slots=True)
class Fence:
    """A context around the code of one addition. Raises PackageFailed for a mistake in it.

    what: the addition, such as `the source format "odd" of other 1.0`.
    """

    what: str

    def __enter__(self) -> None:
        """Nothing is to be prepared."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fault = None if error is None or _is_closed(error, trace) else fault_of(error)
        if fault is None:
            return
        import logging  # noqa: PLC0415  --help must not wait for it

        logging.getLogger(__name__).debug("%s failed", self.what, exc_info=fault)
        raise PackageFailed(
            f"{self.what} failed ({raised(fault)}); run the same command again when it is fixed, and it continues"
            " (-v -v shows the traceback)"
        ) from fault

    def call(self, function: Callable[P, T]) -> Callable[P, T]:
        """The function inside of the fence, and what it awaits."""

        @wraps(function)
        def fenced(*args: P.args, **kwargs: P.kwargs) -> Any:
            with self:
                result = function(*args, **kwargs)
            return self._awaited(result) if inspect.iscoroutine(result) else result

        return fenced

    async def _awaited(self, result: Any) -> Any:
        with self:
            return await result

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The items, each made inside of the fence; it is not closed with the iterator."""
        source = iter(items)
        while True:
            with self:
                try:
                    found = next(source)
                except StopIteration:
                    return
            yield found


class Fenced:
    """An object of another package: its methods are inside of a fence, its members are as they are."""

    __slots__ = ("_calls", "_fence", "_inner")

    def __init__(self, inner: object, fence: Fence) -> None:
        object.__setattr__(self, "_inner", inner)
        object.__setattr__(self, "_fence", fence)
        object.__setattr__(self, "_calls", {})

    def __getattr__(self, name: str) -> Any:
        if name in self._calls:
            return self._calls[name]
        with self._fence:
            found = getattr(self._inner, name)
        if inspect.ismethod(found) or inspect.isfunction(found):
            found = self._calls[name] = self._fence.call(found)
        return found

    def __setattr__(self, name: str, value: object) -> None:
        self._calls.pop(name, None)
        with self._fence:
            setattr(self._inner, name, value)
