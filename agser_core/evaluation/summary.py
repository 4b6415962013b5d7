"""From the predictions of all cells to the tables of the results: means over seeds, paired tests between methods."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agser_core.gestures.overlap import MINIMUM_SPEAKERS
from agser_core.ser import metrics


def summarise(
    predictions: pd.DataFrame, baseline: str = "none", *, draws: int = 2000, confidence: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """One row a direction, task and method.

    predictions: the joined `CellResult.predictions`. The folds of one seed are pooled before a metric is taken (each
    test clip counts once).

    uar_mean, uar_sd         over seeds (sd with n - 1; nan for one seed)
    uar_low, uar_high        bootstrap interval of the mean over seeds, over test speakers; over test clips where
                             speakers are fewer than MINIMUM_SPEAKERS, since resampling two people says nothing
    uar_<class>              one-vs-rest UAR from the n-class decision, mean over seeds; recall_<class> likewise
    ece                      expected calibration error, mean over seeds
    difference, _low, _high  to the baseline of the same direction, paired: same units drawn, same seeds
    p, p_holm                two-sided bootstrap p of that difference; Holm's correction over the methods of a direction
    seeds, clips, speakers   what it rests on
    resampled                speakers, or clips: then other people may differ by more than the interval says
    """
    rows = []
    for (direction, task), part in predictions.groupby(["direction", "task"], sort=False):
        classes = [name.removeprefix("probability_") for name in part if name.startswith("probability_")]
        classes = [name for name in classes if part[f"probability_{name}"].notna().all()]
        unit = "speaker" if part["speaker"].nunique() >= MINIMUM_SPEAKERS else "clip_id"
        counts = {method: unit_counts(group, classes, unit) for method, group in part.groupby("method", sort=False)}
        drawn = draw_units(next(iter(counts.values())).shape[1], draws, seed)
        tests = {}
        for method, group in part.groupby("method", sort=False):
            row = {"direction": direction, "task": task, "method": method, **_figures(group, counts[method], classes)}
            row |= {"speakers": group["speaker"].nunique(), "resampled": "speakers" if unit == "speaker" else "clips"}
            row |= _interval("uar", _bootstrap(counts[method], drawn), confidence)
            if baseline in counts and method != baseline:
                row |= paired_difference(counts[method], counts[baseline], drawn, confidence)
                tests[method] = row["p"]
            rows.append(row)
        corrected = holm(tests)
        for row in rows:
            if (row["direction"], row["task"]) == (direction, task) and row["method"] in corrected:
                row["p_holm"] = corrected[row["method"]]
    return pd.DataFrame(rows)


def unit_counts(group: pd.DataFrame, classes: list[str], unit: str = "speaker") -> np.ndarray:
    """Confusion of each seed and unit (a column: speaker or clip_id), int64 [seeds, units, n, n].

    Seeds and units are sorted, folds pooled.
    """
    seeds, seed = np.unique(group["seed"], return_inverse=True)
    units, number = np.unique(group[unit].astype(str), return_inverse=True)
    index = {name: position for position, name in enumerate(classes)}
    truth, predicted = (group[column].map(index).to_numpy(np.int64) for column in ("emotion", "predicted"))
    n = len(classes)
    flat = ((seed * len(units) + number) * n + truth) * n + predicted
    return np.bincount(flat, minlength=len(seeds) * len(units) * n * n).reshape(len(seeds), len(units), n, n)


def draw_units(n_units: int, draws: int, seed: int) -> np.ndarray:
    """How often each unit is drawn, int64 [draws, units]: n units with replacement."""
    return np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), size=draws)


def paired_difference(
    counts: np.ndarray, baseline: np.ndarray, drawn: np.ndarray, confidence: float
) -> dict[str, float]:
    """Mean UAR of a method less that of the baseline, with interval and two-sided p, over the same drawn units.

    counts, baseline [seeds, units, n, n] of the same test speakers or clips. p = 2 min(P(d <= 0), P(d >= 0)), with one
    draw added so that p is never 0.
    """
    if counts.shape[1] != baseline.shape[1]:
        raise ValueError(
            "method and baseline were tested on different clips: run all cells of a direction on the same folds"
        )
    differences = _bootstrap(counts, drawn) - _bootstrap(baseline, drawn)
    differences = differences[~np.isnan(differences)]
    tail = min((differences <= 0).sum(), (differences >= 0).sum())
    p = min(1.0, 2 * (tail + 1) / (len(differences) + 1))
    mean = float(np.mean(metrics.uar(counts.sum(1))) - np.mean(metrics.uar(baseline.sum(1))))
    return {"difference": mean, **_interval("difference", differences, confidence), "p": p}


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 1979) of m p-values.

    The k-th smallest becomes the greatest of (m - i + 1) p_i over i <= k, at most 1.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    corrected, greatest = {}, 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p))
        corrected[name] = greatest
    return corrected


def confusion_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Confusion counts summed over seeds and folds, long form: direction, task, method, emotion, predicted, clips."""
    keys = ["direction", "task", "method", "emotion", "predicted"]
    return predictions.groupby(keys, sort=False, observed=True).size().rename("clips").reset_index()


def _figures(group: pd.DataFrame, counts: np.ndarray, classes: list[str]) -> dict[str, float]:
    by_seed = counts.sum(1)
    uars = metrics.uar(by_seed)
    probabilities = [f"probability_{name}" for name in classes]
    index = {name: number for number, name in enumerate(classes)}
    calibration = [
        metrics.expected_calibration_error(part[probabilities].to_numpy(), part["emotion"].map(index).to_numpy())
        for _, part in group.groupby("seed")
    ]
    return {
        "uar_mean": float(np.mean(uars)),
        "uar_sd": float(np.std(uars, ddof=1)) if len(uars) > 1 else float("nan"),
        **{
            f"uar_{name}": value
            for name, value in zip(classes, metrics.uar(metrics.one_vs_rest(by_seed)).mean(0), strict=True)
        },
        **{f"recall_{name}": value for name, value in zip(classes, metrics.recalls(by_seed).mean(0), strict=True)},
        "ece": float(np.mean(calibration)),
        "seeds": counts.shape[0],
        "clips": int(by_seed[0].sum()),
    }


def _bootstrap(counts: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Mean over seeds of the UAR of drawn units, float64 [draws]."""
    resampled = np.einsum("ds,kscp->dkcp", drawn, counts)
    return metrics.uar(resampled).mean(1)


def _interval(name: str, values: np.ndarray, confidence: float) -> dict[str, float]:
    low, high = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {f"{name}_low": float(low), f"{name}_high": float(high)}
