"""The element `<progress-live>` in Chromium, fed by a real node."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from deploy.local import Node
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page, Route

pytestmark = pytest.mark.browser

TOKEN = "a-token-for-tests"
SCRIPT = "text/javascript"
SID = "sid-of-a-job-in-the-browser"
TOOLS = Path(__file__).parent / "node_modules"
AXE = TOOLS / "axe-core/axe.min.js"
CLIENT = Path(__file__).parents[2] / "progress_ws/client"
RUNNING = {"kind": "progress", "state": "running"}

# What a page has before anything else: its mistakes, its sockets, the frames it asks for.
WATCH = """
window.sockets = []; window.mistakes = []; window.heard = []; window.frames_asked = 0;
const Socket = WebSocket;
window.WebSocket = class extends Socket { constructor(url) { super(url); sockets.push(this); } };
addEventListener("error", ({ message }) => mistakes.push(message));
addEventListener("securitypolicyviolation", (e) => mistakes.push(`policy: ${e.violatedDirective}`));
for (const type of ["statechange", "gap"])
  addEventListener(type, ({ detail, target }) => heard.push([type, detail]));
const ask = requestAnimationFrame.bind(window);
window.requestAnimationFrame = (action) => { frames_asked++; return (window.hold ?? ask)(action); };
"""
TYPED = """
import { ProgressLive, type ProgressTexts } from "CLIENT/progress-live.js";
import { ProgressClient } from "CLIENT/progress-ws.js";

const element = document.querySelector("progress-live")!;
const same: ProgressLive = document.createElement("progress-live");
element.client = new ProgressClient({ sid: "" });
const texts: ProgressTexts = { lang: "de", done: "Fertig", left: ({ time }) => `noch ${time}` };
element.texts = ProgressLive.texts = texts;
element.addEventListener("statechange", ({ detail }) => {
  if (detail.state === "done") console.log(detail.update?.total?.toFixed());
});
element.addEventListener("gap", ({ detail }) => console.log(detail.type));
element.addEventListener("click", () => console.log(same.cancel() === true));
// @ts-expect-error the element says where it stands, and nobody else
element.state = "done";
// @ts-expect-error there is no such text
element.texts = { finished: "Fertig" };
"""
PARTS = """
(element) => Object.fromEntries(
  [...element.shadowRoot.querySelectorAll("[part]")].reverse().map((part) =>
    [part.part.value, part.localName === "progress" ? part.position : part.textContent]))
"""


@pytest.fixture
def node(node_process: Callable[..., Node]) -> Node:
    return node_process(publish_token=TOKEN)


class Screen:
    """A page with elements, and the hand that sends what they show."""

    def __init__(self, page: "Page", node: Node) -> None:
        self.page = page
        self.node = node

    @classmethod
    async def open(
        cls,
        context: "BrowserContext",
        node: Node,
        html: str = f'<progress-live sid="{SID}"></progress-live>',
        *,
        path: str = "/healthz",
        lang: str = "en",
        direction: str = "ltr",
    ) -> "Screen":
        """Open a page of the node with this body, and define the element then."""
        page = await context.new_page()
        await page.add_init_script(WATCH)
        # Of a page that has scripts of its own only the policy is wanted.
        await page.route("**/demo/*.js", lambda route: route.fulfill(body="", content_type=SCRIPT))
        await page.goto(node.url + path)
        await page.evaluate(
            """([html, lang, dir]) => {
              Object.assign(document.documentElement, { lang, dir });
              document.head.innerHTML = '<meta name="color-scheme" content="light dark">';
              document.title = "A page";
              document.body.style.cssText = "background: Canvas; color: CanvasText";
              document.body.innerHTML = `<main>${html}</main>`;
              return import("/client/progress-live.js").then((module) => { window.live = module; });
            }""",
            [html, lang, direction],
        )
        return cls(page, node)

    async def send(self, *messages: object, sid: str = SID, **fields: object) -> None:
        """Publish messages of one key, or whole bodies where a message has a sid."""
        body = [
            message
            if isinstance(message, dict) and "sid" in message
            else {"sid": sid, "message": message} | ({"key": "job", "run": "1"} | fields)
            for message in messages
        ]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"{self.node.url}/api/v1/messages"
        async with aiohttp.ClientSession() as session:
            for start in range(0, len(body), 1000):
                part = body[start : start + 1000]
                async with session.post(url, json=part, headers=headers) as answer:
                    assert answer.status == 202, await answer.text()

    async def parts(self, selector: str = "progress-live") -> dict[str, Any]:
        """The texts of the element's own parts, and how full its bar is (-1: open)."""
        parts: dict[str, Any] = await self.page.eval_on_selector(
            selector, f"(element) => element.shadowRoot && ({PARTS})(element)"
        )
        return parts or {}

    async def shows(self, selector: str = "progress-live", **expected: object) -> dict[str, Any]:
        """Wait until these parts are as expected; all of them."""
        seen: dict[str, Any] = {}

        async def shown() -> bool:
            seen.update(await self.parts(selector))
            return {name: seen.get(name) for name in expected} == expected

        try:
            await eventually(shown, 15)
        except AssertionError as exc:
            raise AssertionError(f"expected {expected}, seen {seen}") from exc
        return seen

    async def state(self, state: str, selector: str = "progress-live") -> None:
        await self.page.wait_for_selector(f"{selector}[state={state}]", timeout=15_000)

    async def do(self, script: str, argument: object = None) -> Any:
        return await self.page.evaluate(script, argument)

    async def mistakes(self) -> list[str]:
        mistakes: list[str] = await self.do("mistakes")
        return mistakes


async def test_a_job_is_shown_from_its_first_word_to_its_last(
    context: "BrowserContext", node: Node
) -> None:
    screen = await Screen.open(context, node)
    await screen.shows(label="Progress", status="Waiting", bar=-1)
    await screen.send({**RUNNING, "state": "queued", "title": "Report"})
    await screen.shows(label="Report", status="Queued")
    running = {**RUNNING, "title": "Report", "phase": "Reading", "total": 500, "unit": "rows"}
    now = {"current": 100, "rate": 50, "eta_s": 8, "text": "a.csv", "attempt": 2}
    await screen.send({**running, **now})
    await screen.shows(
        phase="Reading", status="", percent="20%", bar=0.2, count="100 of 500 rows",
        rate="50 rows/s", eta="8 sec left", text="a.csv", attempt="Attempt 2",
    )  # fmt: skip
    await screen.send({**running, "current": 500})
    await screen.shows(percent="99%", bar=0.99)
    await screen.send({**running, "state": "done", "current": 500, "elapsed_s": 10}, final=True)
    await screen.shows(status="Done", percent="100%", bar=1, count="500 of 500 rows", eta="")
    states = [detail["state"] for _, detail in await screen.do("heard")]
    assert states == ["queued", "running", "done"]
    assert await screen.mistakes() == []


@pytest.mark.slow
@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_a_bar_that_ends_early_keeps_its_place(
    context: "BrowserContext", node: Node, state: str
) -> None:
    screen = await Screen.open(context, node)
    await screen.send({**RUNNING, "current": 42, "total": 100})
    await screen.shows(percent="42%")
    await screen.send({**RUNNING, "state": state, "error": "No disk"}, final=True)
    await screen.shows(status=state.capitalize(), percent="42%", bar=0.42, error="No disk")


async def test_silence_is_shown_and_counted(context: "BrowserContext", node: Node) -> None:
    screen = await Screen.open(context, node)
    await screen.send({**RUNNING, "current": 1, "total": 2}, stall_s=1)
    await screen.state("stalled")

    async def silence_s() -> int:
        parts = await screen.parts()
        found = re.fullmatch(r"No news for (\d+) sec", parts["status"])
        assert found
        assert parts["percent"] == "50%"
        return int(found[1])

    # A busy machine may not look once in every second: only that it grows is certain.
    before = await eventually(silence_s)
    assert isinstance(before, int)
    assert before >= 1

    async def grown() -> bool:
        return await silence_s() > before

    await eventually(grown)
    await screen.send({**RUNNING, "current": 1, "total": 2})
    await screen.state("running")


@pytest.mark.slow
async def test_a_job_of_unknown_length_is_open(context: "BrowserContext", node: Node) -> None:
    screen = await Screen.open(context, node)
    await screen.send({**RUNNING, "current": 7, "unit": "files", "elapsed_s": 3})
    await screen.shows(bar=-1, count="7 files", percent="")
    assert await screen.do("document.querySelector('progress-live').update.current") == 7


async def test_parts_have_bars_of_their_own(context: "BrowserContext", node: Node) -> None:
    screen = await Screen.open(context, node)
    part = {**RUNNING, "total": 10, "parent": "job"}
    await screen.send({**RUNNING, "title": "Release", "current": 1, "total": 2})
    await screen.send({**part, "title": "Build", "current": 5}, key="job/build")
    await screen.send({**part, "title": "Sign", "current": 1}, key="job/sign")
    await screen.send({**part, "title": "Hash", "parent": "job/sign"}, key="job/sign/hash")
    texts = "[...document.querySelector('progress-live').shadowRoot.querySelectorAll('li')]"

    async def rows() -> list[str]:
        spans = "[...row.querySelectorAll('span')].map((span) => span.textContent)"
        shown: list[str] = await screen.do(f"{texts}.map((row) => {spans}.join(''))")
        return shown

    async def shown() -> bool:
        return await rows() == [
            "Build50%5 of 10", "Sign10%1 of 10", "Hash0%0 of 10"
        ]  # fmt: skip

    await eventually(shown, 15)
    await screen.send({**RUNNING, "state": "failed"}, final=True)

    async def ended() -> bool:
        return all("Failed" in row for row in await rows())

    await eventually(ended, 15)


@pytest.mark.slow
async def test_one_bar_of_many_can_be_chosen(context: "BrowserContext", node: Node) -> None:
    elements = "".join(
        f'<progress-live sid="{SID}" {which}></progress-live>'
        for which in ('id="newest"', 'id="a" key="a" label="Mine"', 'id="b" bar="b"')
    )
    screen = await Screen.open(context, node, elements)
    await screen.send({**RUNNING, "current": 1, "total": 10}, key="a")
    await screen.send({**RUNNING, "current": 2, "total": 10, "title": "B"}, key="b", run="2")
    await screen.shows("#a", percent="10%", label="Mine")
    await screen.shows("#b", percent="20%", label="B")
    await screen.shows("#newest", percent="20%")
    assert await screen.do("sockets.length") == 1
    await screen.do("document.querySelector('#b').setAttribute('bar', 'a')")
    await screen.shows("#b", percent="10%", label="Progress")


async def test_a_sid_may_come_later_and_go(context: "BrowserContext", node: Node) -> None:
    screen = await Screen.open(context, node, "<progress-live></progress-live>")
    await screen.shows(status="Waiting")
    assert await screen.do("sockets.length") == 0
    await screen.send({**RUNNING, "current": 1, "total": 2})
    element = "document.querySelector('progress-live')"
    await screen.do(f"sid => {element}.setAttribute('sid', sid)", SID)
    await screen.shows(percent="50%")
    await screen.do(f"{element}.removeAttribute('sid')")
    await screen.shows(percent="", status="Waiting")
    await eventually(lambda: all_closed(screen), 10)


async def all_closed(screen: Screen) -> bool:
    closed: bool = await screen.do("sockets.every((socket) => socket.readyState >= 2)")
    return closed


@pytest.mark.slow
async def test_an_element_may_be_moved_and_put_back(context: "BrowserContext", node: Node) -> None:
    screen = await Screen.open(context, node)
    await screen.send({**RUNNING, "current": 1, "total": 2})
    await screen.shows(percent="50%")
    await screen.do("window.element = document.querySelector('progress-live')")
    await screen.do("document.querySelector('main').append(element)")
    await screen.do("document.body.prepend(element)")
    await screen.shows(percent="50%")
    assert await screen.do("sockets.length") == 1
    assert not await all_closed(screen)
    await screen.do("element.remove()")
    await eventually(lambda: all_closed(screen), 10)
    await screen.send({**RUNNING, "current": 3, "total": 4})
    await screen.do("document.body.append(element)")
    await screen.shows(percent="75%")


@pytest.mark.slow
async def test_an_element_of_before_its_definition_keeps_its_properties(
    context: "BrowserContext", node: Node
) -> None:
    screen = await Screen.open(context, node, "")
    page = await context.new_page()
    await page.add_init_script(WATCH)
    await page.goto(f"{node.url}/healthz")
    await page.evaluate(
        """async (sid) => {
          const { ProgressClient } = await import("/client/progress-ws.js");
          const element = document.createElement("progress-live");
          element.client = new ProgressClient({ sid });
          element.texts = { running: "Works" };
          element.setAttribute("sid", sid);
          document.body.append(element);
          await import("/client/progress-live.js");
        }""",
        SID,
    )
    early = Screen(page, node)
    await screen.send({**RUNNING, "current": 1, "total": 2})
    await early.shows(percent="50%")
    assert await early.do("sockets.length") == 1
    # The application's client is the application's.
    await early.do("document.querySelector('progress-live').remove()")
    await early.do("new Promise((done) => setTimeout(done, 50))")
    assert not await all_closed(early)


@pytest.mark.slow
async def test_what_cannot_be_used_is_reported_and_the_element_waits(
    context: "BrowserContext", node: Node
) -> None:
    for attributes in ('sid="short"', f'sid="{SID}" src="http://["'):
        screen = await Screen.open(context, node, f"<progress-live {attributes}></progress-live>")
        await screen.shows(status="Waiting")
        assert len(set(await screen.mistakes())) == 1
        assert await screen.do("sockets.length") == 0


async def test_no_message_can_inject_markup_or_break_the_page(
    context: "BrowserContext", node: Node
) -> None:
    screen = await Screen.open(context, node)
    evil = '<img src=x onerror="mistakes.push(1)"><script>mistakes.push(2)</script>'
    names = ["unit", "title", "phase", "text", "error"]
    await screen.send({**RUNNING, **dict.fromkeys(names, evil), "current": 1, "total": 2})
    seen = await screen.shows(label=evil, phase=evil, text=evil)
    assert seen["count"] == f"1 of 2 {evil}"
    tags = "[...document.querySelector('progress-live').shadowRoot.querySelectorAll('img,script')]"
    assert await screen.do(f"{tags}.length") == 0
    no_functions = dict.fromkeys(["toString", "valueOf", "trim", "call", "slice"], 1)
    texts = ["NaN", "\u202e" + "x" * 8_000, "𝒳" * 999]
    values = [None, True, -1, 1e308, [], {}, no_functions, *texts]
    names = [
        "current", "total", "unit", "title", "phase", "text", "rate", "eta_s", "elapsed_s",
        "error", "parent", "attempt", "cancellable", "state", "__proto__", "constructor",
    ]  # fmt: skip
    for value in values:
        await screen.send(*({**RUNNING, name: value} for name in names), value)
        await screen.send({**RUNNING, **dict.fromkeys(names[:8], value)})
        await screen.send({"sid": SID, "message": {**RUNNING, "title": "x"}, "key": "__proto__"})
    await screen.send({**RUNNING, "current": 3, "total": 4, "title": "Well"}, run="9")
    await screen.shows(label="Well", percent="75%")
    assert await screen.mistakes() == []


@pytest.mark.slow
async def test_ten_thousand_parts_and_circles_of_them_are_bounded(
    context: "BrowserContext", node: Node
) -> None:
    screen = await Screen.open(
        context, node, f'<progress-live sid="{SID}" key="job"></progress-live>'
    )
    await screen.state("waiting")
    await screen.send({**RUNNING, "title": "Whole", "parent": "part-1"}, run="5")
    parts = (
        {"sid": SID, "key": f"part-{n}", "run": "5", "message": {**RUNNING, "parent": "job"}}
        for n in range(10_000)
    )
    await screen.send(*parts)
    await screen.send({**RUNNING, "title": "Whole", "parent": "part-1", "current": 1}, run="5")
    shadow = "document.querySelector('progress-live').shadowRoot"

    async def bounded() -> bool:
        rows: int = await screen.do(f"{shadow}.querySelectorAll('li').length")
        return rows == 50 and re.match(r"[\d,]+ more", (await screen.parts())["more"])

    await eventually(bounded, 30)
    assert await screen.mistakes() == []


async def test_a_strict_policy_is_kept(
    context: "BrowserContext", node_process: Callable[..., Node]
) -> None:
    node = node_process(publish_token=TOKEN, command=("progress_ws.demo",))
    screen = await Screen.open(context, node, path="/")
    policy = await screen.do(
        "fetch('/').then((page) => page.headers.get('Content-Security-Policy'))"
    )
    for directive in ("default-src 'none'", "script-src 'self'", "style-src 'self'"):
        assert directive in policy
    part = {**RUNNING, "parent": "job", "current": 1, "total": 2}
    await screen.send({**RUNNING, "current": 1, "total": 4, "text": "x", "cancellable": True})
    await screen.send(part, key="job/part")
    await screen.shows(percent="25%", cancel="Cancel")
    height = await screen.do(
        "getComputedStyle(document.querySelector('progress-live').shadowRoot"
        ".querySelector('progress')).height"
    )
    assert height == "8px"
    # The page's own script misses what this test has put the element in the place of.
    assert [it for it in await screen.mistakes() if it.startswith("policy")] == []


@pytest.mark.slow
async def test_it_can_be_styled_from_outside(context: "BrowserContext", node: Node) -> None:
    screen = await Screen.open(context, node)
    await screen.do(
        """() => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync(`progress-live { --progress-live-height: 20px }
            progress-live::part(label) { text-transform: uppercase }`);
          document.adoptedStyleSheets = [sheet];
        }"""
    )
    await screen.shows(label="Progress")
    find = (
        "getComputedStyle(document.querySelector('progress-live').shadowRoot.querySelector('%s'))"
    )
    assert await screen.do(f"{find % 'progress'}.height") == "20px"
    assert await screen.do(f"{find % '.label'}.textTransform") == "uppercase"


@pytest.mark.parametrize(
    ("colours", "page"),
    [
        ({"color_scheme": "light"}, {}),
        pytest.param({"color_scheme": "dark"}, {}, marks=pytest.mark.slow),
        pytest.param({"forced_colors": "active"}, {}, marks=pytest.mark.slow),
        pytest.param(
            {"reduced_motion": "reduce"},
            {"lang": "ar", "direction": "rtl"},
            marks=pytest.mark.slow,
        ),
        pytest.param({}, {"lang": "zh-CN"}, marks=pytest.mark.slow),
    ],
    ids=["light", "dark", "forced", "rtl", "zh"],
)
async def test_axe_finds_nothing(
    chromium: "Browser", node: Node, colours: dict[str, Any], page: dict[str, Any]
) -> None:
    context = await chromium.new_context(viewport={"width": 320, "height": 800}, **colours)
    sids = {state: f"sid-of-a-job-that-is-{state}" for state in (
        "waiting", "queued", "running", "stalled", "done", "failed", "cancelled"
    )}  # fmt: skip
    html = "<h1>Jobs</h1>" + "".join(
        f'<progress-live id="{state}" sid="{sid}"></progress-live>' for state, sid in sids.items()
    )
    screen = await Screen.open(context, node, html, **page)
    for state, sid in list(sids.items())[1:]:
        update = {**RUNNING, "title": "A report", "phase": "Reading", "text": "a line"}
        update |= {"current": 3, "total": 10, "unit": "rows", "eta_s": 30, "cancellable": True}
        if state != "stalled":
            update["state"] = state
        if state == "failed":
            update["error"] = "No disk"
        await screen.send(update, sid=sid, stall_s=1 if state == "stalled" else 200)
        if state == "running":
            part = {**RUNNING, "parent": "job", "current": 1, "total": 2}
            await screen.send(part, sid=sid, key="job/part")
    for state in sids:
        await screen.state(state, f"#{state}")
    await screen.page.wait_for_selector("#running li")
    await screen.do(AXE.read_text(encoding="utf-8"))
    result = await screen.do("axe.run(document)")
    assert result["passes"]
    problems = {v["id"]: [n["failureSummary"] for n in v["nodes"]] for v in result["violations"]}
    assert problems == {}
    wide = await screen.do("document.documentElement.scrollWidth")
    assert wide <= 320
    await context.close()


async def test_a_bar_has_a_name_and_says_its_value(context: "BrowserContext", node: Node) -> None:
    screen = await Screen.open(context, node)
    await screen.send({**RUNNING, "title": "Report", "current": 5, "total": 10, "unit": "rows"})
    bar = screen.page.get_by_role("progressbar", name="Report", exact=True)
    await bar.wait_for()
    await screen.shows(percent="50%")
    assert await bar.get_attribute("aria-valuetext") == "50%, 5 of 10 rows"


async def test_the_cancel_button_works_by_keyboard_and_loses_no_focus(
    context: "BrowserContext", node: Node
) -> None:
    screen = await Screen.open(context, node)
    update = {**RUNNING, "title": "Report", "current": 1, "total": 2}
    await screen.send(update)
    await screen.shows(percent="50%")
    assert await screen.page.get_by_role("button").count() == 0
    await screen.send({**update, "cancellable": True})
    button = screen.page.get_by_role("button", name="Cancel Report")
    await button.wait_for()
    await screen.page.keyboard.press("Tab")
    focused = "document.activeElement.shadowRoot?.activeElement?.part.value"
    assert await screen.do(focused) == "cancel"
    await screen.page.keyboard.press("Enter")
    waiting = screen.page.get_by_role("button", name="Cancel Report: Cancelling", disabled=True)
    await waiting.wait_for()
    await screen.page.keyboard.press("Enter")
    await screen.send({**update, "state": "cancelled"}, final=True)
    await screen.shows(status="Cancelled")
    assert await screen.do(focused) == "row"
    assert await screen.page.get_by_role("button").count() == 0


# A client in the test's hands and an element on it; it tells of a job that can be cancelled.
SCRIPTED = """
({ sid, has_left }) => {
  window.sid = sid;
  window.client = Object.assign(new EventTarget(), {
    follow() {}, cancel: (...wish) => { heard.push(wish); return window.has_left; },
  });
  window.has_left = has_left;
  window.emit = (type, detail) =>
    client.dispatchEvent(new CustomEvent(type, { detail: { type, sid: window.sid, ...detail } }));
  window.say = (message, detail = { key: "job", run: "1" }) => {
    const update = { kind: "progress", state: "running", cancellable: true, ...message };
    emit("message", { ...detail, message: update });
  };
  window.element = document.querySelector("progress-live");
  element.client = client;
  element.setAttribute("sid", sid);
  say();
}
"""


async def scripted(context: "BrowserContext", node: Node, *, has_left: bool = True) -> Screen:
    """An element that shows what the test says: `say({title: "Report"})`, `emit("error", {…})`."""
    screen = await Screen.open(context, node, "<progress-live></progress-live>")
    await screen.do(SCRIPTED, {"sid": SID, "has_left": has_left})
    return screen


@pytest.mark.slow
async def test_what_became_of_a_wish_to_cancel_is_told(
    context: "BrowserContext", node: Node
) -> None:
    screen = await scripted(context, node, has_left=False)
    button = screen.page.get_by_role("button")
    await button.click()
    await screen.shows(cancel="Nobody listens")
    await screen.do("window.has_left = true")
    await button.click()
    await screen.shows(cancel="Cancelling")
    await screen.do("emit('error', { code: 'nobody_listens', key: 'another' })")
    await screen.shows(cancel="Cancelling")
    for code in ("nobody_listens", "cancel_failed"):
        await screen.do("code => emit('error', { code, key: 'job' })", code)
        await screen.shows(cancel="Nobody listens")
        await button.click()
        await screen.shows(cancel="Cancelling")
    await screen.do("emit('state', { sid: undefined, state: 'waiting' })")
    await screen.shows(cancel="Nobody listens")
    wishes = [wish for wish in await screen.do("heard") if wish[0] == "job"]
    assert wishes == [["job", SID]] * 4


@pytest.mark.slow
async def test_without_a_key_nobody_can_be_asked_to_stop(
    context: "BrowserContext", node: Node
) -> None:
    screen = await scripted(context, node)
    await screen.shows(cancel="Cancel")
    await screen.do("{ element.setAttribute('sid', sid += '-2'); say({ title: 'New' }, {}); }")
    await screen.shows(label="New", cancel="")
    assert await screen.do("element.cancel()") is False
    assert [wish for wish in await screen.do("heard") if wish[0] == ""] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "then",
    [
        "say({ title: 'New' }, { key: 'job', run: '2' })",
        "say({ title: 'New' }, { key: 'another', run: '2' })",
        """{
          const peer = Object.assign(element.cloneNode(), { client });
          peer.setAttribute("sid", sid = "sid-of-another-job");
          element.after(peer);
          say({ title: "New" });
          element.setAttribute("sid", sid);
        }""",
    ],
    ids=["run", "key", "sid"],
)
async def test_a_wish_to_cancel_is_for_one_bar(
    context: "BrowserContext", node: Node, then: str
) -> None:
    screen = await scripted(context, node)
    await screen.page.get_by_role("button").click()
    await screen.shows(cancel="Cancelling")
    await screen.do(then)
    await screen.shows(label="New", cancel="Cancel")


@pytest.mark.slow
async def test_a_button_that_goes_does_not_move_the_page(
    context: "BrowserContext", node: Node
) -> None:
    screen = await scripted(context, node)
    await screen.page.get_by_role("button").click()
    await screen.do("{ document.body.style.height = '5000px'; scrollTo(0, 3000); }")
    await screen.do("say({ state: 'cancelled' })")
    await screen.shows(status="Cancelled")
    assert await screen.do("element.shadowRoot.activeElement.part.value") == "row"
    assert await screen.do("scrollY") == 3000


@pytest.mark.slow
async def test_on_a_client_of_the_applications_what_ends_meanwhile_is_known(
    context: "BrowserContext", node: Node
) -> None:
    screen = await scripted(context, node)
    await screen.state("running")
    await screen.do("element.remove()")
    await screen.do("new Promise((done) => setTimeout(done, 50))")
    await screen.do("say({ state: 'done' })")
    await screen.do("document.body.append(element)")
    await screen.shows(status="Done")


async def test_quarters_and_states_are_announced_and_nothing_else(
    context: "BrowserContext", node: Node
) -> None:
    screen = await Screen.open(context, node)
    await screen.shows(status="Waiting")
    await screen.do(
        """() => {
          window.said = [];
          const { shadowRoot } = document.querySelector("progress-live");
          const live = shadowRoot.querySelector("[role=status]");
          const observer = new MutationObserver(() => said.push(live.textContent));
          observer.observe(live, { childList: true });
        }"""
    )

    async def hears(*expected: str) -> None:
        async def heard() -> bool:
            said: list[str] = await screen.do("said")
            return said == list(expected)

        await eventually(heard, 10, what=f"{expected}")

    texts: list[str] = []
    for current, told in [(1, True), (2, False), (24, False), (25, True), (60, True), (70, False)]:
        await screen.send({**RUNNING, "title": "Report", "current": current, "total": 100})
        await screen.shows(percent=f"{current}%")
        if told:
            texts.append(f"Report: {current}%, {current} of 100")
            await hears(*texts)
    await screen.send(
        {**RUNNING, "title": "Report", "state": "failed", "error": "No disk"}, final=True
    )
    await hears(*texts, "Report: Failed, 70%, 70 of 100, No disk")


@pytest.mark.slow
async def test_what_becomes_of_a_wish_to_cancel_is_announced(
    context: "BrowserContext", node: Node
) -> None:
    screen = await scripted(context, node)
    await screen.do("say({ title: 'Report', current: 1, total: 4 })")
    told = screen.page.locator("progress-live [role=status]")
    button = screen.page.get_by_role("button", name="Cancel Report", exact=True)
    await button.click()
    await told.get_by_text("Report: Cancelling, 25%, 1 of 4", exact=True).wait_for(state="attached")
    await screen.do("emit('error', { code: 'nobody_listens', key: 'job' })")
    nobody = "Report: Nobody listens, 25%, 1 of 4"
    await told.get_by_text(nobody, exact=True).wait_for(state="attached")
    name = "Cancel Report: Nobody listens"
    await screen.page.get_by_role("button", name=name, exact=True).wait_for()


@pytest.mark.slow
async def test_all_are_painted_once_a_frame(context: "BrowserContext", node: Node) -> None:
    sids = [
        f"sid-of-job-number-{number:04}" for number in range(70)
    ]  # as many as are followed at once
    html = "".join(f'<progress-live sid="{sid}"></progress-live>' for sid in sids)
    screen = await Screen.open(context, node, html)
    last = f"progress-live[sid={sids[-1]}]"
    for sid in sids:
        await screen.send({**RUNNING, "current": 0, "total": 1000}, sid=sid)

    async def all_run() -> bool:
        running: int = await screen.do("document.querySelectorAll('[state=running]').length")
        return running == len(sids)

    await eventually(all_run, 60)
    await screen.do(
        """() => {
          window.paints = new Map(); frames_asked = 0;
          const { paint } = live.ProgressLive.prototype;
          live.ProgressLive.prototype.paint = function () {
            // It stands still within a frame.
            const at = document.timeline.currentTime;
            if (paints.get(this) === at) mistakes.push("painted twice in a frame");
            paints.set(this, at);
            return paint.call(this);
          };
        }"""
    )
    for current in range(1, 31):
        await screen.send(
            *({"sid": sid, "key": "job", "run": "1",
               "message": {**RUNNING, "current": current, "total": 1000}} for sid in sids)
        )  # fmt: skip
    await screen.send({**RUNNING, "current": 500, "total": 1000}, sid=sids[-1])
    await screen.shows(last, percent="50%")
    assert await screen.mistakes() == []
    assert await screen.do("sockets.length") == 1
    # 2,100 updates, but no element asked for a frame while it waited for one.
    assert await screen.do("frames_asked") <= 2_170


@pytest.mark.slow
async def test_a_hidden_tab_knows_its_states_and_is_painted_when_it_is_shown(
    context: "BrowserContext", node: Node
) -> None:
    screen = await Screen.open(context, node)
    await screen.shows(status="Waiting")
    await screen.do("{ window.held = []; window.hold = (action) => held.push(action); null; }")
    await screen.send({**RUNNING, "current": 1, "total": 2})
    await screen.send({**RUNNING, "state": "done"}, final=True)
    await screen.state("done")
    assert (await screen.parts())["status"] == "Waiting"
    assert await screen.do("held.length") == 1
    await screen.do("{ window.hold = undefined; held.forEach((action) => action()); }")
    await screen.shows(status="Done", percent="100%")


@pytest.mark.slow
async def test_chinese_is_loaded_for_its_readers_only(
    context: "BrowserContext", node: Node
) -> None:
    english = await Screen.open(context, node)
    asked: list[str] = []
    english.page.on("request", lambda request: asked.append(request.url))
    await english.send({**RUNNING, "current": 30, "total": 100, "unit": "行", "rate": 2})
    await english.shows(count="30 of 100 行", rate="2 行/s")
    assert not [url for url in asked if "zh" in url]
    await english.do("document.querySelector('progress-live').lang = 'zh-TW'")
    await english.shows(count="30 / 100 行", rate="2 行/秒")
    assert [url for url in asked if "zh" in url]
    chinese = await Screen.open(context, node, lang="zh-CN")
    await chinese.send({**RUNNING, "state": "failed"}, final=True)
    await chinese.shows(status="失败", label="进度")


@pytest.mark.slow
async def test_chinese_that_could_not_be_loaded_is_loaded_later(
    context: "BrowserContext", node: Node
) -> None:
    asked = 0

    async def fail_once(route: "Route") -> None:
        nonlocal asked
        asked += 1
        await (route.abort() if asked == 1 else route.continue_())

    await context.route("**/progress-live-zh.js*", fail_once)
    screen = await scripted(context, node)
    await screen.do("element.lang = 'zh-CN'")
    await screen.shows(cancel="取消")
    assert asked == 2


@pytest.mark.slow
async def test_texts_can_be_replaced(context: "BrowserContext", node: Node) -> None:
    screen = await Screen.open(context, node, lang="de")
    await screen.do(
        """() => {
          live.ProgressLive.texts = { lang: "de", done: "Fertig", count: "{current} von {total}" };
          document.querySelector("progress-live").texts = {
            left: ({ time }) => `noch ${time}`,
          };
        }"""
    )
    await screen.send({**RUNNING, "current": 1234, "total": 5000, "unit": "Zeilen", "eta_s": 8})
    await screen.shows(count="1.234 von 5.000 Zeilen", eta="noch 8 Sek.")
    await screen.send({**RUNNING, "state": "done"}, final=True)
    await screen.shows(status="Fertig")


async def test_gaps_and_errors_are_told_to_the_application(
    context: "BrowserContext", node: Node
) -> None:
    screen = await Screen.open(context, node, "<progress-live></progress-live>")
    heard = await screen.do(
        """(sid) => {
          const client = Object.assign(new EventTarget(), { follow() {}, state: "open" });
          const element = document.querySelector("progress-live");
          element.client = client;
          element.setAttribute("sid", sid);
          element.addEventListener("error", ({ detail }) => heard.push(["error", detail.code]));
          const emit = (type, detail) => client.dispatchEvent(new CustomEvent(type, { detail }));
          emit("gap", { type: "gap", sid });
          emit("gap", { type: "gap", sid: "another-sid-of-a-job" });
          emit("followed", { type: "followed", sid, recovered: false });
          emit("followed", { type: "followed", sid, recovered: true });
          emit("welcome", { type: "welcome", recovered: false });
          emit("error", { type: "error", code: "too_many_follows", sid, detail: "x" });
          return heard;
        }""",
        SID,
    )
    assert [name if name == "error" else detail["type"] for name, detail in heard] == [
        "gap", "followed", "welcome", "error"
    ]  # fmt: skip


@pytest.mark.slow
def test_the_types_are_those_of_the_element(tmp_path: Path) -> None:
    page = tmp_path / "page.ts"
    page.write_text(TYPED.replace("CLIENT", str(CLIENT)), encoding="utf-8")
    options = "--noEmit --strict --target es2022 --module nodenext --lib es2023,dom,dom.iterable"
    command = [TOOLS / ".bin/tsc", *options.split(), "--types", "", page]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout
