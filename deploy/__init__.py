"""What runs a cluster: image, nginx and RabbitMQ settings, and the same as plain processes."""
