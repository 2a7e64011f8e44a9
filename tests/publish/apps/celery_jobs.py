"""A Celery application whose tasks say how far they are, by a publisher of the module."""

import os
import time
from typing import Any

from celery import Celery

from progress_ws import BlockingPublisher

app = Celery("jobs", broker=os.environ["CELERY_BROKER"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
publisher = BlockingPublisher(os.environ["PROGRESS_WS_AMQP_URL"])
# Used in the parent, too, before it forks.
publisher.send(os.environ["PROGRESS_WS_SID"], {"loaded": os.getpid()})


@app.task(bind=True, name="count")
def count(task: Any, sid: str, steps: int) -> None:
    """Count, slowly."""
    with publisher.progress(sid, total=steps, key=task.request.id) as bar:
        publisher.post(sid, {"worked": os.getpid()})
        for _ in range(steps):
            bar.advance()
            time.sleep(0.05)
