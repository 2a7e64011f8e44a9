"""What the handlers of one application share, by typed keys."""

from aiohttp import web

from progress_ws.broker.sender import Sender
from progress_ws.core.cluster import Cluster
from progress_ws.core.hub import Hub
from progress_ws.core.memory import Memory
from progress_ws.node.bodies import Bodies
from progress_ws.node.cancels import Canceller
from progress_ws.node.heartbeat import Pulse
from progress_ws.node.metrics import Metrics
from progress_ws.node.online import Sockets
from progress_ws.node.origins import Origins
from progress_ws.node.readiness import Readiness
from progress_ws.node.recovery import Recovery
from progress_ws.node.settings import Settings
from progress_ws.node.siblings import Siblings
from progress_ws.node.wire import Turn

RECOVERY = web.AppKey("recovery", Recovery)
SETTINGS = web.AppKey("settings", Settings)
HUB = web.AppKey("hub", Hub)
MEMORY = web.AppKey("memory", Memory)
CLUSTER = web.AppKey("cluster", Cluster)
CANCELLER = web.AppKey("canceller", Canceller)
SENDER = web.AppKey("sender", Sender)
PULSE = web.AppKey("pulse", Pulse)
ORIGINS = web.AppKey("origins", Origins)
SOCKETS = web.AppKey("sockets", Sockets)
BODIES = web.AppKey("bodies", Bodies)
METRICS = web.AppKey("metrics", Metrics)
READINESS = web.AppKey("readiness", Readiness)
SIBLINGS = web.AppKey("siblings", Siblings)
TURN = web.AppKey("turn", Turn)
