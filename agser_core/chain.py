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
    """Tables clips, segments, phone_vectors, errors of one corpus."""
    settings = experiment.extract.model_dump(exclude=_RUNNING)
    settings["speech"].pop("device")
    reader = f"corpora/{MODULES.get(experiment.corpora[corpus].adapter, 'manifest')}"
    identity = {
        "settings": settings,
        "corpus": {"name": corpus, **experiment.corpora[corpus].model_dump()},
        "code": code_version(
            "corpora/clip", "corpora/listing", reader, "media", "mouth", "phones", "speech", "extraction", "tables"
        ),
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
        "code": code_version("softdtw", "gestures", "ragged", "corpora/splits"),
    }
    return StageOutput.of(experiment.output, "cluster", identity)


def analyse_output(experiment: Experiment) -> StageOutput:
    """The tables of the paper's analyses."""
    identity = {
        "settings": experiment.analyse.model_dump(),
        "inputs": {**_extracted(experiment), "gestures": cluster_output(experiment).content()},
        "code": code_version("gestures"),
    }
    return StageOutput.of(experiment.output, "analyse", identity)


def _training_identity(experiment: Experiment) -> dict:
    """What a fit depends on. Corpora without video have no gestures: then the clusters are no input."""
    outputs = [extract_output(experiment, corpus) for corpus in experiment.corpora]
    filmed = any(output.manifest()["tables"]["tracks"]["rows"] for output in outputs)
    return {
        "split": experiment.split.model_dump(),
        "inputs": {
            **_extracted(experiment),
            "gestures": cluster_output(experiment).content() if filmed else None,
        },
        "code": code_version("ser", "evaluation", "corpora/splits"),
    }


def train_output(experiment: Experiment) -> StageOutput:
    """One fit: weights.safetensors, history table, settings."""
    identity = {"settings": experiment.train.model_dump(), **_training_identity(experiment)}
    return StageOutput.of(experiment.output, "train", identity)


def evaluate_output(experiment: Experiment) -> StageOutput:
    """The evaluation matrix: cells, predictions, histories, summary."""
    settings = {"train": experiment.train.model_dump(), "evaluate": experiment.evaluate.model_dump()}
    return StageOutput.of(experiment.output, "evaluate", {"settings": settings, **_training_identity(experiment)})
