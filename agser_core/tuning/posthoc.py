"""After the winner stands: what the target's labels say of the trials, and how well each criterion had ranked them.

This is the only module of the search that reads target labels, and nothing that it finds flows back into a search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from agser_core.evaluation.matrix import ALL_EMOTIONS
from agser_core.evaluation.summary import summarise
from agser_core.ser import metrics
from agser_core.ser.dataset import SpeechData

_FIT = ["trial", "direction", "fold", "seed"]
FEWEST_TRIALS = 5
"""Under so many finished trials a rank correlation says nothing."""


def labelled_predictions(predictions: Mapping[int, pd.DataFrame], data: Mapping[str, SpeechData]) -> pd.DataFrame:
    """Predictions of the trials beside the truth, as `summarise` reads them: the trial's number is the method.

    predictions: what each finished trial left (`Trial.finish`), by number. Clips without one of the classes go.
    """
    frames = []
    for number, frame in predictions.items():
        for direction, own in frame.groupby("direction", sort=False):
            corpus = data[direction.partition("->")[2]]
            names = np.array(corpus.classes)
            known = corpus.emotion >= 0
            truth = pd.DataFrame(
                {
                    "clip_id": corpus.clip_id[known],
                    "speaker": corpus.speaker[known],
                    "emotion": names[corpus.emotion[known]],
                }
            )
            columns = [f"probability_{name}" for name in names]
            predicted = names[own[columns].to_numpy().argmax(1)]
            frames.append(own.assign(predicted=predicted, trial=number).merge(truth, on="clip_id", validate="m:1"))
    return pd.concat(frames, ignore_index=True).assign(task=ALL_EMOTIONS, method=lambda frame: frame["trial"])


def target_uars(predictions: pd.DataFrame) -> pd.DataFrame:
    """UAR on the target's test clips, mean over folds and seeds: one row a trial and direction."""
    rows = []
    for key, part in predictions.groupby(_FIT, sort=False):
        classes = [name.removeprefix("probability_") for name in part if name.startswith("probability_")]
        index = {name: number for number, name in enumerate(classes)}
        counts = metrics.confusion(part["emotion"].map(index), part["predicted"].map(index), len(classes))
        rows.append({**dict(zip(_FIT, key, strict=True)), "target_uar": metrics.uar(counts)})
    return pd.DataFrame(rows).groupby(["trial", "direction"], sort=False)["target_uar"].mean().reset_index()


def criterion_ranking(
    criteria: Mapping[int, Mapping[str, Mapping[str, float]]], uars: pd.DataFrame, draws: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """How well each criterion ranks the trials against their target UAR: one row a criterion and direction.

    criteria: trial -> direction -> criterion -> value. Rows of direction "mean" hold the mean over directions.

    correlation, _low, _high  Spearman's, with the 95 % bootstrap interval over trials
    chosen                    target UAR of the trial that the criterion would choose
    regret                    what it lies under the best trial's
    trials                    how many were ranked
    """
    generator, rows = np.random.default_rng(seed), []
    uars = uars[uars["trial"].isin(criteria)]
    for direction, part in uars.groupby("direction", sort=False):
        truth = part["target_uar"].to_numpy()
        values = pd.DataFrame([criteria[trial][direction] for trial in part["trial"]])
        drawn = generator.integers(len(part), size=(draws, len(part)))
        for name in values:
            scores = values[name].to_numpy(dtype=float)
            if not np.isfinite(scores).all():
                continue
            resampled = [rank_correlation(scores[one], truth[one]) for one in drawn]
            low, high = np.nanquantile(resampled, [0.025, 0.975])
            chosen = truth[scores.argmax()]
            rows.append(
                {
                    "criterion": name,
                    "direction": direction,
                    "correlation": rank_correlation(scores, truth),
                    "correlation_low": low,
                    "correlation_high": high,
                    "chosen": chosen,
                    "regret": truth.max() - chosen,
                    "trials": len(part),
                }
            )
    table = pd.DataFrame(rows)
    means = table.groupby("criterion", sort=False)[["correlation", "chosen", "regret", "trials"]].mean().reset_index()
    joined = pd.concat([table, means.assign(direction="mean")], ignore_index=True)
    order = means.sort_values("correlation", ascending=False)["criterion"].tolist()
    return joined.sort_values(
        ["criterion", "direction"],
        key=lambda column: (
            column.map({name: place for place, name in enumerate(order)}) if column.name == "criterion" else column
        ),
        kind="stable",
    ).reset_index(drop=True)


def rank_correlation(scores: np.ndarray, truth: np.ndarray) -> float:
    """Spearman's rank correlation, in [-1, 1]; 0 where either is constant: such a criterion ranks nothing."""
    if np.ptp(scores) == 0 or np.ptp(truth) == 0:
        return 0.0
    return float(spearmanr(scores, truth).statistic)


def best_with_intervals(
    predictions: pd.DataFrame, trials: Sequence[int], default: int = 0, draws: int = 1000
) -> pd.DataFrame:
    """UAR of some trials on the target's test clips with intervals, and their paired difference to the default's.

    -> the columns of `evaluation.summary.summarise`, `trial` in place of method; one row a direction and trial.
    """
    wanted = predictions[predictions["trial"].isin({*trials, default})].assign(
        method=lambda frame: frame["trial"].map(str)
    )
    table = summarise(wanted, baseline=str(default), draws=draws)
    return table.assign(trial=table["method"].astype(int)).drop(columns="method")
