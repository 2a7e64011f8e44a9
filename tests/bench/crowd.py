"""Very many browsers in a process of their own: they connect, read whatever comes, and wait."""

import multiprocessing
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

HEAD = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
UNDERWAY = 200
PING, PONG = b"\x89\0", b"\x8a\x80mask"


@contextmanager
def crowd(port: int, path: str, count: int) -> Iterator[Connection]:
    """So many WebSockets; what is sent on the connection is answered when all are open."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_connect_all, args=(theirs, port, path, count)
    )
    process.start()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()


def _connect_all(owner: Connection, port: int, path: str, count: int) -> None:
    head = HEAD.format(path=path, port=port).encode()
    waiting = select.epoll()
    sockets: dict[int, socket.socket] = {}
    greeted: set[int] = set()
    told = False
    while True:
        while len(sockets) < count and len(sockets) - len(greeted) < UNDERWAY:
            browser = socket.create_connection(("127.0.0.1", port))
            browser.setblocking(False)
            browser.send(head)
            sockets[browser.fileno()] = browser
            waiting.register(browser.fileno(), select.EPOLLIN)
        for fileno, _ in waiting.poll(1):
            data = sockets[fileno].recv(65536)
            if not data:
                waiting.unregister(fileno)
            elif data.endswith(PING):
                sockets[fileno].send(PONG)
            greeted.add(fileno)
        if len(greeted) == count and not told:
            told = True
            owner.send(count)
