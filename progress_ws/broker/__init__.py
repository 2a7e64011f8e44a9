"""The cluster hop: everything published goes to every node. RabbitMQ is known here only."""
