"""Celery: the web process sends the task with its sid, and the worker reports to that."""

import os
import time

from celery import Celery
from flask import Flask, Response, send_file

from progress_ws import new_sid
from progress_ws.celery import ProgressTask

web = Flask(__name__)
celery = Celery("reports", broker=os.environ["PROGRESS_WS_AMQP_URL"])


@celery.task(bind=True, base=ProgressTask, title="Report", key="report")
def make_report(self: ProgressTask, pages: int) -> None:
    for page in self.track(range(pages), unit="pages", cancellable=True):
        time.sleep(0.05)  # the work


@web.get("/")
def index() -> Response:
    return send_file("page.html")


@web.post("/reports")
def start() -> tuple[dict[str, str], int]:
    sid = new_sid()
    make_report.apply_async((40,), sid=sid)
    return {"sid": sid}, 202
