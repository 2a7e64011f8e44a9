"""A Flask application whose view says how far it is, by a publisher of the module."""

import os
import time

from flask import Flask

from progress_ws import BlockingPublisher

app = Flask(__name__)
publisher = BlockingPublisher(os.environ["PROGRESS_WS_AMQP_URL"])
publisher.send(os.environ["PROGRESS_WS_SID"], {"loaded": os.getpid()})


@app.get("/reports/<sid>")
def work(sid: str) -> str:
    """Work for a moment."""
    with publisher.progress(sid, total=5) as bar:
        publisher.post(sid, {"worked": os.getpid()})
        for _ in range(5):
            bar.advance()
            time.sleep(0.02)
    return str(os.getpid())
