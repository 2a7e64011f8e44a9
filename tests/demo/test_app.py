"""The page, uploads and reports of one node in this process; jobs run in real worker processes."""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientOSError, ClientSession
from aiohttp.test_utils import TestClient, TestServer

from progress_ws import new_sid
from progress_ws.demo import app, jobs
from progress_ws.demo.app import NAME_HEADER, SID_HEADER, create_demo_app
from progress_ws.demo.folder import Folder
from progress_ws.node.settings import Settings
from tests.support.waiting import eventually

Client = TestClient[Any, Any]
STATIC = Path(app.__file__).with_name("static")
TABLE = b"city,price\n" + b"Berlin,1.5\nParis,2.5\n" * 50


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "demo")


@pytest.fixture
async def client(folder: Folder) -> AsyncIterator[Client]:
    folder.path.mkdir()
    demo = create_demo_app(Settings(), folder=folder.path)
    async with TestClient(TestServer(demo)) as client:
        yield client


class Attributes(HTMLParser):
    """The names of all attributes in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.update(name for name, _ in attrs)


async def submit(client: Client, body: Any, *, name: str = "table.csv") -> dict[str, Any]:
    """Hand in a file and wait for how its job ends; the answer and the last update in one."""
    sid = new_sid()
    socket = await client.ws_connect(f"/websocket/progress?sid={sid}")
    headers = {SID_HEADER: sid, NAME_HEADER: quote(name)}
    async with client.post("/demo/jobs", data=body, headers=headers) as response:
        assert response.status == 202, await response.text()
        answer = await response.json()
        assert response.headers["Location"] == answer["report"]
    async with asyncio.timeout(30):
        while True:
            frame = await socket.receive_json()
            if frame.get("final") and frame["key"] == answer["key"]:
                await socket.close()
                return {**answer, **frame["message"]}


async def test_the_page_is_allowed_nothing_from_elsewhere(client: Client) -> None:
    async with client.get("/") as response:
        assert response.status == 200
        policy = response.headers["Content-Security-Policy"]
        page = await response.text()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    names = Attributes(page).names
    assert not [name for name in names if name == "style" or name.startswith("on")]
    assert not re.search(r"<style|<script[^>]*>[^<]", page)


@pytest.mark.parametrize(
    "name",
    ["demo.css", "logo.svg", *sorted(path.name for path in STATIC.glob("*.js"))],
)
async def test_what_the_page_is_made_of_is_there(client: Client, name: str) -> None:
    async with client.get(f"/demo/{name}") as response:
        assert response.status == 200
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/demo/index.html",
        "/demo/none.js",
        "/demo/..%2fapp.py",
        "/demo/reports/" + "a" * 32,
        "/demo/reports/..%2f..%2fetc%2fpasswd",
        "/demo/reports/%2e%2e%2f" + "a" * 29,
    ],
)
async def test_nothing_else_is_there(client: Client, folder: Folder, path: str) -> None:
    (folder.path / "index.html").write_text("of somebody else")
    async with client.get(path) as response:
        assert response.status == 404


async def test_a_file_becomes_a_report(client: Client, folder: Folder) -> None:
    result = await submit(client, TABLE, name="Städte & <Länder>.csv")
    assert result["state"] == "done"
    assert result["title"] == "Städte & <Länder>.csv"
    assert result["href"] == result["report"]
    assert result["text"] == "100 rows, 2 columns"
    async with client.get(result["href"]) as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        assert "sandbox" in response.headers["Content-Security-Policy"]
        report = await response.text()
    assert "Städte &amp; &lt;Länder&gt;.csv" in report
    assert "Berlin" in report
    await eventually(lambda: not list(folder.path.glob("*.upload")), what="removal of the upload")


async def test_an_upload_may_be_larger_than_any_other_body(client: Client, folder: Folder) -> None:
    block = b"12345,some text that fills the line,2024-01-01\n" * 20_000

    async def body() -> AsyncIterator[bytes]:
        yield b"number,text,day\n"
        for _ in range(24):  # 22 MB, in chunks and without a length
            yield block

    result = await submit(client, body())
    assert (result["state"], result["text"]) == ("done", "480,000 rows, 3 columns")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "This file is empty."),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "This is not a CSV file: it looks like a picture."),
        (b"x" * 3_000_000, "The row at line 1 is longer than 1,048,576 characters"),
    ],
)
async def test_a_file_that_is_no_csv_fails_with_a_sentence(
    client: Client, folder: Folder, content: bytes, sentence: str
) -> None:
    result = await submit(client, io.BytesIO(content))
    assert result["state"] == "failed"
    assert result["error"].startswith(sentence)
    async with client.get(result["report"]) as response:
        assert response.status == 404
    await eventually(lambda: not list(folder.path.iterdir()), what="an empty folder")


async def test_paths_and_control_characters_of_a_name_are_dropped(client: Client) -> None:
    result = await submit(client, TABLE, name="C:\\Users\\me/../ta\x00ble\n.csv")
    assert result["title"] == "table.csv"


@pytest.mark.parametrize(
    ("headers", "query", "status", "detail"),
    [
        ({}, "", 400, "X-Progress-Sid must be"),
        ({SID_HEADER: "short"}, "", 400, "X-Progress-Sid must be"),
        ({SID_HEADER: "a" * 20}, "?sample=huge", 400, "sample must be one of small, large"),
    ],
)
async def test_a_wrong_request_is_refused_with_its_reason(
    client: Client, headers: dict[str, str], query: str, status: int, detail: str
) -> None:
    async with client.post(f"/demo/jobs{query}", headers=headers) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
        assert detail in json.loads(await response.text())["detail"]


async def test_a_foreign_page_is_refused(client: Client) -> None:
    headers = {SID_HEADER: new_sid(), "Origin": "https://evil.example"}
    async with client.post("/demo/jobs?sample=small", headers=headers) as response:
        assert response.status == 403


async def test_a_full_disk_is_told(
    client: Client, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("progress_ws.demo.folder.RESERVE_BYTES", 2**62)
    headers = {SID_HEADER: new_sid()}
    async with client.post("/demo/jobs", data=TABLE, headers=headers) as response:
        assert response.status == 507
        assert "has no room" in (await response.json(content_type=None))["detail"]
    assert list(folder.path.iterdir()) == []


async def test_too_many_jobs_are_refused_before_they_are_uploaded(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PLACES", 0)
    headers = {SID_HEADER: new_sid()}
    async with client.post("/demo/jobs?sample=small", headers=headers) as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "60"
    monkeypatch.setattr(jobs, "PLACES", 1)
    assert (await submit(client, TABLE))["state"] == "done"


async def test_an_upload_that_breaks_off_leaves_nothing(client: Client, folder: Folder) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield TABLE
        await eventually(lambda: list(folder.path.glob("*.upload")), what="an upload")
        raise ConnectionAbortedError

    async with ClientSession() as session:
        with pytest.raises(ClientOSError):
            await session.post(
                client.make_url("/demo/jobs"), data=body(), headers={SID_HEADER: new_sid()}
            )
    await eventually(lambda: not list(folder.path.iterdir()), what="an empty folder")


async def test_jobs_wait_in_line_for_a_worker(client: Client) -> None:
    sid = new_sid()
    async with client.ws_connect(f"/websocket/progress?sid={sid}") as socket, asyncio.timeout(60):
        keys = set()
        for _ in range(3):
            async with client.post(
                "/demo/jobs", data=TABLE * 200, headers={SID_HEADER: sid}
            ) as response:
                keys.add((await response.json())["key"])
        states: dict[str, list[str]] = {key: [] for key in keys}
        while any(seen[-1:] != ["done"] for seen in states.values()):
            frame = await socket.receive_json()
            if frame.get("key") in keys:
                states[frame["key"]].append(frame["message"]["state"])
    assert sum("queued" in seen for seen in states.values()) == 1
