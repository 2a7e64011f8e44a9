"""What may be done to a job: by whoever knows its sid, and once."""

from pathlib import Path

import pytest

from progress_ws import new_sid
from progress_ws.demo.folder import Folder
from progress_ws.demo.job import Job
from progress_ws.demo.offers import Deed, Offers


@pytest.fixture
def offers(tmp_path: Path) -> Offers:
    return Offers(Folder(tmp_path))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(id=Folder.new_id(), sid=new_sid(), title="t", node="n", folder=str(tmp_path))


def test_an_offer_is_taken_once_on_any_node(offers: Offers, job: Job, tmp_path: Path) -> None:
    elsewhere = Offers(Folder(tmp_path))
    assert not elsewhere.take(Deed.KILL, job.id, sid=job.sid)
    offers.make(Deed.KILL, job)
    assert not offers.is_taken(Deed.KILL, job)
    assert elsewhere.take(Deed.KILL, job.id, sid=job.sid)
    assert offers.is_taken(Deed.KILL, job)
    assert not elsewhere.take(Deed.KILL, job.id, sid=job.sid)


def test_an_offer_is_for_its_sid_and_its_deed(offers: Offers, job: Job) -> None:
    offers.make(Deed.KILL, job)
    assert not offers.take(Deed.KILL, job.id, sid=new_sid())
    assert not offers.take(Deed.RETRY, job.id, sid=job.sid)
    assert not offers.is_taken(Deed.KILL, job)


def test_what_was_taken_before_is_not_taken_again(offers: Offers, job: Job, tmp_path: Path) -> None:
    offers.make(Deed.RETRY, job)
    assert offers.take(Deed.RETRY, job.id, sid=job.sid)
    offers.make(Deed.RETRY, job)
    assert not offers.is_taken(Deed.RETRY, job)
    offers.withdraw(Deed.RETRY, job)
    assert not offers.take(Deed.RETRY, job.id, sid=job.sid)
    assert list(tmp_path.iterdir()) == []


def test_another_attempt_is_a_greater_run_of_the_same_key(job: Job) -> None:
    again = job.again()
    assert (again.key, again.attempt) == (job.key, 2)
    assert again.run[:13] >= job.run[:13]
    assert Job.from_json(again.to_json()) == again
