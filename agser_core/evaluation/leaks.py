"""Checks that nothing but the final test number depends on the target's labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from agser_core.evaluation.matrix import Cell, run_cell
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import TrainSettings


@dataclass(frozen=True)
class LeakCheck:
    """Two fits of one cell, the second with the target's labels dealt anew."""

    weights_equal: bool
    epoch_equal: bool
    predictions_equal: bool

    @property
    def passed(self) -> bool:
        return self.weights_equal and self.epoch_equal and self.predictions_equal


def shuffled_labels(data: SpeechData, seed: int) -> SpeechData:
    """The same clips with their emotions dealt to other clips, unlabelled ones included."""
    return replace(data, emotion=np.random.default_rng(seed).permutation(data.emotion))


def check_target_labels(
    cell: Cell, data: Mapping[str, SpeechData], partitions: Mapping[str, np.ndarray], settings: TrainSettings
) -> LeakCheck:
    """Fit a cell between two corpora twice, the second time with shuffled target labels; nothing learned may differ."""
    if cell.within:
        raise ValueError(
            f"{cell.name}: within one corpus the labels are those trained on; check a cell between two corpora"
        )
    first = run_cell(cell, data, partitions, settings)
    dealt = {**data, cell.target: shuffled_labels(data[cell.target], seed=cell.seed)}
    second = run_cell(cell, dealt, partitions, settings)
    both = first.predictions.merge(second.predictions, on="clip_id", suffixes=("", "_dealt"))
    probabilities = [name for name in first.predictions if name.startswith("probability_")]
    return LeakCheck(
        weights_equal=all(
            torch.equal(weights, second.fit.weights[name]) for name, weights in first.fit.weights.items()
        ),
        epoch_equal=first.chosen_epoch == second.chosen_epoch,
        predictions_equal=all((both[name] == both[f"{name}_dealt"]).all() for name in probabilities),
    )
