"""A planted optimum is found by TPE in fewer trials than at random: on a made objective, and on planted corpora."""

import numpy as np
import planted_study
import pytest

from agser_core.ser.settings import TrainSettings
from agser_core.tuning.search import PointSearch
from agser_core.tuning.space import parse_space
from agser_core.tuning.trial import TrialPlan, Worker, hide_labels
from agser_core.tuning.yaml_lines import Document

TEXT = """
method: {choice: [none, ag, pa]}
learning_rate: {low: 1.0e-5, high: 1.0e-1, log: true}
network.dropout: {low: 0.0, high: 0.8}
anchor.form: {choice: [triplet, prototype], when: {method: [ag, pa]}}
anchor.tau: {low: 0.01, high: 1, log: true, when: {anchor.form: prototype}}
"""


def made_objective(point: dict) -> float:
    """1 at ag, prototype, learning rate 3e-3, tau 0.1, dropout 0.3; everything else is worse. Stands by hand."""
    score = {"none": 0.5, "pa": 0.6, "ag": 0.7}[point["method"]]
    score += 0.3 if point.get("anchor.form") == "prototype" else 0
    score -= 0.15 * abs(np.log10(point["learning_rate"] / 3e-3))
    score -= abs(point["network.dropout"] - 0.3) / 2
    return score - 0.1 * abs(np.log10(point.get("anchor.tau", 0.1) / 0.1))


def trials_to_reach(space, kind: str, seed: int, objective, goal: float, most: int) -> int:
    """Trials until a score reaches the goal; most + 1 where none did."""
    search = PointSearch(space, kind, startup_trials=10, seed=seed)
    for number in range(most):
        point = search.ask(number)
        score = objective(point)
        if score >= goal:
            return number + 1
        search.tell(number, point, "finished", [score])
    return most + 1


def test_a_made_objective():
    document = Document(TEXT, "space.yaml")
    space = parse_space([(document, (), document.content)], TrainSettings())
    needed = {
        kind: [trials_to_reach(space, kind, seed, made_objective, 0.88, 80) for seed in range(10)]
        for kind in ("tpe", "random")
    }
    print(needed)
    assert np.median(needed["tpe"]) <= 0.7 * np.median(needed["random"])


@pytest.mark.slow
def test_planted_corpora():
    """Source dev on one planted pair over learning rate, dropout, width: the goal is what few points reach."""
    document = Document(
        """
        learning_rate: {low: 1.0e-5, high: 1.0e-1, log: true}
        network.dropout: {low: 0.0, high: 0.8}
        weight_decay: {low: 1.0e-4, high: 1.0, log: true}
        clip_gradient: {low: 0.01, high: 10, log: true}
        """,
        "space.yaml",
    )
    base = planted_study.BASE.model_copy(update={"method": "none"})
    space = parse_space([(document, (), document.content)], base)
    plan = TrialPlan.of(planted_study.DIRECTIONS, [0], [0], "dev_loss")
    worker = Worker(hide_labels(planted_study.folds(), planted_study.DIRECTIONS), plan)
    seen: list[float] = []

    def objective(point: dict) -> float:
        trial = worker.start(space.settings(base, point))
        while not trial.finished:
            report = trial.next_epoch()
        seen.append(report["score"])
        return report["score"]

    sample = PointSearch(space, "random", seed=99)
    for number in range(60):
        objective(sample.ask(number))
    goal = float(np.quantile(seen, 0.95))
    needed = {
        kind: [trials_to_reach(space, kind, seed, objective, goal, 50) for seed in range(10)]
        for kind in ("tpe", "random")
    }
    print(goal, needed)
    assert np.median(needed["tpe"]) < np.median(needed["random"])
