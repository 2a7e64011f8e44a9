"""A Django project in one file; its view says how far it is, by a publisher of the module."""

import os
import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from progress_ws import BlockingPublisher

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="of a test")
publisher = BlockingPublisher(os.environ["PROGRESS_WS_AMQP_URL"])
publisher.send(os.environ["PROGRESS_WS_SID"], {"loaded": os.getpid()})


def work(_request: HttpRequest, sid: str) -> HttpResponse:
    """Work for a moment."""
    with publisher.progress(sid, total=5) as bar:
        publisher.post(sid, {"worked": os.getpid()})
        for _ in range(5):
            bar.advance()
            time.sleep(0.02)
    return HttpResponse(str(os.getpid()))


urlpatterns = [path("reports/<str:sid>", work)]
app = get_wsgi_application()
