"""The harness on a cluster without a fault: browsers come and go, and nothing is missing."""

import pytest

from tests.faults.conftest import Endure, Site
from tests.faults.trial import Load, Trial

pytestmark = [pytest.mark.broker, pytest.mark.nginx]

LOAD = Load(browsers=20, sids=5, pause_s=0.05, leaves_s=1.0)


async def nothing(_: Trial) -> None:
    """What a browser does by itself is enough."""


async def test_browsers_come_and_go(amqp_url: str, site: Site, endure: Endure) -> None:
    _, nginx = site([amqp_url] * 2)
    trial = await endure(nothing, doors=[nginx.url], amqp_urls=[amqp_url], load=LOAD)
    back = [visit for diary in trial.ledger.diaries for visit in diary.visits if visit.after]
    assert back
    # Nobody waits longer than the history keeps, so nothing is in doubt.
    assert all(visit.recovered for visit in back)
