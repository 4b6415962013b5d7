"""Which output each stage of an experiment has, and what that output depends on.

A stage's identity is the settings that matter to it, the code it runs and the content of the outputs it reads, so the
same experiment file always leads to the same folders, and a change leads to new ones.
"""

from agser_core.corpora import MODULES
from agser_core.experiment import Experiment
from agser_core.fingerprint import code_version
from agser_core.outputs import StageOutput

_RUNNING = {"clips_per_unit", "failure_budget", "clip_seconds_limit", "recycle_after"}
"""Settings of extraction that say how it runs, not what comes out."""


def extract_output(experiment: Experiment, corpus: str) -> StageOutput:
    """The tables of one corpus: `extraction.TABLES`."""
    settings = experiment.extract.model_dump(exclude=_RUNNING)
    settings["speech"].pop("device")
    settings["mouth"].pop("openface_program")
    settings["phones"].pop("mfa_program")
    reader = f"corpora/{MODULES.get(experiment.corpora[corpus].adapter, 'manifest')}"
    identity = {
        "settings": settings,
        "corpus": {"name": corpus, **experiment.corpora[corpus].model_dump()},
        "code": code_version(reader, "extraction"),
    }
    return StageOutput.of(experiment.output, f"extract/{corpus}", identity)


def _extracted(experiment: Experiment) -> dict[str, str]:
    return {corpus: extract_output(experiment, corpus).content() for corpus in experiment.corpora}


def cluster_output(experiment: Experiment) -> StageOutput:
    """Tables gestures, elbow, and the files model-FOLD.json."""
    identity = {
        "settings": experiment.cluster.model_dump(),
        "split": experiment.split.model_dump(),
        "inputs": _extracted(experiment),
        "code": code_version("gestures/fitting", "gestures/segments"),
    }
    return StageOutput.of(experiment.output, "cluster", identity)


def analyse_output(experiment: Experiment) -> StageOutput:
    """The tables of the paper's analyses."""
    identity = {
        "settings": experiment.analyse.model_dump(),
        "inputs": {**_extracted(experiment), "gestures": cluster_output(experiment).content()},
        "code": code_version("gestures/analysis", "gestures/recut"),
    }
    return StageOutput.of(experiment.output, "analyse", identity)


def has_mouths(extracted: StageOutput) -> bool:
    """Whether any segment of an extracted corpus has a mouth movement."""
    return bool((extracted.table("segments", ["n_frames"])["n_frames"].to_numpy() > 0).any())


def _training_identity(experiment: Experiment) -> dict:
    """What every fit depends on but for its settings. Without mouths there are no gestures: then they are no input."""
    filmed = any(has_mouths(extract_output(experiment, corpus)) for corpus in experiment.corpora)
    return {
        "split": experiment.split.model_dump(exclude={"folds"}),
        "inputs": {**_extracted(experiment), "gestures": cluster_output(experiment).content() if filmed else None},
        "code": code_version("evaluation/loading", "evaluation/matrix"),
    }


def train_output(experiment: Experiment) -> StageOutput:
    """One fit: weights.safetensors, history table, settings."""
    identity = {"settings": experiment.train.model_dump(), **_training_identity(experiment)}
    return StageOutput.of(experiment.output, "train", identity)


def cells_output(experiment: Experiment) -> StageOutput:
    """The cells of the evaluation matrix, each committed by itself: further seeds or methods add to what is there."""
    settings = experiment.train.fit_settings().model_dump(exclude={"method", "seed"})
    return StageOutput.of(experiment.output, "cells", {"settings": settings, **_training_identity(experiment)})


def evaluate_output(experiment: Experiment) -> StageOutput:
    """The evaluation matrix: predictions, histories, summary of the wanted cells."""
    identity = {
        "settings": experiment.evaluate.model_dump(),
        "folds": experiment.split.folds,
        "cells": cells_output(experiment).folder.name,
        "code": code_version("evaluation/summary", "ser/styles"),
    }
    return StageOutput.of(experiment.output, "evaluate", identity)


def tune_output(experiment: Experiment, study: dict) -> StageOutput:
    """The trials of a study and what they show. study: all of it that a trial's outcome depends on."""
    identity = {
        "study": study,
        "settings": experiment.train.fit_settings().model_dump(exclude={"seed"}),
        **_training_identity(experiment),
        "code": code_version("evaluation/loading", "tuning/trial"),
    }
    return StageOutput.of(experiment.output, "tune", identity)
