"""Suggestions: they depend on seed, number and history alone, and TPE learns."""

import pytest

from agser_core.ser.settings import TrainSettings
from agser_core.tuning.search import PointSearch
from agser_core.tuning.space import parse_space
from agser_core.tuning.yaml_lines import Document

TEXT = """
method: {choice: [none, ag]}
anchor.gamma: {low: 0.1, high: 10, log: true, when: {method: ag}}
network.dropout: {low: 0.0, high: 0.5}
epochs: {low: 4, high: 20, step: 4}
"""


@pytest.fixture
def space():
    document = Document(TEXT, "space.yaml")
    return parse_space([(document, (), document.content)], TrainSettings())


def score(point):
    return -abs(point["network.dropout"] - 0.2) + (0.1 if point["method"] == "ag" else 0)


def walk(search, numbers):
    points = []
    for number in numbers:
        point = search.ask(number)
        points.append(point)
        search.tell(number, point, "finished", [0.0, score(point)])
    return points


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_a_search_that_goes_on_suggests_what_it_would_have(space, kind):
    whole = walk(PointSearch(space, kind, startup_trials=4, seed=3), range(12))
    first = PointSearch(space, kind, startup_trials=4, seed=3)
    early = walk(first, range(7))
    again = PointSearch(space, kind, startup_trials=4, seed=3)
    for number, point in enumerate(early):
        again.tell(number, point, "finished", [0.0, score(point)])
    assert early + walk(again, range(7, 12)) == whole
    assert walk(PointSearch(space, kind, startup_trials=4, seed=4), range(12)) != whole


def test_tpe_learns_from_finished_stopped_and_failed(space):
    search, distances = PointSearch(space, "tpe", startup_trials=10, seed=0), []
    for number in range(50):
        point = search.ask(number)
        distances.append(abs(point["network.dropout"] - 0.2))
        if point["network.dropout"] > 0.4:
            search.tell(number, point, "failed")
        elif point["network.dropout"] < 0.05:
            search.tell(number, point, "stopped", [score(point)])
        else:
            search.tell(number, point, "finished", [score(point)])
    assert sum(distances[-20:]) / 20 < 0.6 * sum(distances[:10]) / 10


def test_points_outside_the_space_and_without_a_score_are_passed_over(space):
    search = PointSearch(space, "tpe", seed=0)
    search.tell(0, {"method": "none", "network.dropout": 0.9, "epochs": 4}, "finished", [1.0])
    search.tell(1, {"method": "none", "network.dropout": 0.1, "epochs": 4}, "finished", [float("nan")])
    search.tell(2, search.ask(2), "finished", [float("nan")])
    assert space.contains(search.ask(3))
