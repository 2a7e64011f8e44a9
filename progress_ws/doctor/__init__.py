"""What is wrong here: checks of the broker and of nodes, for `progress-ws doctor`."""
