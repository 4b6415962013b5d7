"""Does anchoring do on planted corpora what it must? Methods x normalisations x seeds, paired intervals, bars.

    python -m benchmarks.known_answer --seeds 10 --output known_answer.csv

One process, one thread; 34 fits a seed of 4 to 8 seconds each. A stopped run goes on where it was: finished fits are
read from the output. Exit code 1 where a bar is missed. Every seed is another pair of corpora and another
initialisation, so the intervals are over worlds (Student's t).
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from agser_core.evaluation.matrix import Cell, run_cell
from agser_core.evaluation.planted import planted_pair
from agser_core.ser import metrics
from agser_core.ser.settings import AnchorSettings, NetworkSettings, TrainSettings

NETWORK = NetworkSettings(width=64, feed_forward=128, classifier=64, transformer_layers=1)  # enough for 64 dimensions
PLANTED_CLASSES = 4


@dataclass(frozen=True)
class Row:
    """One method in one form on one condition."""

    condition: str
    normalise: str
    method: str
    form: str = "triplet"
    margin: float = 1.0
    weights: str = "membership"
    detach_source: bool = False

    @property
    def name(self) -> str:
        """Unique within condition and normalisation."""
        if self.method in ("none", "mean_matching", "coral", "dann"):
            return self.method
        shape = f"m {self.margin:g}" if self.form != "prototype" else ""
        parts = [self.method, self.form, shape, self.weights, "detached" if self.detach_source else ""]
        return " ".join(part for part in parts if part and part != "membership")


def _rows() -> list[Row]:
    rows = []
    for normalise in ("corpus", "none"):
        rows += [Row("info", normalise, method) for method in ("none", "mean_matching", "coral")]
        rows += [
            Row("info", normalise, method, form)
            for method in ("ag", "pa", "random_clusters")
            for form in ("triplet", "prototype")
        ]
        rows += [
            Row("info", normalise, "ag", margin=0.2),
            Row("info", normalise, "ag", weights="uniform"),
            Row("info", normalise, "ag", "prototype", detach_source=True),
            Row("info", normalise, "ag", "attention"),
        ]
    for condition in ("void", "phone"):
        rows += [Row(condition, "corpus", method) for method in ("none", "ag", "pa")]
        rows += [Row(condition, "corpus", "ag", "prototype")]
    return rows


ROWS = _rows()

# (condition, normalisation, row, less row, least mean difference, greatest): in points of UAR
BARS = [
    ("info", "corpus", "ag triplet m 1", "none", 8, np.inf),
    ("info", "corpus", "ag triplet m 1", "pa triplet m 1", 8, np.inf),
    ("info", "corpus", "ag triplet m 1", "random_clusters triplet m 1", 8, np.inf),
    ("info", "corpus", "ag prototype", "none", 8, np.inf),
    ("info", "corpus", "ag prototype", "pa prototype", 8, np.inf),
    ("info", "corpus", "ag prototype", "random_clusters prototype", 8, np.inf),
    ("info", "corpus", "random_clusters triplet m 1", "none", -2, 2),
    ("void", "corpus", "ag triplet m 1", "none", -1, 1),
]


def needed_for_bars(row: Row) -> bool:
    """Whether a bar looks at this row."""
    return any((row.condition, row.normalise) == bar[:2] and row.name in bar[2:4] for bar in BARS)


def run(row: Row, seed: int, keep: str) -> dict:
    """One fit and its figures."""
    pair = planted_pair(row.condition, seed)
    anchor = AnchorSettings(form=row.form, margin=row.margin, weights=row.weights, detach_source=row.detach_source)
    settings = TrainSettings(normalise=row.normalise, network=NETWORK, anchor=anchor, batch_size=64, keep=keep)
    data = {"source": pair.source, "target": pair.target}
    partitions = {"source": pair.source_partition, "target": pair.target_partition}
    result = run_cell(Cell("source", "target", row.method, seed), data, partitions, settings)
    classes = {name: index for index, name in enumerate(pair.source.classes)}
    truth, predicted = (result.predictions[column].map(classes) for column in ("emotion", "predicted"))
    last = result.history.iloc[-1]
    return {
        "condition": row.condition,
        "normalise": row.normalise,
        "name": row.name,
        "seed": seed,
        "uar": 100 * metrics.uar(metrics.confusion(truth, predicted, PLANTED_CLASSES)),
        "dev_uar": 100 * result.history["dev_uar"][result.chosen_epoch],
        "epoch": result.chosen_epoch,
        "active_share_first": result.history.get("active_share", pd.Series([np.nan])).iloc[0],
        "active_share_last": last.get("active_share", np.nan),
        "effective_rank_target": last.get("effective_rank_target", np.nan),
        "gap": last.get("gap", np.nan),
        "seconds": result.seconds,
    }


def paired(
    table: pd.DataFrame, condition: str, normalise: str, name: str, other: str
) -> tuple[float, float, float, int]:
    """Mean difference of two rows over the seeds both have, with the 95 % interval of Student's t and the seeds won."""
    part = table[(table["condition"] == condition) & (table["normalise"] == normalise)]
    wide = part.pivot(index="seed", columns="name", values="uar")
    difference = (wide[name] - wide[other]).dropna()
    half = stats.t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / np.sqrt(len(difference))
    return difference.mean(), difference.mean() - half, difference.mean() + half, int((difference > 0).sum())


def report(table: pd.DataFrame) -> bool:
    """Print all rows beside `none`, then the bars; True where all hold."""
    for (condition, normalise), part in table.groupby(["condition", "normalise"], sort=False):
        print(f"\n{condition}, inputs normalised: {normalise}, {part['seed'].nunique()} seeds")
        for name, own in part.groupby("name", sort=False):
            mean, low, high, won = paired(table, condition, normalise, name, "none")
            print(
                f"  {name:34s} UAR {own['uar'].mean():5.1f}"
                f"  to none {mean:+5.1f} [{low:+5.1f}, {high:+5.1f}] won {won:2d}"
                f"  active {own['active_share_first'].mean():.2f}->{own['active_share_last'].mean():.2f}"
                f"  rank {own['effective_rank_target'].mean():4.1f}  {own['seconds'].mean():4.1f} s"
            )
    print("\nbars (points of UAR)")
    held = []
    for condition, normalise, name, other, least, greatest in BARS:
        mean, low, high, won = paired(table, condition, normalise, name, other)
        held.append(least <= mean <= greatest)
        print(
            f"  {'holds ' if held[-1] else 'MISSED'} {condition} {normalise}: {name} - {other}: {mean:+.1f} "
            f"[{low:+.1f}, {high:+.1f}], won {won}; wanted {least} to {greatest}"
        )
    return all(held)


def main() -> None:
    """Run what is missing, print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="pairs of corpora")
    parser.add_argument("--keep", choices=["dev_uar", "dev_loss", "last"], default="dev_uar", help="which epoch counts")
    parser.add_argument("--output", type=Path, default=Path("known_answer.csv"), help="one line a fit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # the guards' warnings are expected of the control rows
    done = pd.read_csv(arguments.output) if arguments.output.exists() else pd.DataFrame()
    known = set() if done.empty else set(zip(done.condition, done.normalise, done.name, done.seed, strict=True))
    started = time.perf_counter()
    jobs = [(row, seed) for seed in range(arguments.seeds) for row in ROWS]
    jobs.sort(key=lambda job: not needed_for_bars(job[0]))  # stable: the bars are decided first, seed by seed
    for number, (row, seed) in enumerate(jobs):
        if (row.condition, row.normalise, row.name, seed) in known:
            continue
        line = pd.DataFrame([run(row, seed, arguments.keep)])
        line.to_csv(arguments.output, mode="a", header=not arguments.output.exists(), index=False)
        print(f"{number + 1} of {len(jobs)} fits after {time.perf_counter() - started:.0f} s", flush=True)
    sys.exit(0 if report(pd.read_csv(arguments.output)) else 1)


if __name__ == "__main__":
    main()
