"""Metrics of classification: pure functions of class indices and probabilities. C clips, n classes."""

from __future__ import annotations

import numpy as np


def confusion(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts of (true class, predicted class), int64 [n, n].

    >>> confusion([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    truth, predicted = np.asarray(truth, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if truth.shape != predicted.shape or truth.ndim != 1:
        raise ValueError(f"truth {truth.shape} and predicted {predicted.shape} must be two equally long lists")
    if len(truth) and (min(truth.min(), predicted.min()) < 0 or max(truth.max(), predicted.max()) >= n_classes):
        raise ValueError(f"classes must be 0 .. {n_classes - 1}; clips without a label are to be left out")
    return np.bincount(truth * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def recalls(counts: np.ndarray) -> np.ndarray:
    """Recall of each class from confusion counts [..., n, n] -> [..., n] in [0, 1]; nan for classes without clips."""
    counts = np.asarray(counts, dtype=np.float64)
    totals = counts.sum(-1)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return np.divide(hits, totals, out=np.full_like(totals, np.nan), where=totals > 0)


def uar(counts: np.ndarray) -> np.ndarray | float:
    """Unweighted average recall from confusion counts [..., n, n]: mean of the recalls of the classes that occur, in
    [0, 1].

    Chance is 1 / n. nan where nothing is counted.

    >>> float(uar([[1, 1], [0, 1]]))
    0.75
    """
    found = recalls(counts)
    occurring = (~np.isnan(found)).sum(-1)
    mean = np.divide(np.nansum(found, -1), occurring, out=np.full(occurring.shape, np.nan), where=occurring > 0)
    return mean if mean.ndim else float(mean)


def one_vs_rest(counts: np.ndarray) -> np.ndarray:
    """Confusion of each class against the rest, by merging the n-class confusion: int [..., n, n] -> [..., n, 2, 2].

    Row and column 0 are the rest, 1 the class. `uar` of it is (recall + specificity) / 2: the one-vs-rest UAR of the
    n-class decision. (The papers don't say whether theirs are this or four binary models; for binary models train on
    `SpeechData.one_vs_rest`.)

    >>> uar(one_vs_rest(np.array([[8, 1, 1], [0, 5, 5], [0, 0, 10]]))).round(3).tolist()
    [0.9, 0.725, 0.85]
    """
    counts = np.asarray(counts)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    misses, alarms = counts.sum(-1) - hits, counts.sum(-2) - hits
    others = counts.sum((-1, -2))[..., None] - hits - misses - alarms
    return np.stack([np.stack([others, alarms], -1), np.stack([misses, hits], -1)], -2)


def expected_calibration_error(probabilities: np.ndarray, truth: np.ndarray, n_bins: int = 15) -> float:
    """Expected calibration error (Naeini, Cooper, Hauskrecht, AAAI 2015), in [0, 1].

    sum_b n_b / C |accuracy_b - confidence_b| over equal-width bins b of the greatest probability. probabilities [C,
    n], truth int [C].

    >>> expected_calibration_error([[0.75, 0.25], [0.75, 0.25]], [0, 1])
    0.25
    """
    probabilities, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(truth)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == truth
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights=right.astype(float) - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(truth))
