"""`track`: a bar around a loop, in one word."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sized
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar, overload

from progress_ws.publish.bar import KEY
from progress_ws.publish.place import Tracker, find_progress

T = TypeVar("T")


@overload
def track(
    iterable: Iterable[T],
    *,
    sid: str | None = ...,
    publisher: Tracker | None = ...,
    total: float | None = ...,
    title: str | None = ...,
    key: str = ...,
    cancellable: bool = ...,
    **options: Any,
) -> Iterator[T]: ...


@overload
def track(
    iterable: AsyncIterable[T],
    *,
    sid: str | None = ...,
    publisher: Tracker | None = ...,
    total: float | None = ...,
    title: str | None = ...,
    key: str = ...,
    cancellable: bool = ...,
    **options: Any,
) -> AsyncIterator[T]: ...


def track(
    iterable: Iterable[T] | AsyncIterable[T],
    *,
    sid: str | None = None,
    publisher: Tracker | None = None,
    total: float | None = None,
    title: str | None = None,
    key: str = KEY,
    cancellable: bool = False,
    **options: Any,
) -> Iterator[T] | AsyncIterator[T]:
    """Loop over something, and show how far the loop is.

        for row in track(rows, sid=sid, title="Import"): ...
        async for row in track(cursor, publisher=publisher, sid=sid): ...

    The bar begins with the first item and ends with the loop: `done`, or `cancelled` if the loop
    was left before its end.

    Args:
        iterable: what to loop over; also an asynchronous one.
        sid: the session that sees it; by default `PROGRESS_WS_SID`. Without any, the loop just
            runs.
        publisher: by default one of this process for `PROGRESS_WS_AMQP_URL` or `PROGRESS_WS_URL`.
        total: how many items there are; by default what `len` says.
        title: what it is, for people.
        key: its name in the session.
        cancellable: browsers may ask to stop; the loop then raises `Cancelled`.
        **options: see `Publisher.progress`.

    Raises:
        SettingsError: there is a sid, and no publisher to be found.
        InvalidMessage: no node would accept it; the text names the field.
    """
    begin: Callable[[], Any] = nullcontext
    if (progress := find_progress(sid, publisher)) is not None:
        options = {"raise_cancelled": cancellable, "key": key, **options}
        options["total"] = length(iterable) if total is None else total
        begin = partial(progress, title=title, **options)
    if isinstance(iterable, AsyncIterable):
        return _track_async(iterable, begin)
    return loop(iterable, begin)


def length(iterable: object) -> int | None:
    """Return how many items there are; None where that is not known before the end."""
    try:
        return len(iterable) if isinstance(iterable, Sized) else None
    except Exception:  # noqa: BLE001 - some have a `__len__` only to say that they have no length
        return None


def loop(iterable: Iterable[T], begin: Callable[[], Any]) -> Iterator[T]:
    """Loop over something, in the block of the bar that this begins, if it does."""
    with begin() as bar:
        for item in iterable:
            yield item
            if bar is not None:
                bar.advance()


async def _track_async(iterable: AsyncIterable[T], begin: Callable[[], Any]) -> AsyncIterator[T]:
    async with begin() as bar:
        async for item in iterable:
            yield item
            if bar is not None:
                bar.advance()
