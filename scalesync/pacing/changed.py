"""`dataclasses.replace` for the controller's states.

Each answer of the server replaces some of them, with forty fields between them. Copying them as dictionaries costs a
tenth of the general way, which asks every field for its value and calls the constructor. So they have no slots and no
`__post_init__`; the type checker sees the general one, and with it every field's name and type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from dataclasses import replace
else:
    State = TypeVar("State")

    def replace(state: State, /, **changes: object) -> State:
        """The state with some of its fields changed."""
        new = object.__new__(type(state))
        new.__dict__.update(state.__dict__, **changes)
        return new


__all__ = ["replace"]
