"""A publisher is killed: what it was told is confirmed arrives, and its successor is heard."""

import os
import sys
from pathlib import Path

import pytest

from deploy.local import Process
from tests.faults import worker
from tests.faults.conftest import Endure, Site
from tests.faults.trial import Trial
from tests.support.parts import running
from tests.support.waiting import eventually

pytestmark = [pytest.mark.broker, pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(300)]

PROJECT = Path(__file__).resolve().parents[2]
CONFIRMED = 200
LIVES = 3


async def test_a_publisher_is_killed(
    amqp_url: str, site: Site, endure: Endure, tmp_path: Path
) -> None:
    _, nginx = site([amqp_url] * 2)

    async def fault(trial: Trial) -> None:
        argv = [sys.executable, "-m", "tests.faults.worker", amqp_url, *trial.sids]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
        process = Process(argv, log=tmp_path / "worker.log", env=env)
        for life in range(1, LIVES + 1):
            with running(process):
                await eventually(lambda life=life: confirmed(process) >= life * CONFIRMED, 60)
                process.kill()
        worker.enter(process.output, trial.ledger)

    await endure(fault, doors=[nginx.url], amqp_urls=[amqp_url])


def confirmed(process: Process) -> int:
    assert process.alive, process.output
    return sum(sent.id is not None for sent in worker.read(process.output))
