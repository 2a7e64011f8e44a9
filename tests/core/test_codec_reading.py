"""From bytes that anybody may have written to messages, or to the reason why they are none."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from progress_ws import InvalidMessage
from progress_ws.core import codec
from progress_ws.core.message import Draft, Message, Numbered, stamped
from tests.core.making import LIMIT, SID, body, nested, texts, values, without

FIELDS = {
    "sid": SID,
    "message": {"a": [1, "ü"]},
    "key": "k",
    "run": "r",
    "final": True,
    "stall_s": 2.5,
    "dedupe": "d",
    "id": "p-1",
    "ts": 1700000000.5,
}


def read(raw: bytes, *, limit: int = LIMIT) -> list[Message | InvalidMessage | None]:
    """Messages without the numbers that they came under; None: a number and no message."""
    items = codec.decode_body(raw, max_message_bytes=limit)
    return [item.message if isinstance(item, Numbered) else item for item in items]


def message_of(raw: bytes, *, limit: int = LIMIT) -> Message:
    (outcome,) = read(raw, limit=limit)
    assert isinstance(outcome, Message), outcome
    return outcome


def flaw_of(raw: bytes, *, limit: int = LIMIT) -> InvalidMessage:
    (outcome,) = read(raw, limit=limit)
    assert isinstance(outcome, InvalidMessage), outcome
    return outcome


def refusal_of(raw: bytes) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as refusal:
        codec.decode_drafts(raw, max_message_bytes=LIMIT)
    return refusal.value


# -- what is a message --------------------------------------------------------------------------


def test_the_two_required_fields_are_enough() -> None:
    message = message_of(b'{"sid": "%b", "message": "50 %%"}' % SID.encode())
    assert (message.sid, bytes(message.message)) == (SID, b'"50 %"')
    assert {getattr(message, name) for name in FIELDS if name not in ("sid", "message")} == {None}


def test_every_field_is_read() -> None:
    message = message_of(json.dumps(FIELDS).encode())
    seen = {name: getattr(message, name) for name in FIELDS} | {
        "message": json.loads(bytes(message.message))
    }
    assert seen == FIELDS


@pytest.mark.parametrize("name", without(FIELDS, "sid"))
def test_null_means_absent_except_for_the_message_itself(name: str) -> None:
    message = message_of(json.dumps({**FIELDS, "run": None, "stall_s": None, name: None}).encode())
    assert getattr(message, name) is None or bytes(message.message) == b"null"


def test_an_empty_dedupe_is_none() -> None:
    (draft,) = codec.decode_drafts(body(dedupe=""), max_message_bytes=LIMIT)
    assert draft.dedupe is None
    message_of(body(dedupe=""))


def test_unknown_fields_are_ignored() -> None:
    assert message_of(body("v", colour="red", ID=3, Sid=None)).sid == SID


def test_blanks_around_and_between_are_no_part_of_anything() -> None:
    raw = b' \r\n\t{ "sid" : "%b" ,\n "message" :\n\t "v" }\n ' % SID.encode()
    assert bytes(message_of(raw).message) == b'"v"'


@pytest.mark.parametrize("blanks", [b"", b" ", b"\n\t\r ", b" " * 63, b" " * 64, b"\n" * 5000])
def test_an_array_is_an_array_after_any_number_of_blanks(blanks: bytes) -> None:
    assert [type(outcome) for outcome in read(blanks + b"[" + body() + b"]")] == [Message]
    assert len(codec.decode_drafts(blanks + b"[" + body() + b"]", max_message_bytes=LIMIT)) == 1


def test_an_array_of_nothing_is_nothing() -> None:
    assert read(b"[]") == []
    assert codec.decode_drafts(b" [ ] ", max_message_bytes=LIMIT) == []


def test_of_a_field_that_is_there_twice_the_last_counts() -> None:
    """As in every browser and in Python; what matters is that all nodes agree."""
    raw = b'{"sid":"%b","message":1,"message":2}' % SID.encode()
    assert bytes(message_of(raw).message) == b"2"


# -- what is none, and which field is to blame --------------------------------------------------

NO_JSON = [
    b"",
    b" ",
    b"fifty",
    b"{",
    b'{"sid":"' + SID.encode() + b'"',
    b'{"sid":"' + SID.encode() + b'","message":}',
    b"{'sid':'" + SID.encode() + b"','message':1}",
    body() + b"x",
    body() + body(),
    b"\xef\xbb\xbf" + body(),
    b"[" + body(),
    b"[" + body() + b",]",
    b"[" + body() + b",," + body() + b"]",
    b"[" + body() + b"]]",
    b"[" + body() + b"]x",
    b"[" + nested(5000).encode() + b"," + body() + b"}",
    b"\xef\xbb\xbf[" + body() + b"]",
    b"[" + body() + b"}",
    b"\x00",
    b"\xff\xfe",
    body().decode().encode("utf-16"),
    f"[{body().decode()}]".encode("utf-16-le"),
]


@pytest.mark.parametrize("raw", NO_JSON)
def test_what_is_no_json_is_called_so(raw: bytes) -> None:
    assert (flaw_of(raw).reason, flaw_of(raw).field) == ("not_json", None)
    assert refusal_of(raw).reason == "not_json"


# JSON texts that Python's reader takes, or a lax one might, and that no browser's JSON.parse does.
ALMOST_JSON = [
    b"NaN",
    b"-Infinity",
    b"01",
    b"1.",
    b".5",
    b"+1",
    b"1e",
    b"0x10",
    b"nul",
    b"True",
    b"'a'",
    b'"a\nb"',
    b'"\x00"',
    b'"\\q"',
    b'"\\u12"',
    b'"\\u00e"',
    b"[1,]",
    b"[1 2]",
    b'{"a":1,}',
    b"{a:1}",
    b"{1:2}",
    b"1/**/",
    b"\xc2\xa01",
    b"1\x0b",
    b'"\xff"',
    b'"\xc0\x80"',
    b'"\xed\xa0\x80"',
    b'"\xf4\x90\x80\x80"',
    b'{"\xff":1}',
    b'["\xe4\xb8"]',
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
]


@pytest.mark.parametrize("value", ALMOST_JSON)
def test_nothing_reaches_a_browser_that_its_json_parser_refuses(value: bytes) -> None:
    raw = b'{"sid":"%b","message":%b}' % (SID.encode(), value)
    assert flaw_of(raw).reason in ("not_json", "bad_message")
    assert refusal_of(raw).reason in ("not_json", "bad_message")


@pytest.mark.parametrize("raw", [b"1", b'"text"', b"null", b"true", b"1.5", b"50 %"])
def test_json_that_is_no_object_is_called_so(raw: bytes) -> None:
    assert flaw_of(raw).reason == "not_an_object"
    assert refusal_of(raw).reason == "not_an_object"


@pytest.mark.parametrize("name", ["sid", "message"])
def test_a_required_field_is_missed_by_name(name: str) -> None:
    raw = json.dumps(without(FIELDS, name)).encode()
    assert (flaw_of(raw).reason, flaw_of(raw).field) == (f"no_{name}", name)
    assert (refusal_of(raw).reason, refusal_of(raw).field) == (f"no_{name}", name)


WRONG = [
    ("sid", [None, 1, True, [], {}, "", "short", "a" * 129, "sid with blanks 123", SID + "\n"]),
    ("key", [1, True, [], {}, "k" * 129]),
    ("run", [1, True, [], {}, "r" * 65]),
    ("final", [0, 1, "true", [], {}]),
    ("stall_s", [0, -1, "1", True, [], {}, -0.0]),
    ("dedupe", [1, True, [], {}, "d" * 65]),
]
WRONG_OF_A_NODE = [
    ("id", [1, True, [], {}, "", "p", "p-0", "p-01", "-1", "p q-1", "p-9007199254740992"]),
    ("ts", ["now", True, [], {}]),
]


def cases(table: list[tuple[str, list[Any]]]) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}={str(value)[:24]!r}")
        for name, wrong in table
        for value in wrong
    ]


@pytest.mark.parametrize(("name", "value"), cases(WRONG + WRONG_OF_A_NODE))
def test_a_wrong_field_is_named(name: str, value: Any) -> None:
    flaw = flaw_of(json.dumps({**FIELDS, name: value}).encode())
    assert (flaw.field, flaw.reason) == (name, f"bad_{name}")
    assert flaw.detail.startswith(f"{name} must be ")


@pytest.mark.parametrize(("name", "value"), cases(WRONG))
def test_a_publish_request_learns_the_same(name: str, value: Any) -> None:
    flaw = refusal_of(json.dumps({**FIELDS, name: value}).encode())
    assert (flaw.field, flaw.reason, flaw.index) == (name, f"bad_{name}", None)


@pytest.mark.parametrize(
    "value", [b'"\\ud800"', b'"\xff"', b"fifty", b"NaN", nested(5000).encode()]
)
@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_no_decoder_takes_is_named(name: str, value: bytes) -> None:
    written = {field: json.dumps(right).encode() for field, right in FIELDS.items()} | {name: value}
    raw = b"{%b}" % b",".join(b'"%b":%b' % (field.encode(), v) for field, v in written.items())
    assert flaw_of(raw).field == name
    if name not in ("id", "ts"):
        assert refusal_of(raw).field == name
        assert refusal_of(b"[%b,%b]" % (body(), raw)).index == 1


def test_a_nesting_that_no_decoder_takes_is_called_so() -> None:
    raw = b'{"sid":"%b","message":%b}' % (SID.encode(), nested(5000).encode())
    assert (flaw_of(raw).field, flaw_of(raw).reason) == ("message", "too_deep")


@pytest.mark.parametrize("value", [b"1e999", b"-1e999"])
@pytest.mark.parametrize("name", ["stall_s", "ts"])
def test_a_number_that_no_float_holds_is_wrong_where_one_is_needed(name: str, value: bytes) -> None:
    raw = body(key="k").rstrip(b"}") + b',"%b":%b}' % (name.encode(), value)
    assert flaw_of(raw).field == name


@pytest.mark.parametrize("name", ["run", "stall_s"])
def test_what_goes_with_a_key_is_wrong_without_one(name: str) -> None:
    raw = json.dumps({"sid": SID, "message": 1, name: FIELDS[name]}).encode()
    assert flaw_of(raw).field == name
    assert refusal_of(raw).field == name


def test_a_reason_repeats_no_content() -> None:
    """It goes to a log, and contents must not."""
    secret = "hunter2"
    for wrong in ({"sid": secret}, {"key": [secret]}, {"message": secret}, {"final": secret}):
        raw = json.dumps({"message": 1, **wrong}).encode()
        assert secret not in flaw_of(raw).detail


# -- arrays -------------------------------------------------------------------------------------

BAD_MEMBERS = [
    b"1",
    b"null",
    b"[]",
    b"[" + body() + b"]",
    b"{}",
    b'{"sid":"short","message":1}',
    b'{"sid":"%b"}' % SID.encode(),
    b'{"sid":"%b","message":"\xff"}' % SID.encode(),
    b'{"sid":"%b","message":1,"key":"\xff"}' % SID.encode(),
    b'{"sid":"%b","message":"\\ud800"}' % SID.encode(),
    body("x" * (LIMIT + 1)),
    body(json.loads(nested(201))),
    b'{"sid":"%b","message":%b}' % (SID.encode(), nested(5000).encode()),
    b'{"sid":"%b","message":NaN}' % SID.encode(),
]


@pytest.mark.parametrize("bad", BAD_MEMBERS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_member_harms_no_other(bad: bytes, place: int) -> None:
    members = [body(n) for n in range(2)]
    members.insert(place, bad)
    outcomes = read(b"[" + b",".join(members) + b"]")
    assert isinstance(outcomes.pop(place), InvalidMessage)
    assert [bytes(m.message) for m in outcomes if isinstance(m, Message)] == [b"0", b"1"]


@pytest.mark.parametrize("spoiling", [b'"\\ud800"', nested(5000).encode(), b"NaN"])
@pytest.mark.parametrize(
    "value",
    [b"1e400", b"9" * 5000, b"1.10", b"[1E5]", b'{ "a":1, "a":2 }', b'"\\u00e9"', b'"],{["'],
)
def test_what_stands_beside_a_bad_member_is_kept_as_it_is_written(
    spoiling: bytes, value: bytes
) -> None:
    good, bad = (b'{"sid":"%b","message":%b}' % (SID.encode(), v) for v in (value, spoiling))
    first, second = read(b"[%b, %b]" % (good, bad))
    assert isinstance(first, Message)
    assert bytes(first.message) == value
    assert isinstance(second, InvalidMessage)


@pytest.mark.parametrize("spoiling", [b'"\\ud800"', nested(5000).encode(), b'"\xff"', b"nul"])
@pytest.mark.parametrize("name", [b"message", b"key", b"colour"])
@pytest.mark.parametrize("beside", [b"", b"," + body()])
def test_the_number_of_a_bad_member_is_known_whatever_spoils_it(
    spoiling: bytes, name: bytes, beside: bytes
) -> None:
    bad = b'{"sid":"%b","%b":%b,"id":"p-7"}' % (SID.encode(), name, spoiling)
    outcome, *_ = read(b"[" + bad + beside + b"]")
    assert isinstance(outcome, InvalidMessage)
    assert outcome.id == "p-7"
    assert flaw_of(bad).id == "p-7"


@pytest.mark.parametrize("bad", BAD_MEMBERS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_request_with_a_bad_member_is_refused_whole_and_the_member_named(
    bad: bytes, place: int
) -> None:
    members = [body(n) for n in range(2)]
    members.insert(place, bad)
    raw = b"[" + b",".join(members) + b"]"
    flaw = refusal_of(raw)
    assert flaw.index == place


def test_the_first_bad_member_is_named() -> None:
    raw = b"[%b,{},1]" % body()
    assert (refusal_of(raw).index, refusal_of(raw).reason) == (1, "no_sid")


def test_a_request_holds_at_most_a_thousand() -> None:
    def request(count: int) -> bytes:
        return b"[" + b",".join([body()] * count) + b"]"

    assert len(codec.decode_drafts(request(1000), max_message_bytes=LIMIT)) == 1000
    assert (refusal_of(request(1001)).reason, refusal_of(request(1001)).index) == ("too_many", None)


def test_what_crosses_the_exchange_may_hold_more() -> None:
    """Who wrote it need not be one of ours."""
    assert len(read(b"[" + b",".join([body()] * 2000) + b"]")) == 2000


def test_a_request_is_made_of_drafts_a_number_in_it_means_nothing() -> None:
    (draft,) = codec.decode_drafts(body(id="p-1", ts="yesterday"), max_message_bytes=LIMIT)
    assert type(draft) is Draft
    assert b"p-1" not in codec.encode(stamped(draft, ts=1))


# -- sizes, as JSON texts of others measure -----------------------------------------------------

SIZED = {
    "plain": (b"x", 1),
    "escaped letter": (b"\\u0041", 1),
    "escaped quote": (b'\\"', 1),
    "escaped Chinese": (b"\\u4e2d", 3),
    "escaped emoji": (b"\\ud83d\\ude00", 4),
    "raw Chinese": ("中".encode(), 3),
}


@pytest.mark.parametrize(("unit", "size"), SIZED.values(), ids=SIZED)
@pytest.mark.parametrize("array", [False, True])
def test_a_string_is_measured_without_quotes_and_escapes(
    unit: bytes, size: int, *, array: bool
) -> None:
    def raw(count: int) -> bytes:
        one = b'{"sid":"%b","message":"%b"}' % (SID.encode(), unit * count)
        return b"[%b]" % one if array else one

    message_of(raw(100), limit=100 * size)
    flaw = flaw_of(raw(100), limit=100 * size - 1)
    assert (flaw.reason, flaw.field) == ("too_large", "message")


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (b"[1,2]", 5),
        (b"[ 1 ,\n\t2 ]", 5),
        (b'{ "a" : "b" }', 9),
        (b"true", 4),
        (b"12345", 5),
        (b'["\\u0041"]', 5),
    ],
)
def test_anything_else_is_measured_as_json_without_blanks(value: bytes, size: int) -> None:
    raw = b'{"sid":"%b","message":%b}' % (SID.encode(), value)
    message_of(raw, limit=size)
    assert flaw_of(raw, limit=size - 1).reason == "too_large"


def test_a_number_that_no_float_holds_is_measured_as_it_is_written() -> None:
    raw = b'{"sid":"%b","message":1e999}' % SID.encode()
    message_of(raw, limit=5)
    assert flaw_of(raw, limit=4).reason == "too_large"


# -- nesting ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    "levels", [200, 201, 500, *range(900, 1100), 5000, 32_000, 100_000, 1_000_000]
)
def test_nesting_is_bounded_and_never_breaks_the_reader(levels: int) -> None:
    raw = b'{"sid":"%b","message":%b}' % (SID.encode(), nested(levels).encode())
    (outcome,) = read(raw, limit=10_000_000)
    assert isinstance(outcome, Message) == (levels == 200)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("levels", [1, 500, 990, 1000, 100_000])
@pytest.mark.parametrize("name", ["colour", "sid", "key", "ts"])
def test_nesting_in_any_other_field_neither(name: str, levels: int) -> None:
    raw = body().rstrip(b"}") + b',"%b":%b}' % (name.encode(), nested(levels).encode())
    assert len(read(raw)) == 1


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("levels", [1, 500, 990, 1000, 100_000])
def test_nesting_of_arrays_neither(levels: int) -> None:
    raw = nested(levels, innermost=body().decode()).encode()
    assert [type(o) for o in read(raw)] == [Message if levels == 1 else InvalidMessage]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("levels", [1, 500, *range(850, 1050), 100_000])
def test_nesting_beside_a_member_that_is_hard_to_read_neither(levels: int) -> None:
    raw = f'[{{"sid":"{SID}","message":"\\ud800"}},{nested(levels)}]'.encode()
    assert all(isinstance(outcome, InvalidMessage) for outcome in read(raw))
    assert refusal_of(raw).reason


nests = st.recursive(
    st.sampled_from(["1", '"["', '"\\"[{"', '"\\\\"']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
        | st.lists(inner, max_size=3).map(
            lambda items: "{" + ",".join(f'"[{n}\\"":{v}' for n, v in enumerate(items)) + "}"
        )
    ),
    max_leaves=8,
)


def depth(value: Any) -> int:
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth, inner), default=0)
    return 0


@given(nests, st.integers(190, 205))
def test_the_depth_is_counted_right_whatever_the_shape(text: str, around: int) -> None:
    value = nested(around, innermost=text + "," + text)
    raw = b'{"sid":"%b","message":%b}' % (SID.encode(), value.encode())
    (outcome,) = read(raw)
    assert isinstance(outcome, Message) == (depth(json.loads(value)) <= 200)


# -- anything at all ----------------------------------------------------------------------------


def check(raw: bytes) -> None:
    """Whatever the bytes are, there are outcomes; and what is a message is fit for a browser."""
    for outcome in read(raw):
        if isinstance(outcome, InvalidMessage):
            assert outcome.reason
            assert outcome.detail
            continue
        frame = json.loads(codec.message_frame(outcome).decode())
        assert frame["sid"] == outcome.sid
        codec.message_text(outcome).decode()
        codec.one_line(codec.encode(outcome))
    with suppress(InvalidMessage):
        codec.decode_drafts(raw, max_message_bytes=LIMIT)


@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    check(raw)


@given(values)
def test_any_json(value: Any) -> None:
    check(json.dumps(value).encode())


members = st.dictionaries(st.sampled_from([*FIELDS, "x"]), values | st.sampled_from([SID, "p-1"]))


@given(members | st.lists(members, max_size=3))
def test_any_values_in_the_right_fields(fields: Any) -> None:
    check(json.dumps(fields).encode())


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 2), st.binary(max_size=3)), max_size=4),
    texts,
    st.booleans(),
)
@example([(0, 0, b"")], "", False)
def test_a_good_body_with_some_bytes_changed(
    changes: list[tuple[int, int, bytes]], text: str, array: bool
) -> None:
    raw = bytearray(json.dumps({**FIELDS, "message": [text]}, ensure_ascii=False).encode())
    if array:
        raw = bytearray(b"[%b,%b]" % (raw, raw))
    for place, length, new in changes:
        raw[place : place + length] = new
    check(bytes(raw))
