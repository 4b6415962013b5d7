"""The evaluation matrix: every direction with every method, seed and fold, one independent cell each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from agser_core.corpora.splits import PARTITIONS
from agser_core.errors import ConfigError
from agser_core.ser.dataset import Normalisation, SpeechData
from agser_core.ser.prediction import predict
from agser_core.ser.settings import TrainSettings, method_parts
from agser_core.ser.trainer import FitResult, fit

ALL_EMOTIONS = "all"


@dataclass(frozen=True)
class Cell:
    """One fit and its test."""

    source: str
    target: str
    method: str
    seed: int
    fold: int = 0
    task: str = ALL_EMOTIONS  # or one emotion: a binary network, that emotion against the rest

    @property
    def direction(self) -> str:
        """Such as `ravdess->emodb`; `emodb->emodb` is an upper bound."""
        return f"{self.source}->{self.target}"

    @property
    def within(self) -> bool:
        return self.source == self.target

    @property
    def name(self) -> str:
        """Unique and fit for a folder, such as `ravdess.emodb.ag.all.fold0.seed1`: no name of a corpus has a dot."""
        return f"{self.source}.{self.target}.{self.method}.{self.task}.fold{self.fold}.seed{self.seed}"


@dataclass
class CellResult:
    """What a cell leaves."""

    cell: Cell
    predictions: (
        pd.DataFrame
    )  # test clips: clip_id, speaker, emotion, predicted, probability_<class>..., and the cell's columns
    history: pd.DataFrame  # one row an epoch, and the cell's columns
    chosen_epoch: int
    warnings: list[str]
    seconds: float
    fit: FitResult


def cells(
    corpora: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    *,
    folds: Sequence[int] = (0,),
    directions: Sequence[str] | None = None,
    tasks: Sequence[str] = (ALL_EMOTIONS,),
) -> list[Cell]:
    """All cells: every ordered pair of corpora with every method, every corpus within itself with `none`.

    directions: such as ["a->b", "a->a"], all where None. The order is fixed: direction, task, method, fold, seed.

    >>> [cell.direction for cell in cells(["a", "b"], ["none"], [0])]
    ['a->b', 'b->a', 'a->a', 'b->b']
    """
    for method in methods:
        method_parts(method)
    pairs = [(source, target) for source in corpora for target in corpora if source != target]
    pairs += [(corpus, corpus) for corpus in corpora]
    if directions is not None:
        known = {f"{source}->{target}": (source, target) for source, target in pairs}
        unknown = [direction for direction in directions if direction not in known]
        if unknown:
            raise ConfigError(f"no such direction: {', '.join(unknown)}. Known: {', '.join(known)}")
        pairs = [known[direction] for direction in directions]
    return [
        Cell(source, target, method, seed, fold, task)
        for source, target in pairs
        for task in tasks
        for method in (methods if source != target else ("none",))
        for fold in folds
        for seed in seeds
    ]


def run_cell(
    cell: Cell,
    data: Mapping[str, SpeechData],
    partitions: Mapping[str, np.ndarray],
    settings: TrainSettings,
    *,
    on_epoch: Callable[[int, dict, dict], None] | None = None,
    device: str = "cpu",
) -> CellResult:
    """Train on source train, choose the epoch on source dev, test on target test.

    data: whole corpora by name. partitions: by name, str [C] "train" | "dev" | "test" (other values: clips left out)
    of the cell's fold; a corpus that has gesture columns of that fold. settings: method and seed are the cell's.
    The target's training clips come without labels, so its test labels are the only ones ever read; clips of other
    emotions than the classes are never tested. Raises ConfigError for a speaker in two partitions.
    """
    started = time.perf_counter()
    settings = settings.model_copy(update={"method": cell.method, "seed": cell.seed})
    train, dev, target_train, test = fit_parts(data, partitions, cell.source, cell.target, settings)
    if cell.task != ALL_EMOTIONS:
        train, dev, test = (part.one_vs_rest(cell.task) for part in (train, dev, test))
    result = fit(train, dev, target_train, settings, cell.seed, on_epoch=on_epoch, device=device)
    probabilities = predict(result.weights, settings, test, device)
    columns = {
        "direction": cell.direction,
        "source": cell.source,
        "target": cell.target,
        "task": cell.task,
        "method": cell.method,
        "fold": cell.fold,
        "seed": cell.seed,
    }
    names = np.array(test.classes)
    predictions = pd.DataFrame(
        {
            "clip_id": test.clip_id,
            "speaker": test.speaker,
            "emotion": names[test.emotion],
            "predicted": names[probabilities.argmax(1)],
            **{f"probability_{name}": probabilities[:, index] for index, name in enumerate(names)},
        }
    ).assign(**columns)
    history = pd.DataFrame(result.history).assign(**columns)
    seconds = time.perf_counter() - started
    return CellResult(cell, predictions, history, result.chosen_epoch, result.warnings, seconds, result)


class FitParts(NamedTuple):
    """All that one fit and its test see, normalised."""

    source_train: SpeechData
    source_dev: SpeechData
    target_train: SpeechData  # without labels
    target_test: SpeechData  # the clips of the classes


def fit_parts(
    data: Mapping[str, SpeechData],
    partitions: Mapping[str, np.ndarray],
    source: str,
    target: str,
    settings: TrainSettings,
) -> FitParts:
    """The parts of two corpora (or twice the same) for a fit. data, partitions: as `run_cell` takes them.

    Raises ConfigError for a speaker in two partitions and for a partition without clips.
    """
    here, there = (
        split(data[name], partitions[name], settings.normalise, settings.train_on_dev) for name in (source, target)
    )
    test = _needed(there, "test")
    return FitParts(
        _needed(here, "train"),
        _needed(here, "dev"),
        _needed(there, "train").without_labels(),
        test.take(test.emotion >= 0),
    )


def split(
    data: SpeechData, partition: np.ndarray, normalise: Normalisation, train_on_dev: bool = False
) -> dict[str, SpeechData]:
    """Train, dev and test of one corpus, normalised; statistics of the corpus are those of its training clips.

    train_on_dev: the training clips are those of dev too, as `TrainSettings.train_on_dev` says. Raises ConfigError
    where a speaker is in two partitions.
    """
    partition = np.asarray(partition)
    if len(partition) != len(data):
        raise ConfigError(f"{data.corpus}: {len(partition)} partition values for {len(data)} clips")
    parts = {name: data.take(partition == name) for name in PARTITIONS}
    for first, second in (("train", "dev"), ("train", "test"), ("dev", "test")):
        shared = sorted(set(parts[first].speaker) & set(parts[second].speaker))
        if shared:
            raise ConfigError(f"{data.corpus}: speakers in both {first} and {second}: {', '.join(map(str, shared))}")
    parts["train"] = data.take(np.isin(partition, training_partitions(train_on_dev)))
    train = _needed(parts, "train")
    return {
        name: part.normalised(normalise, statistics_of=train) if len(part) else part for name, part in parts.items()
    }


def training_partitions(train_on_dev: bool) -> tuple[str, ...]:
    """The partitions that are trained on, and whose clips the statistics of a corpus are of."""
    return ("train", "dev") if train_on_dev else ("train",)


def _needed(parts: dict[str, SpeechData], name: str) -> SpeechData:
    if not len(parts[name]):
        raise ConfigError(f"{parts[name].corpus}: the partition {name} is empty; give it at least one speaker")
    return parts[name]
