"""A million sids in history, a message each: what they take, and what the setting allows."""

import json
from dataclasses import asdict

from deploy.local import wait_for
from tests.bench.bench import Bench
from tests.bench.peers import OursOf
from tests.bench.publishers.orders import Order
from tests.bench.results import Goal, Result, Row
from tests.bench.usage import resident_bytes
from tests.support.metrics import metric

SIDS = 1_000_000
MIB = 2**20
SETTINGS = (2**30, 64 * MIB)
"""One that holds them all, and the default, that holds the newest of them."""
RATE = 50_000
ARRIVE_S = 120
FREE_MIB = 40
"""What a working node takes beside its history: buffers of what is just arriving."""


def run(bench: Bench) -> Result:
    sids = bench.scale(SIDS, SIDS // 10)
    path = bench.stage.folder / "million"
    path.write_text("".join(f"{n:022d}\n" for n in range(sids)))
    rows, goals = [], []
    for setting in SETTINGS:
        with bench.stage.scope():
            system = OursOf(bench.stage, 1, history_bytes=setting, history_seconds=3600)
            system.start()
            (node,) = system.parts
            before = resident_bytes(system.nodes)
            publisher = system.posting_to(path)
            order = Order(sids, each_once=True, rate=RATE)
            publisher.ask(json.dumps(asdict(order)), 600)
            wait_for(
                lambda node=node: metric(node, "messages_discarded_total") >= sids,  # type: ignore[misc]
                timeout_s=ARRIVE_S,
                what="the arrival of all",
            )
            grown = (resident_bytes(system.nodes) - before) / MIB
            figures = {
                "sids": metric(node, "history_sessions"),
                "counted MiB": metric(node, "history_bytes") / MIB,
                "grown MiB": grown,
            }
        what = f"history of {setting // MIB} MiB"
        rows.append(Row(what, "ours", figures))
        goals.append(Goal(f"{what}: memory grown", grown, setting / MIB + FREE_MIB, unit="MiB"))
        if setting == max(SETTINGS):
            goals.append(Goal(f"{what}: sids kept", figures["sids"], sids, True))
    return Result("memory", f"{sids:,} sids with a message each", rows, goals)
