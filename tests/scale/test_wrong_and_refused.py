"""Every call, wrong and refused: nothing leaves for wrong arguments, each status has its exception, no key is shown."""

from __future__ import annotations

import base64
import io
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from scalesync.errors import ConfigError, NotTheApi, OutcomeUnknown, RemoteError
from scalesync.platforms.scale.api.endpoint import Endpoint, In, Kind, Param
from scalesync.platforms.scale.api.errors import BY_STATUS
from scalesync.platforms.scale.api.table import ROWS
from scalesync.scale import AsyncScaleClient, Listing, ScaleError, ScaleInvalidRequest
from tests.cli.test_resources import sample
from tests.scale.conftest import KEY, Scripted
from tests.scale.generator import is_open

ClientOf = Callable[..., AsyncScaleClient]
SECRETS = (KEY, quote(KEY, safe=""), base64.b64encode(f"{KEY}:".encode()).decode(), "Basic ", "Bearer ")
WRONG: dict[Kind, tuple[Any, ...]] = {
    Kind.TEXT: (7, ["a"]),
    Kind.NUMBER: ("3", True, 1.5),
    Kind.FLAG: ("yes", 1),
    Kind.TIME: (7, ["2026-01-01"]),
    Kind.TEXTS: (7, [1], {"a": 1}),
    Kind.OBJECT: ("text", [1], {"a": object()}),
    Kind.DOCUMENT: (7, [1]),
}
# What the API has been seen to say. facts/scale-api 9.1, 9.2
WORDS = {
    400: 'Parameter is invalid, reason: "attachments" is required',
    401: "Your API key does not correspond to a registered user.",
    402: "This task type is not enabled.",
    403: "no",
    404: "Task with that ID not found.",
    409: 'The unique_id ("s3://a (1).png") is already used for a different task (602c399c6d092c00115aa3c9).',
    422: "no",
    429: "Too many requests",
}


def given(row: Endpoint) -> dict[str, Any]:
    """Arguments that are right, for the client's method; all of them."""
    found = {param.name: sample(param) for param in row.params}
    for param in row.params:
        if is_open(param):
            found |= found.pop(param.name)
    return {**found, "file": io.BytesIO(b"x")} if row.uploads else found


def call(client: AsyncScaleClient, row: Endpoint, arguments: dict[str, Any]) -> Any:
    """What waits for the answer of a call, its first page where it is a list."""
    made = getattr(client, row.name)(**arguments)
    return made.next_page() if isinstance(made, Listing) else made


def wrong(row: Endpoint) -> Iterator[dict[str, Any]]:
    """Arguments with one mistake."""
    right = given(row)
    for param in row.params:
        if is_open(param):
            yield {**right, "a member": object()}
            continue
        yield from ({**right, param.name: value} for value in (*WRONG[param.kind], *_unfit(param)))
        if param.needed:
            yield {name: value for name, value in right.items() if name != param.name}
    for group in row.any_of:
        yield {name: value for name, value in right.items() if name not in group}
    if not any(is_open(param) for param in row.params):
        yield {**right, "no_such_argument": 1}
    if row.uploads:
        yield from ({**right, "file": file} for file in ("/nowhere/at all", io.StringIO("a"), 7))


def _unfit(param: Param) -> Iterator[Any]:
    """Values of the right kind that cannot be."""
    if param.place is In.PATH:
        yield from ("", ".", "..")
    if param.choices:
        yield "nobody"
    if param.name == "page_size":
        yield from (0, -1, 101)


def shown(error: BaseException) -> list[str]:
    """Everywhere that an exception and those behind it can be read."""
    texts, behind, met = ["".join(traceback.format_exception(error))], [error], set()
    while behind:
        one = behind.pop()
        if id(one) in met:
            continue
        met.add(id(one))
        texts += [str(one), repr(one), repr(one.args), repr(vars(one)), *getattr(one, "__notes__", ())]
        behind += [each for each in (one.__cause__, one.__context__) if each is not None]
    return texts


def assert_hidden(texts: list[str]) -> None:
    assert [text for text in texts if any(secret in text for secret in SECRETS)] == []


async def test_wrong_arguments_of_every_call_raise_before_a_request_leaves(
    scripted: Scripted, client_of: ClientOf
) -> None:
    client = client_of(scripted)
    tried = 0
    for row in ROWS:
        for arguments in wrong(row):
            try:
                await call(client, row, arguments)
            except (ConfigError, TypeError) as error:
                assert_hidden(shown(error))
            else:
                pytest.fail(f"{row.name}({arguments}) is not refused")
            tried += 1
    assert tried > 500
    assert scripted.heard == [], "a request left"


@pytest.mark.parametrize("status", WORDS)
async def test_a_refusal_of_every_call_has_its_exception_with_the_server_s_words_and_no_key(
    scripted: Scripted, client_of: ClientOf, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    client = client_of(scripted, 0.0)
    for row in ROWS:
        if status == 429:  # the pace of a client that was sent away often is slow, as it should be
            client = client_of(scripted, 0.0)
        scripted.heard.clear()
        first = [(200, [])] if row.name == "set_studio_batches_priorities" else []  # it reads the batches before
        said = {"status_code": status, "error": f"{WORDS[status]} {KEY}"}
        scripted.answers[:] = [*first, *[(status, said)] * 3]
        with pytest.raises(ScaleError) as raised:
            await call(client, row, given(row))
        error = raised.value
        assert type(error) is BY_STATUS.get(status, ScaleInvalidRequest), row.name
        assert (error.status, error.op, error.message) == (status, row.op, f"{WORDS[status]} ***")
        assert error.message in str(error)
        assert_hidden(shown(error))
        wanted = row.path.partition("{")[0] if row.version != "v1" else "/v1" + row.path.partition("{")[0]
        assert (scripted.heard[-1].method, scripted.heard[-1].target.startswith(wanted)) == (row.method, True)
    assert_hidden([record.getMessage() + repr(record.args) + str(record.exc_text) for record in caplog.records])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((400, b"no JSON at all"), ScaleInvalidRequest),
        ((404, b"<html><title>404</title></html>"), BY_STATUS[404]),
        ((400, {"error": {"not": "text"}}), ScaleInvalidRequest),
        ((408, {"error": "late"}), OutcomeUnknown),
        ((500, b"<html>proxy</html>"), BY_STATUS[500]),
        ((520, b"?"), OutcomeUnknown),
        ((302, b"", {"Location": f"https://elsewhere.example/?key={KEY}"}), NotTheApi),
        ((200, b"<html>welcome</html>"), RemoteError),
        (None, OutcomeUnknown),
    ],
)
async def test_answers_that_are_not_the_api_s_show_no_key_either(
    scripted: Scripted, client_of: ClientOf, caplog: pytest.LogCaptureFixture, answer: Any, kind: type[RemoteError]
) -> None:
    caplog.set_level(logging.DEBUG)
    scripted.answers[:] = [answer] * 4
    with pytest.raises(kind) as raised:
        await client_of(scripted, 0.0).get_task("6b0dfd285e93185400000000")
    assert "get task" in str(raised.value)
    assert_hidden(shown(raised.value))
    assert_hidden([record.getMessage() + repr(record.args) for record in caplog.records])
