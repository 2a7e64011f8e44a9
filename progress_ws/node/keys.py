"""What the handlers of one application share, by typed keys."""

from aiohttp import web

from progress_ws.broker.sender import Sender
from progress_ws.core.cluster import Cluster
from progress_ws.core.hub import Hub
from progress_ws.node.metrics import Metrics
from progress_ws.node.readiness import Readiness
from progress_ws.node.settings import Settings
from progress_ws.node.siblings import Siblings
from progress_ws.node.sockets import Sockets

SETTINGS = web.AppKey("settings", Settings)
HUB = web.AppKey("hub", Hub)
CLUSTER = web.AppKey("cluster", Cluster)
SENDER = web.AppKey("sender", Sender)
SOCKETS = web.AppKey("sockets", Sockets)
METRICS = web.AppKey("metrics", Metrics)
READINESS = web.AppKey("readiness", Readiness)
SIBLINGS = web.AppKey("siblings", Siblings)
