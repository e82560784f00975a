"""What the code of another package raises: what passes a fence, and what becomes one sentence."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from contextlib import closing

import anyio
import pytest

from scalesync.errors import PackageFailed, RemoteError, StopRun
from scalesync.fences import Fence, Fenced, raised

FENCE = Fence('the thing "ant" of other 1.0')


class Own(BaseException):
    """Of the package."""


class Mute(Exception):
    """Whose text cannot be made."""

    def __str__(self) -> str:
        raise ValueError


def broken(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("lost"), "KeyError: 'lost'"),
        (SystemExit(0), "SystemExit: 0"),
        (Own("one\ntwo"), "Own: one two"),
        (Mute("x"), "Mute"),
        (ValueError("x" * 1000), f"ValueError: {'x' * 300}..."),
        (StopIteration(), "StopIteration"),
        (GeneratorExit(), "GeneratorExit"),
        (asyncio.CancelledError(), "CancelledError"),  # no loop runs here, so nobody cancels anything
        (BaseExceptionGroup("several", [OSError(5, "I/O"), SystemExit(1)]), "SystemExit: 1"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_package_and_what_to_do(error: BaseException, words: str) -> None:
    with pytest.raises(PackageFailed) as caught:
        FENCE.call(broken)(error)
    assert str(caught.value).startswith(f'the thing "ant" of other 1.0 failed ({words}); run the same command again')
    assert caught.value.exit_code == 3
    assert isinstance(caught.value, StopRun)


@pytest.mark.parametrize(
    "error",
    [
        RemoteError("no answer"),
        OSError(errno.ENOSPC, "No space left on device"),
        MemoryError(),
        KeyboardInterrupt(),  # in the main thread, without a loop: Ctrl-C
        ExceptionGroup("several", [RemoteError("no answer"), OSError(5, "I/O")]),
    ],
)
def test_what_is_no_mistake_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        FENCE.call(broken)(error)
    assert caught.value is error


def test_items_are_fenced_and_an_iterator_can_be_closed_early() -> None:
    def items(left: list[str]) -> Iterator[int]:
        try:
            yield 1
            raise SystemExit(1)
        finally:
            left.append("closed")

    left: list[str] = []
    with closing(FENCE.each(items(left))) as fenced:
        assert next(fenced) == 1
        with pytest.raises(PackageFailed):
            next(fenced)
    with closing(FENCE.each(items(left))) as fenced:
        assert next(fenced) == 1
    assert left == ["closed"] * 2


class Role:
    """As a platform has them."""

    learned = frozenset({"a"})

    async def send(self, error: BaseException | None) -> int:
        await asyncio.sleep(0)
        if error is not None:
            raise error
        return 7

    def compare(self) -> None:
        raise SystemExit(2)

    @property
    def clock(self) -> int:
        raise ZeroDivisionError


async def test_methods_of_an_object_are_fenced_and_its_members_stay() -> None:
    role = Role()
    fenced = Fenced(role, FENCE)
    fenced.learned |= {"b"}
    assert role.learned == fenced.learned == {"a", "b"}
    assert await fenced.send(None) == 7
    for error in (KeyError("x"), SystemExit(0), KeyboardInterrupt(), asyncio.CancelledError()):
        with pytest.raises(PackageFailed):
            await fenced.send(error)
    with pytest.raises(PackageFailed, match="SystemExit: 2"):
        fenced.compare()
    with pytest.raises(PackageFailed, match="ZeroDivisionError"):
        _ = fenced.clock
    assert raised(SystemExit()) == "SystemExit"


async def test_a_cancellation_that_nobody_asked_for_is_a_mistake() -> None:
    async def cancels_another() -> None:
        inner = asyncio.create_task(asyncio.sleep(3600))
        inner.cancel()
        await inner

    with pytest.raises(PackageFailed, match="CancelledError"):
        await FENCE.call(cancels_another)()


async def test_a_task_that_is_cancelled_ends_as_cancelled() -> None:
    task = asyncio.create_task(FENCE.call(asyncio.sleep)(3600))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with anyio.move_on_after(0) as scope:
        await FENCE.call(asyncio.sleep)(3600)
    assert scope.cancelled_caught
