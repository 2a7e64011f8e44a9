"""An application as users write it: a node with pages of its own, under the strictest policy.

`python -m tests.browser.application` takes the settings of a node. `/pages/NAME` is a file of
`pages/`, with the fields of the query, escaped, where it has `{sid}` and the like.
"""

import asyncio
import os
import re
from html import escape
from pathlib import Path

from aiohttp import web

from progress_ws.node.app import create_app
from progress_ws.node.logs import configure
from progress_ws.node.process import run_node
from progress_ws.node.settings import Settings

PAGES = Path(__file__).with_name("pages")
#: Nothing inline, nothing evaluated, nothing of other sites, and no markup made of strings.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
FIELD = re.compile(r"\{(\w+)\}")


async def show(request: web.Request) -> web.Response:
    """A page, or what belongs to it."""
    path = PAGES / request.match_info["name"]
    if path.parent != PAGES or not path.is_file():
        raise web.HTTPNotFound
    text = path.read_text()
    if path.suffix == ".html":
        text = FIELD.sub(lambda field: escape(request.query.get(field[1], "")), text)
    return web.Response(
        text=text,
        content_type=TYPES[path.suffix],
        headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"},
    )


def create(settings: Settings) -> web.Application:
    """Build the node and its pages."""
    app = create_app(settings)
    app.router.add_get("/pages/{name}", show)
    return app


if __name__ == "__main__":
    settings = Settings.from_environ(os.environ)
    configure(settings)
    asyncio.run(run_node(settings, create))
