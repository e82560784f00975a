"""Scale's bytes: replies of every shape, told right or told as unknown, and never touched."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from scalesync.errors import NotAllowed, OutcomeUnknown, Refused, Throttled
from scalesync.http.transport import Reply
from scalesync.model.outcomes import OutcomeKind
from scalesync.platforms.scale import jsonbytes, wire

REF = "0123456789abcdef01234567"
K = OutcomeKind


def reply(status: int, body: bytes | str) -> Reply:
    data = body.encode() if isinstance(body, str) else body
    return Reply(status, CIMultiDictProxy(CIMultiDict[str]()), data)


def refusal(status: int, text: str) -> Reply:
    return reply(status, json.dumps({"status_code": status, "error": text}))


# --- create calls ----------------------------------------------------------------------------------


def test_a_created_task_is_created_with_its_id():
    outcome = wire.created(reply(200, f'{{"task_id":"{REF}","unique_id":"u","params":{{}}}}'), "u")
    assert (outcome.kind, outcome.ref, outcome.status) == (K.CREATED, REF, 200)


def test_a_reply_without_a_unique_id_is_taken_at_its_word():
    assert wire.created(reply(200, f'{{"task_id":"{REF}"}}'), "u").kind is K.CREATED


@pytest.mark.parametrize(
    "body",
    ["", "OK", "null", "[]", "{}", '{"unique_id":"u"}', '{"task_id":5}', '{"task_id":""}', '{"task_id":"a', "<html>",
     b"\xff\xfe", '{"task_id":"a","unique_id":7}', "[" * 3000],
)  # fmt: skip
def test_a_200_that_holds_no_task_is_unknown(body):
    assert wire.created(reply(200, body), "u").kind is K.UNKNOWN


def test_a_200_about_another_unique_id_is_unknown():
    assert wire.created(reply(200, f'{{"task_id":"{REF}","unique_id":"v"}}'), "u").kind is K.UNKNOWN


def test_odd_bytes_elsewhere_in_the_reply_do_not_hide_the_task():
    for odd in (b'"\\ud800"', b"123456789012345678901234567890", b"1e999"):
        body = b'{"params":{"x":' + odd + b'},"task_id":"' + REF.encode() + b'","unique_id":"u"}'
        assert wire.created(reply(200, body), "u").kind is K.CREATED


@pytest.mark.parametrize(
    "key",
    [
        "u",
        "(a)",
        "a (b) c",
        f"({'f' * 24})",
        f"x ({'a' * 24}).",
        'a "quote" b',
        "\\",
        "a\nb",
        ")(",
        "x" * 2000,
        "ü(é)",
        "",
    ],
)
def test_the_409_text_gives_the_other_tasks_id_whatever_the_unique_id_looks_like(key):
    text = f'The unique_id ("{key}") is already used for a different task ({REF}).'
    outcome = wire.created(refusal(409, text), key)
    assert (outcome.kind, outcome.ref) == (K.TAKEN, REF)
    assert len(outcome.message) <= 500


@pytest.mark.parametrize(
    "body",
    ["<html><body>Conflict</body></html>", "", '{"error": null}', '{"error": "in use"}', '{"error": "in use (5)"}',
     json.dumps({"error": f"({REF}) is in use"}), json.dumps({"error": f"in use (x{REF})"})],
)  # fmt: skip
def test_a_409_that_names_no_task_is_taken_without_an_id(body):
    outcome = wire.created(reply(409, body), "u")
    assert (outcome.kind, outcome.ref) == (K.TAKEN, None)


KINDS = {
    **dict.fromkeys((400, 404, 405, 410, 413, 415, 422), K.REFUSED),
    **dict.fromkeys((401, 402, 403), K.NOT_ALLOWED),
    **dict.fromkeys((408, 500, 502, 503, 504, 520, 524, 530, 599), K.UNKNOWN),
    **dict.fromkeys((301, 302, 307), K.UNKNOWN),
    429: K.THROTTLED,
    409: K.TAKEN,
}


@pytest.mark.parametrize("status", KINDS)
def test_each_status_has_one_meaning(status):
    assert wire.created(refusal(status, "because"), "u").kind is KINDS[status]
    assert wire.created(reply(status, "<html><title>x</title></html>"), "u").kind is KINDS[status]


@pytest.mark.parametrize(("status", "error"), [(400, Refused), (404, Refused), (409, Refused), (401, NotAllowed),
                                               (402, NotAllowed), (429, Throttled), (500, OutcomeUnknown)])  # fmt: skip
def test_other_calls_raise_what_the_status_stands_for(status, error):
    with pytest.raises(error, match="look up: because") as raised:
        wire.check(refusal(status, "because"), "look up")
    assert raised.value.status == status


def test_a_success_passes():
    assert wire.check(reply(200, "OK"), "audit").body == b"OK"


# --- texts of errors -------------------------------------------------------------------------------


def test_the_servers_own_words_are_reported():
    assert wire.error_text(refusal(400, "Please include an attachment.")) == "Please include an attachment."


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<hr>nginx</html>", "502 Bad Gateway nginx"),
        ("  Service   Unavailable\n", "Service Unavailable"),
        (b"caf\xe9", "caf\ufffd"),
        ('{"error": {"nested": 1}}', '{"error": {"nested": 1}}'),
        ('["error"]', '["error"]'),
        ('{"message": "Too Many Requests"}', "Too Many Requests"),
        ('{"message": {"nested": 1}}', '{"message": {"nested": 1}}'),
    ],
)
def test_other_bodies_are_reported_as_plain_text(body, words):
    assert wire.error_text(reply(502, body)) == words


def test_an_empty_body_is_reported_in_words():
    assert wire.error_text(reply(502, ""))


@given(st.binary(max_size=200) | st.text().map(lambda text: json.dumps({"error": text}).encode()))
def test_no_text_of_an_error_is_too_much_for_a_ledger(body):
    text = wire.error_text(reply(400, body))
    assert len(text) <= 500
    text.encode()


# --- lists -----------------------------------------------------------------------------------------

ODD_DOCUMENTS = [
    b'{"task_id":"a"}',
    b'{ "task_id" : "a" ,\n\t"n": 1.0 }',
    b'{"n":18446744073709551617,"m":-9223372036854775809,"f":1.0,"e":1E5,"z":-0}',
    b'{"z":1,"a":2,"m":{"y":1,"b":2}}',
    '{"t":"ünï \\u00fc \\/ 😀"}'.encode(),
    b'{"t":"]},{[\\"docs\\":"}',
    b'{"docs":[1,2],"next_token":"inner","has_more":true,"total":77}',
    b'{"dup":1,"dup":2}',
    b'"a text"',
    b"null",
    b"[]",
]
LONE = b'{"t":"half \\ud800 pair","task_id":"b"}'


def listing(documents: list[bytes], tail: bytes = b'"total":3,"has_more":false', head: bytes = b"") -> bytes:
    return b"{" + head + b' "docs" : [ ' + b" ,\n ".join(documents) + b" ] , " + tail + b"}"


@pytest.mark.parametrize("lone", [False, True])
@pytest.mark.parametrize("head", [b"", b'"docs_":[9],', b'"note":"docs \\"docs\\": [",', b'"inner":{"docs":[0]},'])
def test_documents_are_slices_of_the_reply_byte_for_byte(lone, head):
    documents = [*ODD_DOCUMENTS, *([LONE] if lone else [])]
    found, total, has_more, token = wire.page(reply(200, listing(documents, head=head)), "list")
    assert list(found) == documents
    assert (total, has_more, token) == (3, False, None)


@given(st.lists(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
).map(lambda value: json.dumps(value, ensure_ascii=True).encode()), max_size=4))  # fmt: skip
def test_any_documents_come_back_as_they_are(documents):
    assert list(wire.page(reply(200, listing(documents)), "list")[0]) == documents


@pytest.mark.parametrize("lone", [False, True])
@pytest.mark.parametrize(
    ("tail", "rest"),
    [
        (b'"total":0,"has_more":true,"next_token":"t"', (0, True, "t")),
        (b'"has_more":false,"next_token":""', (None, False, "")),
        (b'"next_token":null,"total":null', (None, None, None)),
        (b'"limit":100,"offset":0', (None, None, None)),
    ],
)
def test_the_envelope_in_all_its_forms(tail, rest, lone):
    assert wire.page(reply(200, listing([LONE] if lone else [], tail)), "list")[1:] == rest


@pytest.mark.parametrize(
    "body",
    [
        *("", "OK", "<html>", "[]", "null", "{}", '{"docs":null}', '{"docs":{}}', '{"docs":"x"}', '{"docs":[1'),
        *('{"docs":[{]}', '{"docs":["\\ud800"', '{"docs":["\\ud800"],"total":"many"}', "[" * 5000),
        '{"status_code":200,"error":"x"}',
    ],
)
def test_what_is_no_list_is_an_unknown_outcome(body):
    with pytest.raises(OutcomeUnknown, match="look up"):
        wire.page(reply(200, body), "look up")


def test_bytes_that_are_no_utf8_are_kept_or_reported_but_never_changed():
    document = b'{"t":"caf\xe9"}'
    try:
        (found,), *_ = wire.page(reply(200, listing([document])), "list")
    except OutcomeUnknown:
        return
    assert found == document


# --- values ----------------------------------------------------------------------------------------


def test_integers_beyond_64_bits_are_read_whole():
    assert jsonbytes.loads(b'{"n":[18446744073709551617,-36893488147419103233]}') == {"n": [2**64 + 1, -(2**65) - 1]}
    assert jsonbytes.loads(b'{"n":1234567890123456789012.5}') == {"n": 1234567890123456789012.5}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_a_value_error(body):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the parser's
        jsonbytes.loads(body)


def test_an_object_is_asked_for_and_nothing_else_taken():
    assert wire.as_object(reply(200, '{"a":1}'), "read") == {"a": 1}
    for body in ("[]", "OK", "1"):
        with pytest.raises(OutcomeUnknown, match="read"):
            wire.as_object(reply(200, body), "read")
