"""Calls that a row of the table cannot say: an upload, and lists as the API answers them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO

from scalesync.errors import ConfigError
from scalesync.http.form import opened
from scalesync.platforms.scale.api.objects import File
from scalesync.platforms.scale.api.table import ENDPOINTS
from scalesync.scale.base import Base
from scalesync.scale.listing import Envelope
from scalesync.scale.methods.results import Batch, Project, Task
from scalesync.text import did_you_mean


class ByHand(Base):
    """Uploads, and single pages."""

    async def upload_file(
        self,
        file: str | PathLike[str] | BinaryIO,
        *,
        project_name: str | None = None,
        display_name: str | None = None,
        reference_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> File:
        """Upload a file for the attachments of tasks. It is read while it is sent, never into memory whole.

        file: a path, or a file that is open for reading in binary; it is read from where it stands, and stays open.
        project_name: the self-serve project that it belongs to.
        display_name: its name for people.
        reference_id: a name that no other file has; a repeat is refused then.
        metadata: what you want to keep with it.
        Raises ConfigError for a file that cannot be read. Without an answer, the file is not sent a second time.
        """
        arguments = {
            "project_name": project_name,
            "display_name": display_name,
            "reference_id": reference_id,
            "metadata": metadata,
        }
        with ExitStack() as stack:
            name, stream = _opened(file, stack)
            return File((await self._make(ENDPOINTS["upload_file"], arguments, file=(stream, name))).value)

    async def tasks(self, **query: Any) -> Envelope[Task]:
        """One page of tasks as the API answers it, with `total` and the `next_token` of the next page.

        query: filters under the names of `get_tasks` or of the API (`start_time`, `type`, ...), limit, next_token.
        Raises TypeError for another name.
        """
        return Envelope(partial(Task.of, client=self), await self._page("get_tasks", "tasks", "next_token", query))

    async def batches(self, **query: Any) -> Envelope[Batch]:
        """One page of batches as the API answers it, with `total`.

        query: filters under the names of `get_batches` or of the API (`start_time`, ...), limit, offset.
        Raises TypeError for another name.
        """
        return Envelope(partial(Batch.of, client=self), await self._page("get_batches", "batches", "offset", query))

    async def projects(self) -> list[Project]:
        """List all projects, as `get_projects` does."""
        return await self._objects("get_projects", Project, {})

    async def _page(self, row: str, method: str, cursor: str, query: dict[str, Any]) -> Any:
        endpoint = ENDPOINTS[row]
        names = {name: param.name for param in endpoint.params for name in (param.key, param.name)}
        at = query.pop(cursor, None)
        for name in query:
            if name not in names:
                raise TypeError(f"{method}() has no argument {name!r}{did_you_mean(name, names)}")
        more = [(cursor, str(at))] if at is not None else []
        return (await self._make(endpoint, {names[name]: query[name] for name in query}, more=more)).value


def _opened(file: str | PathLike[str] | BinaryIO, stack: ExitStack) -> tuple[str, BinaryIO]:
    """The file's name and the file, open."""
    if isinstance(file, str | PathLike):
        path = Path(fspath(file))
        return path.name, stack.enter_context(opened(path))
    if not hasattr(file, "read"):
        raise ConfigError(f"upload file: file must be a path or a file open in binary, not {type(file).__name__}")
    name = getattr(file, "name", "")
    return Path(name).name if isinstance(name, str) and name else "file", file
