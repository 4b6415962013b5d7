"""Which criterion ranks anchoring settings? Random trials on planted corpora, told after the fact by target labels.

    python -m benchmarks.criteria --worlds 4 --trials 20 --output criteria.csv

One process, one thread. A world is another pair of corpora (condition info of `evaluation.planted`) and another
initialisation; optimiser and network are fixed, method, form, weight, margin and temperatures are drawn. A stopped
run goes on where it was. Prints, for raw and corpus-normalised inputs, Spearman's correlation of each criterion with
the target UAR: mean over worlds, standard error, each world, and what the criterion's choice loses to the best trial.
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from agser_core.evaluation.loading import FoldData
from agser_core.evaluation.planted import Sizes, planted_pair
from agser_core.fingerprint import code_version
from agser_core.ser.settings import NetworkSettings, TrainSettings
from agser_core.tuning import posthoc
from agser_core.tuning.search import PointSearch
from agser_core.tuning.space import SearchSpace, parse_space
from agser_core.tuning.trial import TrialPlan, Worker, hide_labels
from agser_core.tuning.yaml_lines import Document

SIZES = Sizes((400, 9), (200, 4), (500, 12), (600, 6))
NETWORK = NetworkSettings(width=64, feed_forward=128, classifier=64, transformer_layers=1)
KEYED = "[ag, pa, random_clusters]"
SPACE = f"""
method: {{choice: [none, ag, pa, random_clusters, coral, mean_matching]}}
anchor.form: {{choice: [triplet, prototype, attention], when: {{method: {KEYED}}}}}
anchor.gamma: {{low: 0.1, high: 5, log: true, when: {{method: [ag, pa, random_clusters, mean_matching]}}}}
anchor.detach_source: {{choice: [false, true], when: {{method: {KEYED}}}}}
anchor.margin: {{low: 0.1, high: 2, when: {{anchor.form: [triplet, attention]}}}}
anchor.tau: {{low: 0.05, high: 0.5, log: true, when: {{anchor.form: prototype}}}}
anchor.attention_tau: {{low: 0.03, high: 0.5, log: true, when: {{anchor.form: attention}}}}
anchor.coral_weight: {{low: 10, high: 300, log: true, when: {{method: coral}}}}
"""
DIRECTIONS = [("source", "target")]


def base_of(normalise: str) -> TrainSettings:
    return TrainSettings(normalise=normalise, network=NETWORK, epochs=10, batch_size=64)


def space_of(base: TrainSettings) -> SearchSpace:
    document = Document(SPACE, "criteria")
    return parse_space([(document, (), document.content)], base)


def folds_of(world: int) -> dict[int, FoldData]:
    pair = planted_pair("info", world, SIZES)
    data, partitions = {"source": pair.source, "target": pair.target}, {"source": pair.source_partition}
    return {0: FoldData(data, {**partitions, "target": pair.target_partition})}


def run(worker: Worker, folds: dict[int, FoldData], settings: TrainSettings) -> dict:
    """One trial: every criterion and, after the fact, the target UAR."""
    trial = worker.start(settings)
    while not trial.finished:
        trial.next_epoch()
    left, predictions = trial.finish()
    told = posthoc.target_uars(posthoc.labelled_predictions({0: predictions}, folds[0].data))
    return {**left["criteria"]["source->target"], "target_uar": told["target_uar"][0]}


def report(table: pd.DataFrame) -> None:
    names = [name for name in table if name not in ("normalise", "world", "trial", "target_uar")]
    for normalise, part in table.groupby("normalise", sort=False):
        rows = []
        for name in names:
            found = [
                (posthoc.rank_correlation(one[name].to_numpy(), one["target_uar"].to_numpy()), one)
                for _, one in part.groupby("world")
                if one[name].notna().all()
            ]
            if not found:
                continue
            values = np.array([value for value, _ in found])
            lost = [one["target_uar"].max() - one["target_uar"].loc[one[name].idxmax()] for _, one in found]
            error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
            rows.append((name, values.mean(), error, 100 * np.mean(lost), values.round(2).tolist()))
        trials = part.groupby("world").size()
        print(f"\ninputs normalised: {normalise}; {len(trials)} worlds, {trials.min()} to {trials.max()} trials each")
        for name, mean, error, lost, each in sorted(rows, key=lambda row: -row[1]):
            print(f"  {name:24s} {mean:+.2f} (se {error:.2f})  regret {lost:4.1f} points  {each}")


def main() -> None:
    """Run what is missing, print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=4)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1, help="fits of a trial")
    parser.add_argument("--output", type=Path, default=Path("criteria.csv"), help="one line a trial")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # the guards' warnings are expected of the control rows
    code = code_version("tuning/trial", "evaluation/planted")  # lines of other code are left alone
    done = pd.read_csv(arguments.output) if arguments.output.exists() else pd.DataFrame()
    known = set() if done.empty else set(zip(done.code, done.normalise, done.world, done.trial, strict=True))
    started = time.perf_counter()
    for world in range(arguments.worlds):
        for normalise in ("none", "corpus"):
            base, folds = base_of(normalise), folds_of(world)
            space, search = space_of(base), PointSearch(space_of(base), "random", seed=world)
            plan = TrialPlan.of(DIRECTIONS, [0], range(arguments.seeds), "dev_uar")
            worker = Worker(hide_labels(folds, DIRECTIONS), plan)
            for trial in range(arguments.trials):
                point = search.ask(trial)
                if (code, normalise, world, trial) in known:
                    continue
                found = run(worker, folds, space.settings(base, point))
                line = pd.DataFrame([{"code": code, "normalise": normalise, "world": world, "trial": trial, **found}])
                line.to_csv(arguments.output, mode="a", header=not arguments.output.exists(), index=False)
            print(f"world {world}, {normalise}: done after {time.perf_counter() - started:.0f} s", flush=True)
    table = pd.read_csv(arguments.output)
    report(table[table["code"] == code].drop(columns="code"))


if __name__ == "__main__":
    main()
