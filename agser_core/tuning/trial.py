"""One trial: the fits of one point of the space, all directions, folds and seeds side by side, epoch by epoch.

What a trial sees of the target is its clips, never a label: `hide_labels` takes away every label that no fit of the
study may see before the data leaves the driver.

Source dev is kept from training in every trial, whatever `train_on_dev` says: most criteria look at it. The final fits
of the winner follow the setting again.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from agser_core.evaluation.loading import FoldData
from agser_core.evaluation.matrix import split
from agser_core.ser.dataset import UNLABELLED, SpeechData
from agser_core.ser.frames import top_layers_of
from agser_core.ser.prediction import load_network, run
from agser_core.ser.settings import TrainSettings
from agser_core.ser.trainer import Training
from agser_core.tuning.criteria import CRITERIA, Evidence
from agser_core.tuning.study import SEED_AGREEMENT

_FROM_SOURCE = ("dev_uar", "dev_loss")  # the trainer has these of every epoch


@dataclass(frozen=True)
class FitKey:
    """Which fit of a trial."""

    source: str
    target: str
    fold: int
    seed: int

    @property
    def direction(self) -> str:
        return f"{self.source}->{self.target}"


@dataclass(frozen=True)
class TrialPlan:
    """What every trial of a study has in common."""

    fits: tuple[FitKey, ...]
    objective: str
    target_clips: int

    @classmethod
    def of(
        cls,
        directions: Sequence[tuple[str, str]],
        folds: Sequence[int],
        seeds: Sequence[int],
        objective: str,
        target_clips: int = 2000,
    ) -> TrialPlan:
        keys = (FitKey(*pair, fold, seed) for pair in directions for fold in folds for seed in seeds)
        return cls(tuple(keys), objective, target_clips)


def hide_labels(folds: Mapping[int, FoldData], directions: Sequence[tuple[str, str]]) -> dict[int, FoldData]:
    """The data with those labels alone that a fit may see: of source train and source dev.

    Labels of test partitions go, and all labels of a corpus that is never a source.
    """
    sources = {source for source, _ in directions}

    def hidden(fold: FoldData) -> FoldData:
        data = {}
        for name, corpus in fold.data.items():
            seen = np.isin(fold.partitions[name], ("train", "dev")) & (name in sources)
            data[name] = replace(corpus, emotion=np.where(seen, corpus.emotion, UNLABELLED).astype(np.int8))
        return FoldData(data, fold.partitions)

    return {number: hidden(fold) for number, fold in folds.items()}


@dataclass(frozen=True)
class _Parts:
    train: SpeechData
    dev: SpeechData
    target: SpeechData  # training clips, no labels
    shown: SpeechData  # those of them that criteria look at
    test: SpeechData  # no labels


class Worker:
    """Runs trials one after another on one copy of the data, and keeps what they share: partitions, normalised."""

    def __init__(self, folds: Mapping[int, FoldData], plan: TrialPlan, device: str = "cpu"):
        self.folds, self.plan, self.device = folds, plan, device
        self._parts: dict[tuple, _Parts] = {}

    def start(self, settings: TrainSettings) -> Trial:
        return Trial(self, settings)

    def parts(self, key: FitKey, normalise: str) -> _Parts:
        place = (key.source, key.target, key.fold, normalise)
        if place not in self._parts:
            fold = self.folds[key.fold]
            source, target = (
                split(fold.data[name], fold.partitions[name], normalise) for name in (key.source, key.target)
            )
            dev, unlabelled = source["dev"], target["train"].without_labels()
            chosen = np.random.default_rng(0).permutation(len(unlabelled))[: self.plan.target_clips]
            self._parts[place] = _Parts(
                source["train"],
                dev.take(dev.emotion >= 0),
                unlabelled,
                unlabelled.take(np.sort(chosen)),
                target["test"].without_labels(),
            )
        return self._parts[place]


class _Fit:
    """One fit of a trial and what its kept epoch is worth."""

    def __init__(self, key: FitKey, worker: Worker, settings: TrainSettings):
        self.key, self.parts = key, worker.parts(key, settings.normalise)
        self.settings, self.device = settings, worker.device
        parts = self.parts
        self.training = Training(parts.train, parts.dev, parts.target, settings, key.seed, device=worker.device)
        self.history: list[dict] = []
        self.kept: dict[str, float] = {}  # criteria of the kept epoch, as far as they were asked for
        self.shown: np.ndarray | None = None  # probabilities of the shown target clips at the kept epoch

    def next_epoch(self, objective: str) -> None:
        figures = self.training.next_epoch()
        self.history.append(figures)
        if self.training.chosen_epoch == figures["epoch"]:
            self.kept = {"dev_uar": figures["dev_uar"], "dev_loss": -figures["dev_loss"]}
            if objective in _FROM_SOURCE:
                return
            if objective == SEED_AGREEMENT:
                self.shown = run(self.training.network, self.parts.shown).probabilities
            else:
                self.kept[objective] = CRITERIA[objective](_evidence(self.training.network, self.parts))

    def finish(self) -> np.ndarray:
        """All criteria of the kept weights; probabilities of the target's test clips, float32 [C, classes]."""
        result = self.training.result()
        top = top_layers_of(self.settings, self.parts.test)
        network = load_network(result.weights, self.settings, self.device, top)
        evidence = _evidence(network, self.parts)
        self.kept = {name: criterion(evidence) for name, criterion in CRITERIA.items()}
        self.shown, self.warnings = evidence.probabilities, result.warnings
        return run(network, self.parts.test).probabilities


class Trial:
    """A started trial: call `next_epoch` until `finished`, then `finish`."""

    def __init__(self, worker: Worker, settings: TrainSettings):
        self.plan, self.epoch, self.started = worker.plan, 0, time.perf_counter()
        self.fits = [_Fit(key, worker, settings) for key in worker.plan.fits]

    @property
    def finished(self) -> bool:
        return all(fit.training.finished for fit in self.fits)

    def next_epoch(self) -> dict:
        """One epoch of every fit that goes on. -> epoch (from 1), score, and the score of each direction.

        A fit's score is that of the epoch it would keep now: so the last report is the score of the finished trial.
        """
        for fit in self.fits:
            if not fit.training.finished:
                fit.next_epoch(self.plan.objective)
        self.epoch += 1
        by_direction = self._scores(self.plan.objective)
        dev = self._scores("dev_uar")
        return {
            "epoch": self.epoch,
            "score": float(np.mean(list(by_direction.values()))),
            "dev_uar": float(np.mean(list(dev.values()))),
            "by_direction": by_direction,
            "seconds": time.perf_counter() - self.started,
        }

    def finish(self) -> tuple[dict, pd.DataFrame]:
        """What a finished trial leaves: figures of its fits, and predictions of the target's test clips.

        -> ({"fits": [{direction, fold, seed, epoch, epochs, warnings, and every criterion}], "criteria": {direction:
        {criterion: mean over folds and seeds}}}, frame of direction, fold, seed, clip_id, probability_CLASS).
        """
        fits, predictions = [], []
        for fit in self.fits:
            probabilities, test = fit.finish(), fit.parts.test
            frame = pd.DataFrame({"clip_id": test.clip_id})
            for index, name in enumerate(test.classes):
                frame[f"probability_{name}"] = probabilities[:, index]
            predictions.append(frame.assign(direction=fit.key.direction, fold=fit.key.fold, seed=fit.key.seed))
            fits.append(
                {
                    "direction": fit.key.direction,
                    "fold": fit.key.fold,
                    "seed": fit.key.seed,
                    "epoch": fit.training.chosen_epoch,
                    "epochs": len(fit.history),
                    "warnings": fit.warnings,
                    **fit.kept,
                }
            )
        names = [*CRITERIA, SEED_AGREEMENT]
        scores = {name: self._scores(name) for name in names}
        criteria = {direction: {name: scores[name][direction] for name in names} for direction in scores["dev_uar"]}
        seconds = time.perf_counter() - self.started
        return {"fits": fits, "criteria": criteria, "seconds": seconds}, pd.concat(predictions, ignore_index=True)

    def _scores(self, criterion: str) -> dict[str, float]:
        """Mean over folds and seeds, by direction."""
        scores = {}
        for direction in dict.fromkeys(fit.key.direction for fit in self.fits):
            own = [fit for fit in self.fits if fit.key.direction == direction]
            if criterion == SEED_AGREEMENT:
                scores[direction] = _seed_agreement(own)
            else:
                scores[direction] = float(np.mean([fit.kept[criterion] for fit in own]))
        return scores


def _evidence(network, parts: _Parts) -> Evidence:
    dev, target = run(network, parts.dev), run(network, parts.shown)
    return Evidence(
        dev.probabilities, parts.dev.emotion.astype(np.int64), dev.clips, target.probabilities, target.clips
    )


def _seed_agreement(fits: list[_Fit]) -> float:
    """Share of target clips to which two seeds give the same class, mean over pairs of one fold; nan for one seed."""
    shares = [
        (first.shown.argmax(1) == second.shown.argmax(1)).mean()
        for first, second in itertools.combinations(fits, 2)
        if first.key.fold == second.key.fold
    ]
    return float(np.mean(shares)) if shares else float("nan")
