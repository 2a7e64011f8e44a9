"""Messages that want to be more than text, and pages that want to read what is not theirs."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from progress_ws import Publisher
from tests.browser.conftest import MAX_MESSAGE_BYTES, Judge, Work
from tests.browser.screen import Screen
from tests.browser.site import Site

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

pytestmark = [pytest.mark.browser, pytest.mark.nginx, pytest.mark.broker, pytest.mark.slow]

MILLION = 1_000_000
TEXTS = [
    "<img src=x onerror='window.harmed = 1'>",
    "<script>window.harmed = 2</script>",
    "</progress-live><svg onload=window.harmed=3>",
    "javascript:window.harmed=4",
    "{percent} {{constructor.constructor('window.harmed = 5')()}} ${window.harmed = 6}",
    "\u202ereversed \u2066isolated \u200f\u061c marks",
    "Z" + "\u0301" * 5_000,
    "wide" * (MILLION // 4),
    "\U000e0001 \ufeff\u0000\u0007\x1b[31m \u2028\u2029",
    "</style><style>*{display:none}</style>",
]
NAMES = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "then", "valueOf"]
NUMBERS = [-1, 0, 1e308, -1e308, 5e-324, 2**53, "7", None, [], {}, True, "NaN"]

#: What must not be there, whatever was said.
HARM = """() => {
  const markup = [...document.querySelectorAll("progress-live")].flatMap((live) => [
    ...live.shadowRoot.querySelectorAll("img, script, svg, style, iframe, a, [onload], [onerror]"),
  ]);
  return {
    harmed: window.harmed ?? null,
    polluted: [{}.polluted, [].polluted, Object.prototype.x].filter((it) => it !== undefined),
    markup: markup.map((it) => it.outerHTML),
    injected: document.querySelectorAll("img, svg, main script").length,
    wider: document.documentElement.scrollWidth > innerWidth,
    height: document.documentElement.scrollHeight,
    title: document.title,
  };
}"""
UNHARMED = {
    "harmed": None,
    "polluted": [],
    "markup": [],
    "injected": 0,
    "wider": False,
    "title": "Report",
}
#: Of one bar with fifty parts and the longest texts in every place, in pixels.
HIGHEST = 5_000


def update(**fields: Any) -> dict[str, Any]:
    return {"kind": "progress", "state": "running", **fields}


def hostile() -> list[tuple[str | None, Any]]:
    """Keys and messages."""
    found: list[tuple[str | None, Any]] = [("report", text) for text in TEXTS]
    for text in TEXTS:
        fields = ("title", "phase", "text", "unit", "error", "state")
        found += [("report", update(**{field: text})) for field in fields]
        found.append(("report", update(**dict.fromkeys(fields[:-1], text), current=1, total=2)))
    for name in NAMES:
        found += [
            (name, update(title=name, parent=name, current=1, total=2)),
            ("report", update(state=name, unit=name)),
            ("report", {name: {"polluted": 1}, "kind": "progress", "state": "running"}),
            (None, {name: name}),
        ]
    for number in NUMBERS:
        fields = ("current", "total", "rate", "eta_s", "elapsed_s", "attempt", "title", "parent")
        found += [
            ("report", update(**{"current": 1, "total": 2, field: number})) for field in fields
        ]
    found += [
        ("a", update(parent="b")),
        ("b", update(parent="a")),
        ("report", update(parent="report")),
        ("report", json.loads("[" * 200 + "]" * 200)),
        *((f"part {n}", update(parent="report", current=n, total=900)) for n in range(900)),
    ]
    return found


async def test_no_message_is_more_than_text(
    context: "BrowserContext", site: Site, sid: str
) -> None:
    screen = await Screen.open(context, site.url, sid=sid)
    screen.errors.clear()
    await screen.is_open()
    async with Publisher(site.amqp_url, max_message_bytes=MAX_MESSAGE_BYTES) as publisher:
        sent = hostile()
        for key, message in sent:
            await publisher.send(sid, message, key=key)
        await screen.page.evaluate(
            "document.querySelector('progress-live').setAttribute('key', 'report')"
        )
        for number, text in enumerate(TEXTS):  # each stays long enough to be painted
            fields = dict.fromkeys(("phase", "text", "unit", "error"), text)
            said = update(title=f"{number} {text}", current=1, total=2, **fields)
            for state in ("running", "failed"):
                message = said | {"state": state}
                final = state == "failed"
                await publisher.send(sid, message, key="report", run=f"r{number}", final=final)
                await screen.shows(
                    state, also=lambda seen, n=number: label(seen).startswith(f"{n} ")
                )
                harm = await screen.page.evaluate(HARM)
                assert harm.pop("height") < HIGHEST
                assert harm == UNHARMED, text[:100]
        last = update(title="Report", current=3, total=4)
        await publisher.send(sid, last, key="report", run="z")
        await screen.shows("running", also=lambda seen: seen["position"] == 0.75)
        done = {"kind": "progress", "state": "done", "title": "Report", "total": 4}
        await publisher.send(sid, done, key="report", run="z", final=True)
    await screen.shows("done", also=lambda seen: seen["position"] == 1)
    assert screen.errors == []
    assert [note.what for note in screen.notes if note.kind == "violation"] == []


def label(seen: dict[str, Any]) -> str:
    """The name of the bar as it can be read, with what `innerText` makes of white space."""
    return str(seen["parts"]["label"])


PAGE = """<!doctype html><title>Evil</title><link rel=icon href=data:,><script type=module>
const [node, sid] = %s;
const told = (window.told = {});
const asked = [];
const ask = (name, promise) =>
  asked.push(promise.catch((error) => `refused: ${error.name}`).then((it) => (told[name] = it)));
const socket = (query) => new Promise((resolve, reject) => {
  const it = new WebSocket(`${node.replace("http", "ws")}/websocket/progress?${query}`);
  it.onmessage = ({ data }) => resolve(data);
  it.onerror = reject;
});
const stream = (options) => new Promise((resolve, reject) => {
  const it = new EventSource(`${node}/sse/progress?sid=${sid}`, options);
  it.onmessage = ({ data }) => resolve(data);
  it.onerror = reject;
});
const get = (path, options) => fetch(node + path, options).then((it) => it.text());
const JSON_TYPE = { "Content-Type": "application/json" };
ask("socket", socket(`sid=${sid}`));
ask("new socket", socket(""));
ask("stream", stream());
ask("stream with cookies", stream({ withCredentials: true }));
ask("messages", get(`/api/v1/sessions/${sid}/messages`));
ask("session", get("/api/v1/sessions", { method: "POST" }));
ask("cancel", get(`/api/v1/sessions/${sid}/cancel`,
  { method: "POST", body: '{"key": "report"}', headers: JSON_TYPE }));
ask("simple cancel", get(`/api/v1/sessions/${sid}/cancel`,
  { method: "POST", body: '{"key": "report"}' }));
ask("publish", get("/api/v1/messages",
  { method: "POST", body: JSON.stringify({ sid, message: "evil" }), headers: JSON_TYPE }));
ask("cluster", get("/api/v1/cluster"));
ask("metrics", get("/metrics"));
window.finished = Promise.all(asked).then(() => told);
</script>"""


async def test_a_page_of_another_site_gets_nothing_and_stops_nothing(
    context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    """It even knows the sid."""

    async def evil(_: web.Request) -> web.Response:
        return web.Response(text=PAGE % json.dumps([site.url, sid]), content_type="text/html")

    app = web.Application()
    app.router.add_get("/", evil)
    screen = await Screen.open(context, site.url, sid=sid)
    worker = work(site.amqp_url, sid)
    await screen.shows("running")
    async with TestServer(app) as server:
        page = await context.new_page()
        await page.goto(str(server.make_url("/")))
        told = await page.evaluate("finished")
        assert len(told) == 11
        for what, answer in told.items():
            assert answer.startswith("refused"), f"{what}: {answer[:100]}"
        await page.close()
    await worker.says(10)
    worker.terminate()
    await screen.shows("done")
    await judged([screen], [worker])


async def test_the_client_in_a_page_of_another_site_gets_nothing(
    context: "BrowserContext", site: Site, sid: str
) -> None:
    """The module itself is no secret: any page may load it, and gets nothing with it."""

    async def evil(_: web.Request) -> web.Response:
        text = (
            "<!doctype html><link rel=icon href=data:,><script type=module>"
            f"import {{ ProgressClient }} from '{site.url}/client/progress-ws.js';"
            f"window.it = new ProgressClient({{ sid: '{sid}' }});"
            "window.got = []; it.addEventListener('message', (e) => got.push(e.detail));"
            "window.states = []; it.addEventListener('state', (e) => states.push(e.detail.state));"
            "</script>"
        )
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", evil)
    async with TestServer(app) as server, Publisher(site.amqp_url) as publisher:
        await publisher.send(sid, "a secret")
        page = await context.new_page()
        await page.goto(str(server.make_url("/")))
        await page.wait_for_function(
            "() => window.states?.filter((it) => it === 'waiting').length > 3"
        )
        assert await page.evaluate("got") == []
        assert "open" not in await page.evaluate("states")
        await page.close()
