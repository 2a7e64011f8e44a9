"""The systems that are measured side by side, ours among them."""

from tests.bench.peers.amqp import Naive, Ours, OursOf, OursWithoutHistory
from tests.bench.peers.nchan import Nchan
from tests.bench.peers.rabbitmq import WebMqtt, WebStomp
from tests.bench.peers.socketio import PythonSocketIO, SocketIO, TunedPythonSocketIO
from tests.bench.peers.system import System

__all__ = [
    "Naive",
    "Nchan",
    "Ours",
    "OursOf",
    "OursWithoutHistory",
    "PythonSocketIO",
    "SocketIO",
    "System",
    "TunedPythonSocketIO",
    "WebMqtt",
    "WebStomp",
]
