"""Keys and the rate limit."""

import base64

import pytest

from scalesync.sandbox.core.wire.messages import Call

from .support import CREATE, Api

NOBODY = "Your API key does not correspond to a registered user."


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!",
        "Bearer ",
        "Digest x",
        "Bearer other_key",
        "Basic " + base64.b64encode(b"x:").decode(),
    ],
)
def test_who_is_unknown_gets_401(header: str | None) -> None:
    reply = Api().engine.api(Call("GET", "/tasks"), "list", header)
    assert reply.status == 401
    assert NOBODY.encode() in reply.body


@pytest.mark.parametrize("header", ["Bearer live_k", "bearer live_k", "Basic " + base64.b64encode(b"live_k:").decode()])
def test_basic_and_bearer_are_accepted(header: str) -> None:
    assert Api().engine.api(Call("GET", "/tasks"), "list", header).status == 200


def test_only_listed_keys_when_listed() -> None:
    api = Api(keys=frozenset({"live_a"}))
    assert api.call("GET", "/tasks", key="live_a")[0] == 200
    assert api.refused("GET", "/tasks", key="live_b") == (401, NOBODY)


def test_keys_are_refused_and_revoked() -> None:
    api = Api(refuse={"live_b": 403, "live_c": 402})
    assert api.refused("GET", "/tasks", key="live_b")[0] == 403
    assert api.call("GET", "/tasks", key="live_c")[0] == 200
    assert api.refused("POST", "/task/categorization", CREATE, key="live_c")[0] == 402
    api.engine.access.revoke("live_a")
    assert api.refused("GET", "/tasks", key="live_a") == (401, NOBODY)
    api.engine.access.restore("live_a")
    assert api.call("GET", "/tasks", key="live_a")[0] == 200


def test_creates_beyond_the_rate_get_429_and_the_bucket_refills() -> None:
    api = Api(rate=2)
    assert [api.call("POST", "/task/categorization", CREATE)[0] for _ in range(3)] == [200, 200, 429]
    assert api.refused("POST", "/task/categorization", CREATE) == (429, "Too many requests")
    assert api.call("GET", "/tasks")[0] == 200
    assert api.call("POST", "/task/categorization", CREATE, key="live_other")[0] == 200
    api.clock.forward(0.5)
    assert [api.call("POST", "/task/categorization", CREATE)[0] for _ in range(2)] == [200, 429]


def test_period_burst_and_a_limit_on_everything() -> None:
    api = Api(rate=60, rate_period_s=60, rate_burst=1)
    assert [api.call("POST", "/task/categorization", CREATE)[0] for _ in range(2)] == [200, 429]
    api.clock.forward(1)
    assert api.call("POST", "/task/categorization", CREATE)[0] == 200
    all_of_them = Api(rate_all=1)
    assert [all_of_them.call("GET", "/tasks")[0] for _ in range(2)] == [200, 429]


def test_retry_after_is_a_switch() -> None:
    for settings, header in (
        ({}, None),
        ({"retry_after": 1.5}, "2"),
        ({"retry_after": 1, "retry_after_date": True}, "Tue, 14 Nov 2023 22:13:21 GMT"),
    ):
        reply = Api(rate=0.5, **settings).reply("POST", "/task/categorization", b"{}")
        assert reply.status == 429
        assert reply.headers.get("Retry-After") == header


@pytest.mark.parametrize(
    "settings",
    [
        {"rate": -1},
        {"rate_period_s": 0},
        {"bad_attachments": "("},
        {"bad_attachments": 1.5},
        {"refuse": {"k": 200}},
    ],
)
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Api(**settings)
