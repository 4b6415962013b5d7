"""The winner of a study as an experiment file that `agser train` takes as it is."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from agser_core.experiment import Experiment, TrainStageSettings
from agser_core.tuning.space import SearchSpace, Value


def winning_experiment(
    experiment: Experiment, space: SearchSpace, point: Mapping[str, Value], direction: str, fold: int, seed: int
) -> Experiment:
    """The experiment with the winner's settings in its group `train`."""
    settings = space.settings(experiment.train.fit_settings(), point)
    train = TrainStageSettings(**{**settings.model_dump(), "seed": seed}, direction=direction, fold=fold)
    evaluate = experiment.evaluate
    if settings.method not in evaluate.methods:
        evaluate = evaluate.model_copy(update={"methods": [*evaluate.methods, settings.method]})
    return experiment.model_copy(update={"train": train, "evaluate": evaluate})


def as_yaml(experiment: Experiment, heading: str) -> str:
    """An experiment file: what differs from the defaults, and every setting of the fit."""
    content = experiment.model_dump(mode="json", exclude_defaults=True)
    content["train"] = experiment.train.model_dump(mode="json")
    comment = "".join(f"# {line}\n" for line in heading.splitlines())
    return comment + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
