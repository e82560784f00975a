"""What other packages add: entry points of a group, found by name and imported when that name is asked for.

Listing the names imports nothing. What is wrong with an addition is reported when it is asked for, in one sentence that
names the package.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from scalesync.errors import ConfigError
from scalesync.fences import Fence, fault_of, raised

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class Addition(Protocol):
    """What an entry point holds.

    api: the version of the interface that it was written for.
    """

    @property
    def api(self) -> int: ...

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Addition)
_clashes: dict[str, None] = {}  # sentences that were not reported yet, in order
_packages: dict[str, str] = {}  # of the modules from which something was loaded, by the first part of their names


class Plugins(Generic[T]):
    """The additions of one group.

    group: of the entry points.
    what: what a person calls one, such as "source format".
    kind: the class of what they hold.
    api: the version of the interface that this program has.
    own: names that the program has itself.
    fenced: an addition with its functions inside of a fence.
    """

    def __init__(
        self,
        group: str,
        what: str,
        kind: type[T],
        api: int,
        own: Collection[str],
        *,
        fenced: Callable[[T, Fence], T] = lambda addition, fence: addition,
    ) -> None:
        self._group = group
        self._what = what
        self._kind = kind
        self._api = api
        self._own = frozenset(own)
        self._fenced = fenced
        self._loaded: dict[str, T] = {}

    def names(self) -> Sequence[str]:
        """The names of all additions, sorted, those that the program has itself left out."""
        return [name for name in sorted(self._entries) if name not in self._own]

    def __contains__(self, name: str) -> bool:
        return name in self._entries and name not in self._own

    def load(self, name: str) -> T | None:
        """The addition of that name, None when there is none or the program has the name: then `clashes` says so.

        Raises ConfigError when it cannot be used: two packages have the name, the import fails, or it was written for
        another version of the interface.
        """
        if name in self._loaded:
            return self._loaded[name]
        self._note_clashes()
        if name in self._own:
            return None
        entries = self._entries.get(name, [])
        if not entries:
            return None
        if len(entries) > 1:
            both = " and ".join(_package(entry) for entry in entries[:2])
            raise ConfigError(f'{both} both add the {self._what} "{name}"; uninstall one of them')
        addition = self._fenced(self._import(entries[0]), self.fence(name))
        self._loaded[name] = addition
        return addition

    def package(self, name: str) -> str:
        """The package that adds that name, and its release."""
        return _package(self._entries[name][0])

    def fence(self, name: str) -> Fence:
        """What stands around the code of that addition."""
        return Fence(self._told(self._entries[name][0]))

    def part(self, name: str, place: str) -> Any:
        """What an addition keeps in another place, `module:name`. Raises ConfigError if it cannot be imported."""
        module, _, member = place.partition(":")
        return self._imported(self._entries[name][0], lambda: getattr(import_module(module), member))

    @cached_property
    def _entries(self) -> dict[str, list[EntryPoint]]:
        from importlib.metadata import entry_points  # noqa: PLC0415  it takes longer than everything else here

        found: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=self._group):
            found.setdefault(entry.name, []).append(entry)
        return found

    def _note_clashes(self) -> None:
        for name in sorted(self._own & self._entries.keys()):
            _clashes.setdefault(
                f'{_package(self._entries[name][0])} adds the {self._what} "{name}", which scalesync has itself:'
                " scalesync uses its own; uninstall that package, or ask its authors for another name"
            )

    def _import(self, entry: EntryPoint) -> T:
        told = self._told(entry)
        _packages[entry.module.partition(".")[0]] = _package(entry)
        addition: Any = self._imported(entry, entry.load)
        if not isinstance(addition, self._kind):
            raise ConfigError(
                f"{told} is {type(addition).__name__}, not {self._kind.__name__}; correct or uninstall that package"
            )
        if addition.api != self._api:
            raise ConfigError(
                f"{told} is written for version {addition.api} of the interface, this scalesync has version"
                f" {self._api}; install a release of the package that fits"
            )
        if addition.name != entry.name:
            raise ConfigError(
                f'{told} calls itself "{addition.name}", which must be the same name; correct or uninstall that package'
            )
        return addition

    def _imported(self, entry: EntryPoint, load: Callable[[], Any]) -> Any:
        try:
            return load()
        except Exception as error:
            raise self._unusable(entry, error) from error
        except BaseException as error:
            if fault_of(error) is None:
                raise
            raise self._unusable(entry, error) from error

    def _unusable(self, entry: EntryPoint, error: BaseException) -> ConfigError:
        return ConfigError(
            f"{self._told(entry)} cannot be imported ({raised(error)}); correct or uninstall that package"
        )

    def _told(self, entry: EntryPoint) -> str:
        return f'the {self._what} "{entry.name}" of {_package(entry)}'


def clashes() -> Sequence[str]:
    """Sentences on additions that were met since the last call and whose names the program has itself."""
    found = tuple(_clashes)
    _clashes.clear()
    return found


def blamed(error: BaseException) -> str:
    """Whose mistake an exception is: of the package of an addition if it came through its code, else of this program.

    If additions are in use, a value that one of them returned may be the cause, and nothing shows it.
    """
    found, trace = " or in ".join(dict.fromkeys(("scalesync", *_packages.values()))), error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        found = _packages.get(module.partition(".")[0], found)
        trace = trace.tb_next
    return found


def _package(entry: EntryPoint) -> str:
    """The package of an entry point and its release, as a person reads it."""
    return "a package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
