"""Reading a node's `/metrics`."""

import urllib.request
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from deploy.local import Node


def metric(node: Node, name: str, /, **labels: str) -> float:
    """See `sum_of`."""
    with urllib.request.urlopen(f"{node.url}/metrics", timeout=5) as answer:
        return sum_of(answer.read().decode(), name, labels)


def sum_of(text: str, name: str, labels: Mapping[str, str]) -> float:
    """The sum of all samples of this name (without `progress_ws_`) that have these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"progress_ws_{name}" and labels.items() <= sample.labels.items()
    )
