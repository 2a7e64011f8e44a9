"""The demo as an application: a whole node, and with it a page, uploads and reports."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from aiohttp import hdrs, web

from progress_ws.core.message import SID_RULE, is_sid, new_sid
from progress_ws.demo.errands import ERRANDS
from progress_ws.demo.folder import ID, Folder
from progress_ws.demo.job import Job
from progress_ws.demo.jobs import Address, Jobs, NoPlaceError
from progress_ws.demo.offers import Deed, Offers
from progress_ws.demo.uploads import UploadError, receive
from progress_ws.node.app import create_app
from progress_ws.node.keys import CLUSTER, ORIGINS
from progress_ws.node.origins import is_allowed
from progress_ws.node.problems import problem
from progress_ws.node.settings import Settings

SAMPLES = {"small": ("orders-100k.csv", 100_000), "large": ("orders-1m.csv", 1_000_000)}
"""What can be had without a file: the name of the sample, and its rows."""

SID_HEADER = "X-Progress-Sid"
NAME_HEADER = "X-File-Name"
LONGEST_NAME = 120
WORKERS = 2
"""Worker processes of this node at one time that make reports: each keeps a core busy."""
IDLERS = 2
"""Worker processes of this node at one time that run errands: they mostly wait."""

_NOT_OFFERED = {
    Deed.KILL: "No worker is at this job now.",
    Deed.RETRY: "This job does not wait for another worker: its own may live, or it has ended.",
}
_STATIC = Path(__file__).with_name("static")
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A report brings a stricter one along, which names its style sheet; that of its version.
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
_SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]")


def create_demo_app(settings: Settings, *, folder: Path) -> web.Application:
    """Build a node with the demo's page at `/`.

    Args:
        settings: of the node. The embedded broker needs a publish token, so that workers can
            publish; without one, a random one is made.
        folder: shared by all nodes; see Folder.
    """
    if settings.amqp_url is None and settings.publish_token is None:
        settings = replace(settings, publish_token=secrets.token_urlsafe(32))
    app = create_app(settings)
    Demo(settings, Folder(folder)).add_to(app)
    return app


class Demo:
    """The handlers of the demo on one node."""

    def __init__(self, settings: Settings, folder: Folder) -> None:
        self._settings = settings
        self._folder = folder
        self._offers = Offers(folder)
        self._jobs = Jobs(folder, at_once=WORKERS)
        self._errands = Jobs(folder, at_once=IDLERS)

    def add_to(self, app: web.Application) -> None:
        """Add the routes and what has to be ended with the node."""
        app.router.add_get("/", self.page)
        app.router.add_get(r"/demo/{name:[a-z-]+\.(?:js|css|svg)}", self.asset)
        app.router.add_get("/demo/nodes", self.nodes)
        app.router.add_post("/demo/jobs", self.take_job)
        app.router.add_post("/demo/errands", self.take_errands)
        app.router.add_post(f"/demo/jobs/{{id:{ID}}}/{{deed:{'|'.join(Deed)}}}", self.take_offer)
        app.router.add_get(f"/demo/reports/{{id:{ID}}}", self.report)
        app.cleanup_ctx.append(self._lifetime)

    async def page(self, _request: web.Request) -> web.StreamResponse:
        """Answer with the page."""
        headers = {"Content-Security-Policy": _PAGE_POLICY, hdrs.CACHE_CONTROL: "no-cache"}
        return web.FileResponse(_STATIC / "index.html", headers=headers | _SAFE)

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """Answer with what the page is made of."""
        path = _STATIC / request.match_info["name"]
        if not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path, headers=_SAFE | {hdrs.CACHE_CONTROL: "no-cache"})

    async def report(self, request: web.Request) -> web.StreamResponse:
        """Answer with a report, whichever node had it made."""
        path = self._folder.report(request.match_info["id"])
        if not path.is_file():
            raise web.HTTPNotFound(text="There is no such report, or not any more.\n")
        headers = _SAFE | {
            "Content-Security-Policy": _REPORT_POLICY,
            hdrs.CACHE_CONTROL: "private, no-cache",
        }
        return web.FileResponse(path, headers=headers)

    async def nodes(self, request: web.Request) -> web.StreamResponse:
        """Say who is there: of `/api/v1/cluster`, which is the operator's, names and counts."""
        beats = request.app[CLUSTER].nodes()
        nodes = [{"node": beat.node, "connections": beat.connections} for beat in beats]
        headers = _SAFE | {hdrs.CACHE_CONTROL: "no-store"}
        return web.json_response({"node": self._settings.node, "nodes": nodes}, headers=headers)

    async def take_job(self, request: web.Request) -> web.StreamResponse:
        """Take a file, or the wish for a sample, and say where the report will be."""
        sid = self._asking(request)
        if isinstance(sid, web.Response):
            return sid
        sample = request.query.get("sample")
        if sample is not None and sample not in SAMPLES:
            return problem(400, f"sample must be one of {', '.join(SAMPLES)}")
        title, rows = SAMPLES[sample] if sample else (_file_name(request), None)
        job = self._new_job(sid, title=title, sample_rows=rows)
        try:
            with self._jobs.place():
                if job.sample_rows is None:
                    await self._receive(request, job)
                self._jobs.submit(job, self._address(request))
        except NoPlaceError:
            return _no_place()
        except UploadError as exc:
            return problem(exc.status, str(exc))
        return web.json_response(
            {"id": job.id, "key": job.key, "report": job.href, "node": job.node},
            status=202,
            headers={hdrs.LOCATION: job.href},
        )

    async def take_errands(self, request: web.Request) -> web.StreamResponse:
        """Have all errands run by one worker, and say in which session each can be watched."""
        sid = self._asking(request)
        if isinstance(sid, web.Response):
            return sid
        errands = {new_sid(): errand.title for errand in ERRANDS}
        job = self._new_job(sid, title="Errands", errands=errands)
        try:
            with self._errands.place():
                self._errands.submit(job, self._address(request))
        except NoPlaceError:
            return _no_place()
        jobs = [{"sid": own, "title": title} for own, title in errands.items()]
        answer = {"id": job.id, "key": job.key, "node": job.node, "jobs": jobs}
        return web.json_response(answer, status=202)

    async def take_offer(self, request: web.Request) -> web.StreamResponse:
        """Kill a job's worker, or have a lost one's job tried again, whichever node has it."""
        origin = request.headers.get(hdrs.ORIGIN)
        if not is_allowed(origin, host=request.host, allowed=()):
            return problem(403, "a page of another origin may read, and do no more")
        sid = request.headers.get(SID_HEADER, "")
        deed = Deed(request.match_info["deed"])
        if not is_sid(sid) or not self._offers.take(deed, request.match_info["id"], sid=sid):
            return problem(404, _NOT_OFFERED[deed])
        return web.Response(status=202)

    def _asking(self, request: web.Request) -> str | web.Response:
        """Return the sid that a job shall be for, or why there will be none."""
        # No other site can send this header here, so it also proves that our page asks.
        sid = request.headers.get(SID_HEADER, "")
        if not is_sid(sid):
            return problem(400, f"{SID_HEADER} must be {SID_RULE}")
        request.app[ORIGINS].check(request)
        return sid

    def _new_job(
        self,
        sid: str,
        *,
        title: str,
        sample_rows: int | None = None,
        errands: dict[str, str] | None = None,
    ) -> Job:
        return Job(
            id=self._folder.new_id(),
            sid=sid,
            title=title,
            node=self._settings.node,
            folder=str(self._folder.path),
            sample_rows=sample_rows,
            errands=errands or {},
        )

    async def _receive(self, request: web.Request, job: Job) -> None:
        self._folder.sweep()
        announced = request.content_length or 0
        await receive(request.content, folder=self._folder, job_id=job.id, announced=announced)

    def _address(self, request: web.Request) -> Address:
        token = None
        url = self._settings.amqp_url
        if url is None:
            # Only the connection knows where this node listens: the port may have been 0.
            assert request.transport is not None
            host, port = request.transport.get_extra_info("sockname")[:2]
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            token = self._settings.publish_token
        return Address(url=url, prefix=self._settings.prefix, token=token)

    async def _lifetime(self, _app: web.Application) -> AsyncIterator[None]:
        self._folder.sweep()
        yield
        await asyncio.gather(self._jobs.stop(), self._errands.stop())


def _no_place() -> web.Response:
    detail = "All workers are busy. Please try again in a minute."
    return problem(503, detail, headers={hdrs.RETRY_AFTER: "60"})


def _file_name(request: web.Request) -> str:
    """Return the file's own name: for people only, it never becomes a path."""
    name = unquote(request.headers.get(NAME_HEADER, "")).replace("\\", "/").rpartition("/")[2]
    return _UNSEEN.sub("", name)[:LONGEST_NAME].strip() or "upload.csv"
