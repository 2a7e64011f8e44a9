"""Runs a node, or several on one port."""

from progress_ws.node.app import create_app as create_node
from progress_ws.node.loop import run
from progress_ws.node.process import CreateApp, OnListening, run_node
from progress_ws.node.settings import Settings
from progress_ws.node.workers import supervise


def serve(
    settings: Settings,
    create_app: CreateApp = create_node,
    *,
    on_listening: OnListening | None = None,
) -> int:
    """Run one node, or with `workers` several processes, until a signal; return the exit status.

    `create_app` is a module's function: it is imported anew by each worker.

    Raises:
        SettingsError: the address cannot be listened on.
    """
    if settings.workers > 1:
        return supervise(settings, create_app, on_listening)
    return run(run_node(settings, create_app, on_listening=on_listening))
