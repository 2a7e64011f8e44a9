"""The parts of a cluster as child processes of this one: RabbitMQ, nodes and nginx, without Docker.

`make cluster` and the system tests start the same classes. Everything listens on the loopback
interface only and keeps its files in the folder that it is given.
"""

from deploy.local.installation import Installation
from deploy.local.management import Management
from deploy.local.nginx import Nginx
from deploy.local.node import Node
from deploy.local.process import Process, accepts, free_port, wait_for
from deploy.local.rabbitmq import RabbitMQ
from deploy.local.rabbitmq_cluster import RabbitMQCluster

__all__ = [
    "Installation",
    "Management",
    "Nginx",
    "Node",
    "Process",
    "RabbitMQ",
    "RabbitMQCluster",
    "accepts",
    "free_port",
    "wait_for",
]
