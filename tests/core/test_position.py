"""How far a browser has come, as text: written and read back, bounded, and never too far."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws.core.position import POSITION_MAX_BYTES, After, Position, parse_after
from progress_ws.core.position import parse_position as parse

A, B, C = ("a" * 22, "b" * 22, "c" * 22)
IDS_MAX = 64

publishers = st.text("aZ09._~-", min_size=1, max_size=64)
afters = st.dictionaries(publishers, st.integers(1, 2**53 - 1), max_size=4)


def position(*given_: After, minted: bool = False, max_bytes: int = POSITION_MAX_BYTES) -> Position:
    """A position in one session, or in several."""
    sessions = list(zip((A, B, C), given_, strict=False))
    return Position(sessions, minted=minted, max_bytes=max_bytes)


@pytest.mark.parametrize(
    ("text", "sid", "found"),
    [
        ("", "", [None]),
        ("p-1", "", [{"p": 1}]),
        ("p-1,q-2", "", [{"p": 1, "q": 2}]),
        ("p-7,p-3", "", [{"p": 7}]),
        (";", "", [None, None]),
        ("p-1;", "", [{"p": 1}, None]),
        (";p-1;q-2,p-3", "", [None, {"p": 1}, {"q": 2, "p": 3}]),
        (f"{A}:", A, [None]),
        (f"{A}:p-1,q-2", A, [{"p": 1, "q": 2}]),
        (f"{A}:p-1;q-2", A, [{"p": 1}, {"q": 2}]),
        ("a-b-c-1", "", [{"a-b-c": 1}]),
    ],
)
def test_what_is_a_position(text: str, sid: str, found: list[After]) -> None:
    assert parse(text) == (sid, found)


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "p",
        "p-0",
        "p-01",
        "p-1,",
        ",p-1",
        "p-1,,q-1",
        "p-1 ,q-1",
        f"p-{2**53}",
        "p-١",
        "é-1",
        ":p-1",
        "short:p-1",
        f"{A}:{A}:p-1",
        f"{A}:p",
        f"{'a' * 129}:",
        "p-1\n",
        ",".join(f"p{n}-1" for n in range(IDS_MAX + 1)),
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"after is|begins with"):
        parse(text)


@given(st.text(max_size=60) | st.text("pA-1,;:" + A[0], max_size=60))
def test_anything_is_read_or_refused(text: str) -> None:
    try:
        read = parse(text)
    except ValueError:
        return
    assert all(after is None or after for after in read.afters)


@given(st.lists(afters, min_size=1, max_size=3), st.booleans())
def test_what_is_written_is_read_back(before: list[dict[str, int]], minted: bool) -> None:
    text = str(position(*before, minted=minted))
    assert parse(text) == (A if minted else "", [after or None for after in before])
    assert text.isascii()


def test_it_goes_on_with_what_is_seen() -> None:
    where = position(None, {"q": 5})
    assert str(where) == ";q-5"
    where.come_to(A, "p-1")
    assert str(where) == "p-1;q-5"
    where.come_to(B, "p-2")
    where.come_to(A, "p-3")
    assert str(where) == "p-3;q-5,p-2"
    where.come_to(B, "q-6")
    assert str(where) == "p-3;p-2,q-6", "the freshest is the last"


def test_it_never_goes_back() -> None:
    """What a browser saw elsewhere, before it came to this node, stays seen."""
    where = position({"p": 9})
    where.come_to(A, "p-7")
    assert str(where) == "p-9"


def test_it_names_the_session_that_was_minted() -> None:
    where = position(None, minted=True)
    assert str(where) == f"{A}:"
    where.come_to(A, "p-1")
    assert str(where) == f"{A}:p-1"


def test_past_64_ids_of_a_session_the_least_fresh_goes() -> None:
    where = position(None, {"q": 1})
    for n in range(IDS_MAX):
        where.come_to(A, f"p{n}-1")
    where.come_to(A, "p0-2")
    where.come_to(A, "new-1")
    mine, other = parse(str(where)).afters
    assert mine is not None
    assert len(mine) == IDS_MAX
    assert mine["p0"] == 2
    assert "p1" not in mine
    assert other == {"q": 1}


def test_past_its_bytes_the_least_fresh_of_all_goes() -> None:
    where = position({"old": 1}, {"p": 1}, max_bytes=40)
    where.come_to(B, "publisher-1")
    assert str(where) == "old-1;p-1,publisher-1"
    where.come_to(B, "another-publisher-1")
    assert str(where) == ";p-1,publisher-1,another-publisher-1"


@given(
    st.lists(st.tuples(st.integers(0, 2), publishers, st.integers(1, 2**40)), max_size=200),
    st.integers(100, 500),
)
def test_it_fits_a_header_whatever_is_seen(
    seen: list[tuple[int, str, int]], max_bytes: int
) -> None:
    """And what it names has been seen, of each publisher the latest: their numbers rise."""
    where = position(None, None, None, minted=True, max_bytes=max_bytes)
    latest: list[dict[str, int]] = [{}, {}, {}]
    for session, publisher, by in seen:
        seq = latest[session][publisher] = latest[session].get(publisher, 0) + by
        where.come_to((A, B, C)[session], f"{publisher}-{seq}")
        assert len(str(where)) <= max_bytes
    for after, known in zip(parse(str(where)).afters, latest, strict=True):
        assert (after or {}).items() <= known.items()


def test_the_longest_is_within_what_servers_take() -> None:
    sids = [f"{n:022}" for n in range(257)]
    where = Position([(sid, None) for sid in sids], minted=True)
    for sid in sids:
        for n in range(4):
            where.come_to(sid, f"{'p' * 40}{n}-{2**52}")
    line = f"Last-Event-ID: {where}\r\n"
    assert 4096 < len(line) < 8190
    assert len(parse(str(where)).afters) == len(sids)


def test_one_sessions_text_is_an_after() -> None:
    where = position(None)
    where.come_to(A, "p-1")
    assert parse_after(str(where)) == {"p": 1}
