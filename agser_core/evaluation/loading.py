"""The extracted corpora and their gestures as what a fit needs: arrays and partitions of one fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute

from agser_core.chain import cluster_output
from agser_core.errors import AgserError, ConfigError
from agser_core.experiment import Experiment
from agser_core.extracted import extracted_corpora
from agser_core.ser.dataset import SpeechData
from agser_core.ser.from_tables import from_tables, with_frames
from agser_core.ser.settings import GESTURE_METHODS, method_parts


@dataclass(frozen=True)
class FoldData:
    """All corpora in one fold. partitions: str [C] "train" | "dev" | "test" a corpus, in the order of its clips."""

    data: dict[str, SpeechData]
    partitions: dict[str, np.ndarray]


def why_not_trained(experiment: Experiment, methods: Sequence[str]) -> str | None:
    """Why nothing can be trained on these corpora, or None where it can: a corpus without any of the four emotions.

    Raises ConfigError for methods that need gestures where a corpus has no tracked mouth.
    """
    corpora = extracted_corpora(experiment)
    for corpus in corpora.values():
        if not corpus.has_emotions:
            return f"no clip of the corpus {corpus.name!r} has one of the four emotions, so there is nothing to train"
    needing = sorted({part for method in methods for part, _ in method_parts(method)} & GESTURE_METHODS)
    without = [corpus.name for corpus in corpora.values() if not corpus.has_mouths]
    if needing and without:
        raise ConfigError(
            f"the methods {', '.join(needing)} need mouth gestures, and no mouth was tracked in {', '.join(without)}. "
            "Choose others in train.method and evaluate.methods (none and pa need audio only), or give clips with video"
        )
    return None


def load_fold(experiment: Experiment, fold: int, frames: bool | None = None) -> FoldData:
    """Read what training needs of one fold. frames: of the encoder, too; as train.fine_tune says where None.

    Raises AgserError where a corpus is not extracted, or none of its clips has one of the emotions. Corpora without
    a tracked mouth have no gestures; the methods that need them say so.
    """
    corpora, gestures = extracted_corpora(experiment), None
    if any(corpus.has_mouths for corpus in corpora.values()):
        gestures = cluster_output(experiment).table("gestures")
        gestures = gestures.filter(pyarrow.compute.equal(gestures["fold"], fold))
    data, partitions = {}, {}
    for name, corpus in corpora.items():
        if not corpus.has_emotions:
            raise AgserError(
                f"no clip of the corpus {name!r} has one of the four emotions: it can't train or test a classifier"
            )
        own = None if gestures is None else gestures.filter(pyarrow.compute.equal(gestures["corpus"], name))
        speech = from_tables(
            corpus.clips, corpus.segments, corpus.phone_vectors(), own, tuple(corpus.manifest["vector_shape"])
        )
        if experiment.train.fine_tune if frames is None else frames:
            encoder = experiment.extract.speech
            speech = with_frames(speech, corpus.frames(), encoder.encoder, encoder.layers, encoder.frame_layer)
        data[name] = speech
        partitions[name] = corpus.partition(experiment.split, fold).loc[speech.clip_id].to_numpy(str)
    return FoldData(data, partitions)
