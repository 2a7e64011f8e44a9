"""The demo on three nodes: upload here, socket there, report somewhere else."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from deploy.local import Nginx, Node
from tests.support.proxy import Proxy
from tests.support.tab import Tab, tab
from tests.support.waiting import eventually

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


async def frame_of(
    session: Tab, job: dict[str, Any], is_it: Callable[[dict[str, Any]], object]
) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            frame = await session.frame()
            if frame.get("key") == job["key"] and is_it(frame):
                return frame


async def final_frame(session: Tab, job: dict[str, Any]) -> dict[str, Any]:
    return await frame_of(session, job, lambda frame: frame.get("final"))


async def attempt(session: Tab, job: dict[str, Any], number: int) -> dict[str, Any]:
    """Wait until a worker is at a job, for the so-manieth time."""
    return await frame_of(
        session,
        job,
        lambda frame: (
            frame["type"] == "message"
            and frame["message"]["attempt"] == number
            and "total" in frame["message"]
        ),
    )


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
            frame = await final_frame(session, job)
            assert frame["message"]["state"] == "done", frame
            for node in nodes:
                async with client.get(node.url + frame["message"]["href"]) as response:
                    assert response.status == 200
                    assert "cities.csv" in await response.text()
    assert takers == {"web-1", "web-2", "web-3"}


@pytest.mark.slow
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


@pytest.mark.browser
async def test_the_page_moves_to_another_node_with_all_its_jobs(
    nodes: list[Node], nginx: Callable[[Sequence[Node]], Nginx], chromium: "Browser"
) -> None:
    proxy = nginx(nodes)
    page = await chromium.new_page()
    await page.goto(proxy.url)
    await page.locator("#nodes .node").nth(2).wait_for(timeout=20_000)
    await page.get_by_role("button", name="Start twenty jobs").click()
    running = page.locator("#errands [state=running]")
    await running.nth(19).wait_for(timeout=60_000)
    assert await page.locator("#nodes .node").filter(has_text="20 of 20 jobs").count() == 1
    here = page.locator("#nodes .is-here bdi")
    for _ in range(2):
        before = await here.inner_text()
        await page.get_by_role("button", name="Switch me to another node").click()
        notice = page.locator("#switch-notice")
        moved = re.compile(rf"From {before} to web-\d.* with 20 sessions: nothing is missing\.$")
        await notice.filter(has_text=moved).wait_for(timeout=60_000)
        after = await here.inner_text()
        assert f"to {after}" in await notice.inner_text()
        assert after != before
        assert await page.locator("#connection").inner_text() == f"Live · {after}"
    assert await running.count() + await page.locator("#errands [state=done]").count() >= 19
    await page.close()


@pytest.mark.slow
@pytest.mark.browser
async def test_a_page_whose_way_back_is_long_still_tells_what_came_along(
    nodes: list[Node], chromium: "Browser"
) -> None:
    async with Proxy(nodes[0].port) as proxy:
        page = await chromium.new_page()
        await page.goto(f"http://127.0.0.1:{proxy.port}")
        await page.locator("#nodes .node").nth(2).wait_for(timeout=20_000)
        await page.get_by_role("button", name="Start twenty jobs").click()
        await page.locator("#errands [state=running]").nth(19).wait_for(timeout=60_000)
        await proxy.refuse()
        await page.get_by_role("button", name="Switch me to another node").click()
        await asyncio.sleep(6)  # longer than its sessions may take once it is back
        proxy.target = nodes[1].port
        await proxy.listen()
        await page.evaluate("dispatchEvent(new Event('online'))")
        moved = "From web-1 to web-2 with 20 sessions: nothing is missing."
        await page.locator("#switch-notice").filter(has_text=moved).wait_for(timeout=20_000)
        await page.close()


async def test_a_node_that_stops_tells_the_browsers_of_others(nodes: list[Node]) -> None:
    async with tab(nodes[0].url) as session, aiohttp.ClientSession() as client:
        headers = {"X-Progress-Sid": session.sid}
        address = f"{nodes[1].url}/demo/jobs?sample=small"
        async with client.post(address, headers=headers) as response:
            assert response.status == 202
            job = await response.json()
        await attempt(session, job, 1)
        nodes[1].terminate()
        frame = await final_frame(session, job)
        assert frame["message"]["state"] == "failed"
        assert "was stopped" in frame["message"]["error"]


@pytest.mark.slow
async def test_any_node_kills_retries_and_cancels(
    nodes: list[Node], nginx: Callable[[Sequence[Node]], Nginx], tmp_path: Path
) -> None:
    proxy = nginx(nodes)
    async with tab(proxy.url) as session, aiohttp.ClientSession() as client:
        headers = {"X-Progress-Sid": session.sid}
        address = f"{nodes[0].url}/demo/jobs?sample=large"
        async with client.post(address, headers=headers) as response:
            job = await response.json()
        first = await attempt(session, job, 1)
        for node, deed, status in ((nodes[1], "kill", 202), (nodes[2], "kill", 404)):
            address = f"{node.url}/demo/jobs/{job['id']}/{deed}"
            async with client.post(address, headers=headers) as response:
                assert response.status == status
        await frame_of(session, job, lambda frame: frame["type"] == "stalled")
        async with tab(nodes[2].url, sid=session.sid) as late:  # a page that is loaded anew
            await frame_of(late, job, lambda frame: frame["type"] == "stalled")
        address = f"{nodes[2].url}/demo/jobs/{job['id']}/retry"
        async with client.post(address, headers=headers) as response:
            assert response.status == 202
        assert (await attempt(session, job, 2))["run"] > first["run"]
        wish = {"type": "cancel", "sid": session.sid, "key": job["key"]}
        await session.socket.send(json.dumps(wish))
        assert (await final_frame(session, job))["message"]["state"] == "cancelled"
    await eventually(lambda: not list((tmp_path / "demo").iterdir()), what="an empty folder")
