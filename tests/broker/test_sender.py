"""The sender over links that a test controls: numbers, windows, losses, deadlines."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from progress_ws import InvalidMessage, PublishError
from progress_ws.broker import sender as module
from progress_ws.broker.seam import LinkLost, LinkRefused, OnCancel
from progress_ws.broker.sender import BufferFull, Sender
from progress_ws.core import codec
from progress_ws.core.batch import Batch
from progress_ws.core.message import Draft, parse_id
from tests.support.waiting import eventually

SID = "s" * 22
SECOND = 30.0
"""A deadline that is never reached, if all is well."""


class HandHeldLink:
    """A link whose every outcome is given by the test."""

    trouble: str | None = None
    refuses_to_listen = False

    def __init__(self) -> None:
        self.puts: list[tuple[Batch, asyncio.Future[list[str]]]] = []
        self.values: list[list[Any]] = []
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.announced: list[tuple[str, bytes]] = []
        self.listening: list[tuple[str, OnCancel]] = []

    async def put(self, batch: Batch) -> list[str]:
        outcome: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self.puts.append((batch, outcome))
        self.values.append(values(batch))
        return await outcome

    async def announce(self, type: str, body: bytes) -> None:
        self.announced.append((type, body))

    async def listen(self, publisher: str, on_cancel: OnCancel) -> None:
        self.listening.append((publisher, on_cancel))
        if self.refuses_to_listen:
            raise LinkRefused("a right is missing")

    async def lost(self) -> None:
        await self.gone

    def confirm(self, index: int = -1) -> None:
        batch, outcome = self.puts[index]
        outcome.set_result(batch.ids)

    def lose(self, reason: str = "cut") -> None:
        self.gone.set_exception(LinkLost(reason))


def values(batch: Batch) -> list[Any]:
    decoded = json.loads(batch.body())
    return [m["message"] for m in (decoded if isinstance(decoded, list) else [decoded])]


class Exchange:
    """Opens links one after the other; `refusal` is raised instead while it is set."""

    def __init__(self) -> None:
        self.links: list[HandHeldLink] = []
        self.refusal: LinkLost | None = None
        self.attempts = 0
        self.on_open: Callable[[], object] = lambda: None

    @asynccontextmanager
    async def open_link(self) -> AsyncIterator[HandHeldLink]:
        self.attempts += 1
        if self.refusal is not None:
            raise self.refusal
        link = HandHeldLink()
        self.links.append(link)
        self.on_open()
        yield link

    async def link(self, count: int = 1) -> HandHeldLink:
        """The link of that count, once it is open."""
        await eventually(lambda: len(self.links) >= count, what=f"link {count}")
        return self.links[count - 1]

    async def puts(self, count: int, link: int = 1) -> HandHeldLink:
        """The same, once so many batches are on their way."""
        found = await self.link(link)
        await eventually(lambda: len(found.puts) >= count, what=f"{count} batches")
        return found


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@asynccontextmanager
async def sending(exchange: Exchange, *, max_buffer_bytes: int = 10**7) -> AsyncIterator[Sender]:
    sender = Sender(exchange.open_link, max_buffer_bytes=max_buffer_bytes)
    task = asyncio.create_task(sender.run())
    try:
        yield sender
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait([task])


def draft(value: Any, **fields: Any) -> Draft:
    return codec.new_draft(SID, value, max_message_bytes=10**6, **fields)


def send(sender: Sender, *values: Any, timeout_s: float = SECOND) -> "asyncio.Task[list[str]]":
    return asyncio.create_task(sender.send([draft(v) for v in values], timeout_s=timeout_s))


# -- numbers and packing ------------------------------------------------------------------------


async def test_a_send_returns_its_id_once_the_broker_has_confirmed(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        sent = send(sender, "a")
        link = await exchange.puts(1)
        assert not sent.done()
        link.confirm()
        assert await sent == [f"{sender.publisher}-1"]
        assert len(sender) == 0


async def test_numbers_count_from_one_over_sends_and_posts(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        link = await exchange.link()
        for n in range(1, 4):
            sender.post(draft("posted"))
            sent = send(sender, "sent")
            while not sent.done():
                for index, (_, outcome) in enumerate(link.puts):
                    if not outcome.done():
                        link.confirm(index)
                await asyncio.sleep(0)
            assert await sent == [f"{sender.publisher}-{2 * n}"]


async def test_two_senders_have_different_names() -> None:
    names = {Sender(Exchange().open_link, max_buffer_bytes=1).publisher for _ in range(100)}
    assert len(names) == 100
    assert all(parse_id(f"{name}-1") for name in names)


async def test_while_the_wire_is_busy_messages_gather_into_one_array(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        sender.post(draft(0))
        link = await exchange.puts(1)
        for n in range(1, 100):
            sender.post(draft(n))
        link.confirm()
        await exchange.puts(2)
        assert link.values == [[0], list(range(1, 100))]


async def test_a_batch_waits_until_the_one_before_it_is_confirmed(exchange: Exchange) -> None:
    """Else the first might come back and the second arrive; the first, sent again, would look like
    a repetition."""
    async with sending(exchange) as sender:
        for _ in range(10):
            sender.post(draft("x" * 200_000))
        for count in range(1, 11):
            link = await exchange.puts(count)
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(link.puts) == count
            link.confirm()
        await eventually(lambda: len(sender) == 0)


async def test_a_call_with_several_messages_waits_for_them_all(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        sent = send(sender, "x" * 200_000, "y" * 200_000, "z" * 200_000)
        for count in range(1, 4):
            link = await exchange.puts(count)
            assert not sent.done()
            link.confirm()
        assert await sent == [f"{sender.publisher}-{n}" for n in (1, 2, 3)]


async def test_nothing_to_send_is_sent_at_once(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        assert await sender.send([], timeout_s=SECOND) == []


# -- losses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["link", "put"])
async def test_after_a_loss_what_is_unconfirmed_goes_out_again_unchanged_and_first(
    how: str, exchange: Exchange
) -> None:
    async with sending(exchange) as sender:
        link = await exchange.link()
        sender.post(draft("confirmed"))
        await exchange.puts(1)
        link.confirm()
        sender.post(draft("on its way"))
        await exchange.puts(2)
        sender.post(draft("new"))
        if how == "link":
            link.lose()
        else:
            link.puts[1][1].set_exception(LinkLost("cut"))
        second = await exchange.puts(1, link=2)
        assert second.puts[0][0].body() == link.puts[1][0].body()
        second.confirm()
        await exchange.puts(2, link=2)
        assert second.values == [["on its way"], ["new"]]
        assert sender.reconnects == 1


async def test_a_confirm_that_never_comes_is_a_loss(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one lost confirm on a living connection would stop a publisher for ever."""
    monkeypatch.setattr(module, "LOOKS", 1000)
    async with sending(exchange) as sender:
        sent = send(sender, "a")
        first = await exchange.puts(1)
        with monkeypatch.context() as impatient:
            exchange.on_open = impatient.undo  # the second one's confirm does come
            impatient.setattr(module, "CONFIRM_TIMEOUT_S", 0.1)
            second = await exchange.puts(1, link=2)
        assert second.puts[0][0].body() == first.puts[0][0].body()
        second.confirm()
        assert await sent == [f"{sender.publisher}-1"]


async def test_no_confirm_is_missed_of_what_was_refused(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKS", 1000)
    async with sending(exchange) as sender:
        sent = send(sender, "a")
        link = await exchange.puts(1)
        link.puts[0][1].set_exception(InvalidMessage("no", reason="refused"))
        with pytest.raises(InvalidMessage):
            await sent
        monkeypatch.setattr(module, "CONFIRM_TIMEOUT_S", 0.1)
        await asyncio.sleep(0.3)
        assert (sender.reconnects, sender.trouble) == (0, None)


@pytest.mark.parametrize("how", ["link", "put", "both"])
async def test_an_end_in_the_moment_of_a_loss_is_an_end(how: str, exchange: Exchange) -> None:
    """A task group that is cancelled while a child of it fails tells of the failure only."""
    sender = Sender(exchange.open_link, max_buffer_bytes=10**6)
    task = asyncio.create_task(sender.run())
    sender.post(draft(1))
    link = await exchange.puts(1)
    if how in ("link", "both"):
        link.lose()
    if how in ("put", "both"):
        link.puts[0][1].set_exception(LinkLost("cut"))
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


async def test_an_end_at_any_moment_around_a_loss_is_an_end(exchange: Exchange) -> None:
    for turns in range(20):
        before = len(exchange.links)
        sender = Sender(exchange.open_link, max_buffer_bytes=10**6)
        task = asyncio.create_task(sender.run())
        sender.post(draft(1))
        link = await exchange.puts(1, link=before + 1)
        link.lose()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled(), f"{turns} turns of the loop after the loss"


async def test_trouble_is_told_while_there_is_some(exchange: Exchange) -> None:
    exchange.refusal = LinkLost("nobody there")
    async with sending(exchange) as sender:
        await eventually(lambda: sender.trouble == "nobody there")
        exchange.refusal = None
        await exchange.link()
        await eventually(lambda: sender.trouble is None)
        assert sender.reconnects == 0


async def test_what_was_given_up_proves_no_link(exchange: Exchange) -> None:
    """A link that has nothing to say for it answers at once, whatever is at its other end."""
    async with sending(exchange) as sender:
        sender.post(draft("a"))
        (await exchange.puts(1)).lose("refused")
        link = await exchange.puts(1, link=2)
        link.puts[0][1].set_result([""])
        await eventually(lambda: not len(sender))
        assert sender.reason() == "refused"
        sender.post(draft("b"))
        (await exchange.puts(2, link=2)).confirm()
        await eventually(lambda: not len(sender))
        assert sender.reason() != "refused"


async def test_attempts_are_spread_and_never_further_apart_than_a_second(
    exchange: Exchange,
) -> None:
    exchange.refusal = LinkLost("nobody there")
    async with sending(exchange):
        await eventually(lambda: exchange.attempts >= 4, 5, what="four attempts")


async def test_opening_that_takes_for_ever_is_given_up(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPEN_TIMEOUT_S", 0.05)
    hang = asyncio.Event()

    @asynccontextmanager
    async def open_link() -> AsyncIterator[HandHeldLink]:
        exchange.attempts += 1
        if exchange.attempts < 3:
            await hang.wait()
        async with exchange.open_link() as link:
            yield link

    sender = Sender(open_link, max_buffer_bytes=10**6)
    task = asyncio.create_task(sender.run())
    sent = send(sender, "a")
    link = await exchange.puts(1)
    link.confirm()
    assert await sent
    # An open link is not timed out.
    await asyncio.sleep(0.1)
    assert sender.reconnects == 0
    task.cancel()
    await asyncio.wait([task])


async def test_a_link_that_opens_as_its_time_is_up_is_used(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPEN_TIMEOUT_S", 0.02)

    @asynccontextmanager
    async def open_link() -> AsyncIterator[HandHeldLink]:
        # What cannot be left half done is seen to its end, whoever gives up meanwhile.
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        async with exchange.open_link() as link:
            yield link

    sender = Sender(open_link, max_buffer_bytes=10**6)
    task = asyncio.create_task(sender.run())
    sent = send(sender, "a")
    link = await exchange.puts(1)
    link.confirm()
    assert await sent
    assert sender.reconnects == 0
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


# -- refusals -----------------------------------------------------------------------------------


async def test_whoever_waits_is_told_at_once_that_it_is_of_no_use(exchange: Exchange) -> None:
    exchange.refusal = LinkRefused("wrong password")
    async with sending(exchange) as sender:
        with pytest.raises(PublishError, match="wrong password"):
            async with asyncio.timeout(5):
                await send(sender, "a")
        assert len(sender) == 0


async def test_posted_messages_outlive_a_refusal(exchange: Exchange) -> None:
    exchange.refusal = LinkRefused("wrong password")
    async with sending(exchange) as sender:
        sender.post(draft("posted"))
        with pytest.raises(PublishError):
            await send(sender, "awaited")
        exchange.refusal = None
        link = await exchange.puts(1)
        assert link.values == [["posted"]]


async def test_only_the_message_that_is_refused_fails(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        link = await exchange.link()
        sender.post(draft("busy"))
        await exchange.puts(1)
        sent = [send(sender, n) for n in range(3)]
        await eventually(lambda: len(sender) == 4)
        link.confirm()
        await exchange.puts(2)
        flaw = InvalidMessage("too large", reason="refused")
        link.puts[1][1].set_exception(flaw)
        for n in range(3):
            await exchange.puts(3 + n)
            if n == 1:
                link.puts[-1][1].set_exception(flaw)
            else:
                link.confirm()
        assert link.values[2:] == [[0], [1], [2]]
        with pytest.raises(InvalidMessage, match="too large"):
            await sent[1]
        assert (await sent[0], await sent[2]) == (
            [f"{sender.publisher}-2"],
            [f"{sender.publisher}-4"],
        )


# -- deadlines and bounds -----------------------------------------------------------------------


async def test_what_was_never_on_the_wire_is_withdrawn_at_the_deadline(exchange: Exchange) -> None:
    exchange.refusal = LinkLost("nobody there")
    async with sending(exchange) as sender:
        with pytest.raises(PublishError, match=r"not sent within 0\.05 s: nobody there"):
            await send(sender, "a", timeout_s=0.05)
        assert len(sender) == 0


async def test_what_was_on_the_wire_may_still_arrive(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        sent = send(sender, "a", timeout_s=0.1)
        link = await exchange.puts(1)
        with pytest.raises(PublishError, match="may still arrive"):
            await sent
        assert len(sender) == 0, "nobody wants it any more"
        sender.post(draft("next"))
        link.confirm()
        await exchange.puts(2)
        assert link.values == [["a"], ["next"]]


async def test_the_last_number_is_said_once_more_after_a_moment_of_silence(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("progress_ws.broker.sender.SILENCE_S", 0.01)
    async with sending(exchange) as sender:
        sender.post(draft("a"))
        link = await exchange.puts(1)
        await asyncio.sleep(0.03)
        assert link.announced == [], "not before it is confirmed"
        link.confirm()
        await eventually(lambda: link.announced)
        ((type_, body),) = link.announced
        assert type_ == "progress-ws.last"
        assert json.loads(body) == {"publisher": sender.publisher, "seq": 1}
        sender.post(draft("b"))
        await exchange.puts(2)
        link.confirm()
        await eventually(lambda: len(link.announced) == 2)
        assert json.loads(link.announced[1][1])["seq"] == 2


async def test_a_last_number_that_is_not_taken_is_in_nobodys_way(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an alarm; and if its confirm stays away for good, the link is opened anew."""
    monkeypatch.setattr("progress_ws.broker.sender.SILENCE_S", 0.01)
    monkeypatch.setattr("progress_ws.broker.sender.CONFIRM_TIMEOUT_S", 0.3)
    asked = asyncio.Event()

    async def never(_self: object, _type: str, _body: bytes) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(HandHeldLink, "announce", never)
    async with sending(exchange) as sender:
        sender.post(draft("a"))
        link = await exchange.puts(1)
        link.confirm()
        await asked.wait()
        sender.post(draft("b"))
        await exchange.puts(2)
        link.confirm()
        await exchange.link(2)
        assert sender.reconnects == 1


async def test_after_a_reconnect_the_last_number_is_said_once_more(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a broker lost while it was down shows up by it."""
    monkeypatch.setattr(module, "SILENCE_S", 0.01)
    async with sending(exchange) as sender:
        sender.post(draft("a"))
        link = await exchange.puts(1)
        link.confirm()
        await eventually(lambda: link.announced)
        link.lose()
        second = await exchange.link(2)
        await eventually(lambda: second.announced)
        assert second.announced == link.announced
        sender.post(draft("b"))
        await exchange.puts(1, link=2)
        second.confirm()
        await eventually(lambda: len(second.announced) == 2)
        assert json.loads(second.announced[1][1])["seq"] == 2


async def test_a_number_that_is_not_confirmed_is_not_said(exchange: Exchange) -> None:
    """A node would look for what may never have reached the broker."""
    async with sending(exchange) as sender:
        sender.post(draft("confirmed"))
        link = await exchange.puts(1)
        link.confirm()
        sent = send(sender, "given up", timeout_s=0.05)
        await exchange.puts(2)
        with pytest.raises(PublishError):
            await sent
        await sender.flush()
        await sender.say_last()
        ((_, body),) = link.announced
        assert json.loads(body)["seq"] == 1


async def test_before_the_first_number_none_is_said(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_S", 0.001)
    async with sending(exchange) as sender:
        link = await exchange.link()
        await sender.say_last()
        await asyncio.sleep(0.01)
        assert link.announced == []


async def test_a_cancelled_send_is_withdrawn(exchange: Exchange) -> None:
    exchange.refusal = LinkLost("nobody there")
    async with sending(exchange) as sender:
        sent = send(sender, "a")
        await eventually(lambda: len(sender) == 1)
        sent.cancel()
        await asyncio.wait([sent])
        assert len(sender) == 0


def filled(sender: Sender) -> int:
    count = 0
    while sender.post(draft("x" * 1500)):
        count += 1
    return count


async def test_a_full_buffer_takes_no_post(exchange: Exchange) -> None:
    exchange.refusal = LinkLost("nobody there")
    async with sending(exchange, max_buffer_bytes=50_000) as sender:
        assert 20 < filled(sender) < 50
        assert len(sender) < 50


async def test_a_send_waits_for_room(exchange: Exchange) -> None:
    async with sending(exchange, max_buffer_bytes=50_000) as sender:
        count = filled(sender)
        sent = send(sender, "y" * 1000)
        link = await exchange.puts(1)
        assert len(sender) == count
        link.confirm()
        await exchange.puts(2)
        link.confirm()
        assert await sent == [f"{sender.publisher}-{count + 1}"]


async def test_a_send_that_will_not_wait_for_room_is_told(exchange: Exchange) -> None:
    exchange.refusal = LinkLost("nobody there")
    async with sending(exchange, max_buffer_bytes=50_000) as sender:
        before = filled(sender)
        with pytest.raises(BufferFull):
            await sender.send([draft(1), draft("x" * 3000)], timeout_s=SECOND, wait_for_room=False)
        assert len(sender) == before, "nothing of it was taken"


async def test_a_send_waiting_for_room_is_told_at_once_that_it_is_of_no_use(
    exchange: Exchange,
) -> None:
    """Posted messages fill the buffer, and the password is wrong."""
    exchange.refusal = LinkLost("nobody there")
    async with sending(exchange, max_buffer_bytes=50_000) as sender:
        filled(sender)
        sent = send(sender, "y" * 2000)
        await asyncio.sleep(0)
        exchange.refusal = LinkRefused("wrong password")
        with pytest.raises(PublishError, match="wrong password"):
            async with asyncio.timeout(5):
                await sent


async def test_flush_waits_until_all_is_confirmed(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        await sender.flush()
        sender.post(draft(0))
        link = await exchange.puts(1)
        sender.post(draft(1))
        flushing = [asyncio.create_task(sender.flush()) for _ in range(2)]
        link.confirm()
        await exchange.puts(2)
        assert not any(task.done() for task in flushing)
        link.confirm()
        async with asyncio.timeout(5):
            await asyncio.gather(*flushing)


async def test_flush_does_not_wait_for_what_nobody_wants_any_more(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        sent = send(sender, "a", timeout_s=0.1)
        await exchange.puts(1)
        flushing = asyncio.create_task(sender.flush())
        with pytest.raises(PublishError):
            await sent
        async with asyncio.timeout(5):
            await flushing


async def test_flush_waits_for_what_comes_after_a_refused_message(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        sent = send(sender, "bad")
        link = await exchange.puts(1)
        link.puts[0][1].set_exception(InvalidMessage("no", reason="refused"))
        with pytest.raises(InvalidMessage):
            await sent
        sender.post(draft("good"))
        assert len(sender) == 1
        flushing = asyncio.create_task(sender.flush())
        await exchange.puts(2)
        assert not flushing.done()
        link.confirm()
        async with asyncio.timeout(5):
            await flushing


async def test_flush_waits_for_what_comes_after_a_half_confirmed_call(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        sent = send(sender, "x" * 200_000, "y" * 200_000, timeout_s=0.2)
        link = await exchange.puts(1)
        link.confirm()
        await exchange.puts(2)
        with pytest.raises(PublishError):
            await sent
        sender.post(draft("good"))
        assert len(sender) == 1
        link.confirm()
        await exchange.puts(3)
        assert len(sender) == 1


async def test_flush_does_not_wait_while_it_is_of_no_use(exchange: Exchange) -> None:
    exchange.refusal = LinkRefused("wrong password")
    async with sending(exchange) as sender:
        sender.post(draft("posted"))
        async with asyncio.timeout(5):
            await sender.flush()
        assert len(sender) == 1


# -- announcements ------------------------------------------------------------------------------


async def test_an_announcement_passes_everything_that_waits(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        sender.post(draft(1))
        link = await exchange.puts(1)
        await sender.announce("progress-ws.x", b"{}")
        assert link.announced == [("progress-ws.x", b"{}")]
        assert len(sender) == 1


async def test_without_a_link_there_is_nothing_to_announce_over(exchange: Exchange) -> None:
    exchange.refusal = LinkLost("nobody there")
    async with sending(exchange) as sender:
        await eventually(lambda: sender.trouble == "nobody there")
        with pytest.raises(LinkLost, match="nobody there"):
            await sender.announce("progress-ws.x", b"{}")


# -- bugs ---------------------------------------------------------------------------------------


# -- being cancelled ----------------------------------------------------------------------------


async def test_it_listens_over_each_link_once_somebody_wants_to(exchange: Exchange) -> None:
    async with sending(exchange) as sender:
        first = await exchange.link()
        await asyncio.sleep(0)
        assert not first.listening
        sender.listen(lambda _sid, _key: True)
        await eventually(lambda: first.listening)
        first.lose()
        second = await exchange.link(2)
        await eventually(lambda: second.listening)
        assert second.listening[0][0] == sender.publisher


async def test_who_may_not_listen_publishes_all_the_same(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(HandHeldLink, "refuses_to_listen", True)
    async with sending(exchange) as sender:
        sender.listen(lambda _sid, _key: True)
        sender.post(draft("a"))
        (await exchange.puts(1)).confirm()
        await eventually(lambda: not len(sender))
        exchange.links[0].lose()
        await eventually(lambda: len(exchange.links) == 2 and exchange.links[1].listening)
    assert caplog.text.count("a right is missing") == 1


async def test_a_bug_in_a_link_keeps_nobody_waiting(exchange: Exchange) -> None:
    sender = Sender(exchange.open_link, max_buffer_bytes=10**6)
    task = asyncio.create_task(sender.run())
    sent = send(sender, "a")
    link = await exchange.puts(1)
    link.puts[0][1].set_exception(ZeroDivisionError("a bug"))
    with pytest.raises(PublishError, match="a bug"):
        async with asyncio.timeout(5):
            await sent
    await asyncio.wait([task])
    assert task.exception()


async def test_no_outcome_is_left_that_nobody_asked_for(exchange: Exchange) -> None:
    """asyncio would write "exception was never retrieved" into somebody else's log."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    exchange.refusal = LinkLost("nobody there")
    async with sending(exchange, max_buffer_bytes=50_000) as sender:
        sent = [send(sender, "x" * 1000, "y" * 1000, timeout_s=n / 50) for n in range(40)]
        await eventually(lambda: sum(task.done() for task in sent) > 10)  # noqa: F821
        exchange.refusal = LinkRefused("wrong password")
        for task in sent[20:25]:
            task.cancel()
        await asyncio.gather(*sent, return_exceptions=True)
    del sent, task
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
