"""FastAPI: the job is a background task in the server's own event loop."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from progress_ws import Publisher, new_sid


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with Publisher(os.environ["PROGRESS_WS_AMQP_URL"]) as app.state.publisher:
        yield


app = FastAPI(lifespan=lifespan)
for built in ("react", "vue"):  # where somebody has built them
    app.mount(f"/{built}", StaticFiles(directory=f"{built}/dist", html=True, check_dir=False))


@app.get("/")
async def index() -> FileResponse:
    return FileResponse("page.html")


@app.post("/reports", status_code=202)
async def start(background: BackgroundTasks) -> dict[str, str]:
    sid = new_sid()
    background.add_task(make_report, sid)
    return {"sid": sid}


async def make_report(sid: str) -> None:
    publisher: Publisher = app.state.publisher
    async with publisher.progress(
        sid, key="report", total=40, title="Report", unit="pages", cancellable=True
    ) as bar:
        for number in range(1, 41):
            if bar.cancelled:
                break
            bar.text(f"page {number}")
            await asyncio.sleep(0.05)  # the work
            bar.advance()
