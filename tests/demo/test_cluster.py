"""The demo on three nodes: upload here, socket there, report somewhere else."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from deploy.local import Nginx, Node
from tests.support.tab import Tab, tab

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = [pytest.mark.broker, pytest.mark.nginx]

TABLE = b"city,price\n" + b"Berlin,1.5\nParis,2.5\n" * 50


@pytest.fixture
def nodes(node_process: Callable[..., Node], amqp_url: str, tmp_path: Path) -> list[Node]:
    shared = tmp_path / "demo"
    nodes = [
        node_process(
            command=("progress_ws.demo",),
            amqp_url=amqp_url,
            demo_dir=shared,
            node=f"web-{number}",
            wait=False,
        )
        for number in (1, 2, 3)
    ]
    for node in nodes:
        node.wait_ready()
    return nodes


async def final_frame(session: Tab) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            frame = await session.frame()
            if frame.get("final"):
                return frame


async def test_upload_socket_and_report_may_be_on_three_nodes(
    nodes: list[Node], nginx: Callable[[Sequence[Node]], Nginx]
) -> None:
    proxy = nginx(nodes)
    takers = set()
    async with tab(proxy.url) as session, aiohttp.ClientSession() as client:
        headers = {"X-Progress-Sid": session.sid, "X-File-Name": "cities.csv"}
        for _ in nodes:  # plain round robin brings an upload to each of them
            async with client.post(
                f"{proxy.url}/demo/jobs", data=TABLE, headers=headers
            ) as response:
                assert response.status == 202
                job = await response.json()
            takers.add(job["node"])
            frame = await final_frame(session)
            assert frame["key"] == job["key"]
            assert frame["message"]["state"] == "done", frame
            for node in nodes:
                async with client.get(node.url + frame["message"]["href"]) as response:
                    assert response.status == 200
                    assert "cities.csv" in await response.text()
    assert takers == {"web-1", "web-2", "web-3"}


@pytest.mark.browser
async def test_the_page_works_behind_nginx_without_stickiness(
    nodes: list[Node], nginx: Callable[[Sequence[Node]], Nginx], chromium: "Browser"
) -> None:
    proxy = nginx(nodes)
    page = await chromium.new_page()
    await page.goto(proxy.url)
    await page.locator("#connection", has_text="Live · web-").wait_for()
    for place in range(2):
        table = {"name": f"cities {place}.csv", "mimeType": "text/csv", "buffer": TABLE * 100}
        await page.locator("#file").set_input_files(table)  # type: ignore[arg-type]
        job = page.locator(".job[data-state=done]").filter(has_text=f"cities {place}.csv")
        await job.wait_for(timeout=60_000)
        async with page.context.expect_page() as opened:
            await job.get_by_role("link", name="Open the report").click()
        report = await opened.value
        assert await report.locator("h1").inner_text() == f"cities {place}.csv"


async def test_a_node_that_stops_tells_the_browsers_of_others(nodes: list[Node]) -> None:
    async with tab(nodes[0].url) as session, aiohttp.ClientSession() as client:
        headers = {"X-Progress-Sid": session.sid}
        address = f"{nodes[1].url}/demo/jobs?sample=small"
        async with client.post(address, headers=headers) as response:
            assert response.status == 202
        while (await session.frame())["message"]["state"] != "running":
            pass
        nodes[1].terminate()
        frame = await final_frame(session)
        assert frame["message"]["state"] == "failed"
        assert "was stopped" in frame["message"]["error"]
