"""RenewingTransport: calls with a credential that expires.

A call first waits for a new token if the current one is due. After a 401 the call is made once more with a new token,
and the second answer is final. A 401 means that the server carried nothing out, so a create may go out again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Self
from urllib.parse import urlsplit

from scalesync.errors import NotAllowed, OutcomeUnknown, Unavailable
from scalesync.http.credentials import FixedCredential
from scalesync.http.exchange import Body
from scalesync.http.transport import Query, Reply, Transport
from scalesync.model.targets import RequestClass
from scalesync.ports.credential import Credential

NOBODY = FixedCredential({}, ())


class RenewingTransport(Transport):
    """A Transport that requests tokens itself, in the class `auth`."""

    def __init__(self, base_url: str, credential: Credential, *args: Any, **kwargs: Any) -> None:
        super().__init__(base_url, credential, *args, **kwargs)
        self._carried = credential.generation
        self._more: Mapping[str, Any] = kwargs
        self._askers: dict[str, Transport] = {}
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._stack.push_async_exit(self._opened)
        return self

    async def call(
        self,
        cls: RequestClass,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: Body = None,
        root: str | None = None,
    ) -> Reply:
        """See `Transport`. Raises Throttled or Unavailable also if the server gave no token."""
        credential = self._credential
        if credential.is_due and (no := await self._renew(refused=False)) is not None:
            return no
        sent = credential.generation
        reply = await super().call(cls, method, path, query=query, body=body, root=root)
        if reply.status != 401:
            return reply
        if credential.generation == sent and (no := await self._renew(refused=True)) is not None:
            return no
        return await super().call(cls, method, path, query=query, body=body, root=root)

    async def _renew(self, *, refused: bool) -> Reply | None:
        """Renew the credential. Returns the answer that refused it, or None if calls may continue."""
        replies: list[Reply] = []

        async def ask(where: str, body: bytes) -> Reply:
            replies.append(await self._ask(where, body))
            return replies[-1]

        try:
            await self._credential.renew(ask, refused=refused)
        except NotAllowed as error:
            refused_reply = Reply(error.status or 401, {}, str(error).encode(), self.hide, self._base)
            return replies[-1] if replies else refused_reply
        finally:
            self._carry()
        return None

    def _carry(self) -> None:
        """Send the current headers with every request from now on; their secrets join the mask first."""
        if self._carried == self._credential.generation:
            return
        self._carried = self._credential.generation
        for secret in self._credential.secrets:
            self._mask.add(secret)
        self._set_headers(self._credential.headers())

    async def _ask(self, where: str, body: bytes) -> Reply:
        base, path = self._base, where
        if "://" in where:
            parts = urlsplit(where)
            base, path = f"{parts.scheme}://{parts.netloc}", where.removeprefix(f"{parts.scheme}://{parts.netloc}")
        asker = self._askers.get(base)
        if asker is None:
            asker = Transport(base, NOBODY, self._gate, **self._more)
            asker.counters = self.counters
            self._askers[base] = await self._opened.enter_async_context(asker)
        try:
            return await asker.call(RequestClass.AUTH, "POST", path, body=body)
        except OutcomeUnknown as error:  # without a token no call of ours left
            raise Unavailable(str(error), op=error.op) from error
