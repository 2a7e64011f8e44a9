"""What is concluded from the measurements of 1, 2, 4 and 8 nodes."""

import pytest

from tests.bench.law import Law, fit, simulate

LAW = Law(heard=20, unheard=2, message=30, copy=10)
NODES = (1, 2, 4, 8)


def test_the_law_is_found_again_in_what_it_predicts() -> None:
    found = fit(
        {n: LAW.all_nodes(n) for n in NODES},
        {n: LAW.broker(n) for n in NODES},
    )
    assert found.heard == pytest.approx(20)
    assert found.unheard == pytest.approx(2)
    assert found.message == pytest.approx(30)
    assert found.copy == pytest.approx(10)


def test_costs_that_fall_with_the_nodes_are_taken_for_noise() -> None:
    found = fit({1: 10, 2: 9, 4: 8}, {1: 3, 2: 2, 4: 1})
    assert found.unheard == 0
    assert found.copy == 0
    assert found.heard == pytest.approx(9)


def test_the_fullest_is_the_limit() -> None:
    assert LAW.limit(1) == "broker"
    assert LAW.carried(1) == pytest.approx(0.7e6 / 40)
    light = Law(heard=20, unheard=2, message=1, copy=0.1)
    assert light.limit(1) == "nodes"
    assert light.carried(1) == pytest.approx(0.7e6 / 20)


def test_more_nodes_pay_until_the_broker_is_full_of_copies() -> None:
    assert LAW.last_that_pays() == 1
    light = Law(heard=100, unheard=1, message=1, copy=1)
    pays = light.last_that_pays()
    assert light.carried(pays) > light.carried(pays - 1)
    assert light.carried(pays) >= light.carried(pays + 1)


def test_more_cores_for_the_broker_let_more_nodes_pay() -> None:
    light = Law(heard=100, unheard=1, message=1, copy=1)
    assert light.last_that_pays(broker_cores=4) > light.last_that_pays()


def a_simulation(nodes: int = 1, cores: float = 8, broker_cores: int = 1) -> float:
    return simulate(
        LAW,
        nodes,
        messages=20_000,
        cores=cores,
        publisher_us=5,
        client_us=5,
        broker_cores=broker_cores,
    )


def test_with_cores_enough_the_slowest_sets_the_pace() -> None:
    assert a_simulation() == pytest.approx(1e6 / LAW.broker(1), rel=0.05)


def test_on_one_core_all_costs_add_up() -> None:
    assert a_simulation(cores=1) == pytest.approx(1e6 / (5 + 40 + 20 + 5), rel=0.05)


def test_nodes_that_share_one_core_add_nothing() -> None:
    assert a_simulation(nodes=4, cores=1) < a_simulation(nodes=1, cores=1)


def test_a_broker_with_more_cores_is_faster() -> None:
    assert a_simulation(nodes=2, broker_cores=4) > a_simulation(nodes=2)
