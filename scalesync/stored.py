"""Stored forms: the form of a value in a ledger or a manifest, under names of its own.

What is written outlives the program that wrote it, so a name in the code is not a stored name: each form lists its
members, as they are stored and as the code calls them. A member that older versions did not write has the value that
its absence meant then. A member that this program does not know comes from a version whose form it can still read, and
is left out; a form with a higher number it cannot read, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from scalesync.errors import LedgerUnusable

T = TypeVar("T")
FORM = "form"  # the member that holds the form's number; the first form has none


class _Required:
    """What has no value when it is absent."""


REQUIRED = _Required()


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a form.

    name: as stored.
    attribute: in the code, "" for the same.
    absent: what its absence means, as it would be stored.
    write, read: to JSON and back.
    """

    name: str
    attribute: str = ""
    absent: Any = REQUIRED
    write: Callable[[Any], Any] = _same
    read: Callable[[Any], Any] = _same

    @property
    def of(self) -> str:
        """The attribute that it holds."""
        return self.attribute or self.name


class Form(Generic[T]):
    """The stored form of one class.

    what: what a person calls it.
    number: of this form, raised when an older program would misread it.
    """

    def __init__(self, make: Callable[..., T], what: str, members: Sequence[Member], *, number: int = 1) -> None:
        self.members = tuple(members)
        self._make = make
        self._what = what
        self._number = number

    def write(self, value: T) -> dict[str, Any]:
        """The value as JSON, its members in the order of the form."""
        stored = {member.name: member.write(getattr(value, member.of)) for member in self.members}
        return stored if self._number == 1 else {FORM: self._number, **stored}

    def read(self, stored: Mapping[str, Any]) -> T:
        """The value from what any version wrote. Raises LedgerUnusable when that was a newer form, or none."""
        number = stored.get(FORM, 1)
        if not isinstance(number, int) or number > self._number:
            raise LedgerUnusable(f"holds {self._what} as a newer scalesync writes it; upgrade scalesync to use it")
        values = {}
        for member in self.members:
            if member.name in stored:
                values[member.of] = member.read(stored[member.name])
            elif member.absent is not REQUIRED:
                values[member.of] = member.read(member.absent)
            else:
                raise LedgerUnusable(f"holds {self._what} without {member.name!r}; restore the ledger from a copy")
        return self._make(**values)
