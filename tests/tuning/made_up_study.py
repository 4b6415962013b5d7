"""A study of made-up trials for the page: some finished, stopped, failed; conditional settings, two directions."""

import numpy as np
import optuna
import pandas as pd
import planted_study

from agser_core.tuning import posthoc
from agser_core.tuning.criteria import CRITERIA
from agser_core.tuning.importance import importance
from agser_core.tuning.page import StudyFigures
from agser_core.tuning.record import TrialRecord, curve_table, fit_table, trial_table

DIRECTIONS = ("a->b", "b->a")
CLASSES = ("neutral", "anger", "happiness", "sadness")


def records(count: int = 30) -> list[TrialRecord]:
    generator, space = np.random.default_rng(0), planted_study.space()
    study, found = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)), []
    for number in range(count):
        point = space.draw(study.ask())
        level = 0.5 + 0.1 * np.log10(point["learning_rate"] / 1e-3) + 0.1 * (point["anchor.form"] == "prototype")
        state = "failed" if number == 7 else "stopped" if number % 3 == 2 else "finished"
        epochs = {"failed": 0, "stopped": 3, "finished": 9}[state]
        curve = [
            {
                "epoch": epoch,
                "score": float(level * (1 - 0.6**epoch)),
                "dev_uar": 0.5,
                "by_direction": {name: float(level * (1 - 0.6**epoch)) for name in DIRECTIONS},
                "seconds": 1.5 * epoch,
            }
            for epoch in range(1, epochs + 1)
        ]
        fits, criteria = [], {}
        if state == "finished":
            values = {name: float(level + 0.02 * generator.normal()) for name in CRITERIA}
            criteria = {name: {**values, "seed_agreement": float("nan")} for name in DIRECTIONS}
            fits = [
                {"direction": name, "fold": 0, "seed": seed, "epoch": 8, "epochs": 9, "warnings": [], **values}
                for name in DIRECTIONS
                for seed in (0, 1)
            ]
        tries = ["error: ValueError: <bad & worse>"] * 2 if state == "failed" else []
        found.append(TrialRecord(number, point, state, curve, fits, criteria, 1.5 * epochs, tries))
    return found


def predictions(trials: list[TrialRecord]) -> pd.DataFrame:
    generator, frames = np.random.default_rng(1), []
    for record in trials:
        for direction in DIRECTIONS:
            for seed in (0, 1):
                truth = np.arange(60) % 4
                right = generator.random(60) < record.score
                guess = np.where(right, truth, generator.integers(4, size=60))
                frame = pd.DataFrame(
                    {
                        "trial": record.number,
                        "clip_id": [f"{direction}-{clip}" for clip in range(60)],
                        "speaker": [f"s{clip // 10}" for clip in range(60)],
                        "emotion": np.array(CLASSES)[truth],
                        "predicted": np.array(CLASSES)[guess],
                        **{f"probability_{name}": (guess == index) * 1.0 for index, name in enumerate(CLASSES)},
                    }
                )
                frames.append(frame.assign(direction=direction, fold=0, seed=seed, task="all"))
    return pd.concat(frames, ignore_index=True)


def study(count: int = 30) -> StudyFigures:
    trials, space = records(count), planted_study.space()
    finished = [record for record in trials if record.state == "finished"]
    told = predictions(finished)
    uars = posthoc.target_uars(told)
    found, explained = importance(trials, space.parameters)
    leading = [record.number for record in sorted(finished, key=lambda record: -record.score)[:10]]
    table = trial_table(trials, [parameter.name for parameter in space.parameters])
    return StudyFigures(
        name="made <up>",
        objective="infomax",
        search="tpe",
        scheduler="asha",
        parameters=space.describe(),
        trials=table.merge(uars.groupby("trial")["target_uar"].mean().reset_index(), on="trial", how="left"),
        curves=curve_table(trials),
        fits=fit_table(trials),
        importance=found,
        explained=explained,
        best=posthoc.best_with_intervals(told, leading, draws=50),
        ranking=posthoc.criterion_ranking({record.number: record.criteria for record in finished}, uars, draws=50),
        finals=pd.DataFrame({"direction": DIRECTIONS * 2, "seed": [0, 0, 1, 1], "test_uar": [0.5, 0.6, 0.55, 0.62]}),
    )
