"""Django in one file: in a project, the views go into views.py and the paths into urls.py."""

import os
import threading
import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, JsonResponse
from django.urls import path

from progress_ws import BlockingPublisher, new_sid

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"])
# Opens nothing here: each process that gunicorn forks connects when it first reports.
publisher = BlockingPublisher(os.environ["PROGRESS_WS_AMQP_URL"])


def index(request: HttpRequest) -> FileResponse:
    return FileResponse(open("page.html", "rb"), content_type="text/html")


def start(request: HttpRequest) -> JsonResponse:
    sid = new_sid()
    threading.Thread(target=make_report, args=(sid,)).start()
    return JsonResponse({"sid": sid}, status=202)


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


urlpatterns = [path("", index), path("reports", start)]
application = get_wsgi_application()
