"""Flask: the job is a thread of the web process."""

import os
import threading
import time

from flask import Flask, Response, send_file

from progress_ws import BlockingPublisher, new_sid

app = Flask(__name__)
# Opens nothing here: each process that gunicorn forks connects when it first reports.
publisher = BlockingPublisher(os.environ["PROGRESS_WS_AMQP_URL"])


@app.get("/")
def index() -> Response:
    return send_file("page.html")


@app.post("/reports")
def start() -> tuple[dict[str, str], int]:
    sid = new_sid()
    threading.Thread(target=make_report, args=(sid,)).start()
    return {"sid": sid}, 202


def make_report(sid: str) -> None:
    with publisher.progress(
        sid, key="report", total=40, title="Report", unit="pages", cancellable=True
    ) as bar:
        for number in range(1, 41):
            if bar.cancelled:
                break
            bar.text(f"page {number}")
            time.sleep(0.05)  # the work
            bar.advance()
