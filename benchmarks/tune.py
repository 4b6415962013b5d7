"""The search of settings beside its peers on one objective: packing, overhead of a trial, what early stopping saves.

    python -m benchmarks.tune tune_configs/sample.yaml --trials 64 --cpus 2

Points are drawn at random from the study's space, the same in every row, so that all rows train the same networks:

    agser     Ray Tune as `agser tune` uses it, every trial to its end
    asha      the same trials, stopped early
    joblib    Optuna asks, joblib's processes train, one trial at a time each
    nested    a Ray Train run inside each Tune trial, as most tutorials do (fewer trials)

The corpora must be extracted and clustered. Each row starts from nothing: cold workers are in its wall time. The last
line is JSON. Exit code 1 where a bar is missed: packing at least 0.8, overhead at most 1 s, ASHA's winner no worse
than 0.01 under that of the full training.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import optuna

import pipelines  # noqa: F401  (sets what Ray reads when it is imported)
from agser_core.evaluation.loading import FoldData, load_fold
from agser_core.storage import Location
from agser_core.tuning.record import TrialStore, best
from agser_core.tuning.study import Study, load_study
from agser_core.tuning.trial import TrialPlan, Worker, hide_labels

ROWS = ("agser", "asha", "joblib", "nested")
PACKING, OVERHEAD, WORSE = 0.8, 1.0, 0.01


def main() -> None:
    """Run the rows, print them, end with JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", nargs="?", default="tune_configs/sample.yaml")
    parser.add_argument("overrides", nargs="*", help="of the study and its experiment, such as train.epochs=9")
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--nested", type=int, default=4, help="trials of the row `nested`")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    overrides = (*arguments.overrides, f"trials={arguments.trials}", "search=random")
    study, stopped = (load_study(arguments.study, (*overrides, f"scheduler={name}")) for name in ("none", "asha"))
    folds = hide_labels({fold: load_fold(study.experiment, fold) for fold in study.settings.folds}, study.directions)
    run = {
        "agser": lambda: ours(study, folds, arguments.cpus),
        "asha": lambda: ours(stopped, folds, arguments.cpus),
        "joblib": lambda: with_joblib(study, folds, arguments.cpus),
        "nested": lambda: nested(study, folds, arguments.cpus, arguments.nested),
    }
    rows = {name: show(name, run[name]()) for name in arguments.rows}
    bars: dict[str, bool] = {}
    found = {"rows": rows, "bars": bars}
    if full := rows.get("agser"):
        bars |= {"packing": full["packing"] >= PACKING, "overhead": full["overhead_seconds"] <= OVERHEAD}
    if full and "asha" in rows:
        saving = 1 - rows["asha"]["training_seconds"] / full["training_seconds"]
        lost = full["best"] - rows["asha"]["best"]
        found |= {"asha_saving": saving, "asha_lost": lost}
        bars["asha_winner"] = lost <= WORSE
        print(f"ASHA trains {saving:.0%} less; its winner's score is {lost:+.4f} under that of full training")
    print(json.dumps(found))
    sys.exit(0 if all(bars.values()) else 1)


def show(name: str, row: dict) -> dict:
    print(
        f"{name:6} {row['trials']:3d} trials  wall {row['wall_seconds']:7.1f} s  "
        f"training {row['training_seconds']:7.1f} s (CPU {row['training_cpu_seconds']:7.1f} s)  "
        f"packing {row['packing']:.2f}  "
        f"overhead a trial {row['overhead_seconds']:6.2f} s  best {row['best']:.4f}  "
        f"(start {row['start_seconds']:.1f} s, tail {row['tail_seconds']:.1f} s)",
        flush=True,
    )
    return row


def figures(started: float, spans: list[tuple], scores: list[float], cpus: int) -> dict:
    """What a row took, from its start to now. spans: (process, start, end, CPU seconds) of each trial.

    Where the CPU seconds of the training are less than its seconds, trials waited: for each other, for other processes.
    start, pauses, tail: CPU seconds without a trial before a process' first one, between two, and after its last; where
    there are as many processes as CPUs, they and the training are all there is. overhead: mean pause.
    """
    ended = time.time()
    wall, training = ended - started, sum(end - start for _, start, end, _ in spans)
    by_process = defaultdict(list)
    for process, start, end, _ in sorted(spans, key=lambda span: span[1]):
        by_process[process].append((start, end))
    pauses = [after[0] - before[1] for own in by_process.values() for before, after in zip(own, own[1:], strict=False)]
    # Where every trial has a process of its own, its overhead is all that is not training.
    overhead = sum(pauses) / len(pauses) if pauses else (wall * cpus - training) / len(spans)
    return {
        "trials": len(spans),
        "wall_seconds": wall,
        "training_seconds": training,
        "training_cpu_seconds": sum(cpu for *_, cpu in spans),
        "packing": training / (wall * cpus),
        "overhead_seconds": overhead,
        "start_seconds": sum(own[0][0] - started for own in by_process.values()),
        "pauses_seconds": sum(pauses),
        "tail_seconds": sum(ended - own[-1][1] for own in by_process.values()),
        "processes": len(by_process),
        "best": max(scores),
    }


def ours(study: Study, folds: dict[int, FoldData], cpus: int) -> dict:
    """`agser tune` without its files: what `pipelines.tune` runs."""
    import ray

    from pipelines.tune_trials import TrialJob, run_trial, run_trials

    with tempfile.TemporaryDirectory() as folder:
        plan, base = plan_of(study), study.experiment.train.fit_settings()
        job = TrialJob(plan, base, study.space, Location.parse(folder).uri, study.settings.limits)
        spans = Path(folder) / "spans"

        def timed(config: dict, folds, job) -> None:
            started, used = time.time(), time.process_time()
            try:
                run_trial(config, folds, job)
            finally:  # also where the scheduler ends the trial
                with open(spans, "a") as file:
                    file.write(json.dumps([os.getpid(), started, time.time(), time.process_time() - used]) + "\n")

        from ray import tune

        ray.init(address="local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        try:
            started = time.time()
            trainable = tune.with_parameters(timed, folds=folds, job=job)
            records = run_trials(
                trainable, study.settings, study.space, base, TrialStore(Location.parse(folder)), "bench"
            )
            found = [tuple(json.loads(line)) for line in spans.read_text().splitlines()]
            return figures(started, found, [best(records).score], cpus)
        finally:
            ray.shutdown()


_worker: list[Worker] = []  # of a joblib process


def one_trial(folds: dict[int, FoldData], plan: TrialPlan, study: Study, point: dict) -> tuple[tuple, float]:
    """A whole trial in this process: (span, score)."""
    import torch

    torch.set_num_threads(1)
    if not _worker:
        _worker.append(Worker(folds, plan))
    started, used = time.time(), time.process_time()
    trial = _worker[0].start(study.space.settings(study.experiment.train.fit_settings(), point))
    while not trial.finished:
        report = trial.next_epoch()
    trial.finish()
    return (os.getpid(), started, time.time(), time.process_time() - used), report["score"]


def with_joblib(study: Study, folds: dict[int, FoldData], cpus: int) -> dict:
    """Optuna's ask and tell, joblib's loky processes."""
    from joblib import Parallel, delayed

    plan, points = plan_of(study), points_of(study, study.settings.trials)
    started = time.time()
    done = Parallel(n_jobs=cpus)(delayed(one_trial)(folds, plan, study, point) for point in points)
    return figures(started, [span for span, _ in done], [score for _, score in done], cpus)


def nested(study: Study, folds: dict[int, FoldData], cpus: int, trials: int) -> dict:
    """A TorchTrainer of one worker inside each trial of Tune."""
    import ray
    from ray import train, tune
    from ray.train import ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    plan, points = plan_of(study), points_of(study, trials)
    # Where the dashboard is off, Train's clean-up of a stopped trial hangs: so it is on here.
    ray.init(address="local", num_cpus=cpus, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        data = ray.put(folds)

        def loop(config: dict) -> None:
            span, score = one_trial(ray.get(data), plan, study, config["point"])
            train.report({"score": score, "span": list(span)})

        def driver(config: dict) -> None:
            TorchTrainer(
                loop,
                train_loop_config=config,
                scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": 0.7}),
                run_config=train.RunConfig(
                    name=tune.get_context().get_trial_id(), storage_path=folder, callbacks=[TuneReportCallback()]
                ),
            ).fit()

        try:
            started = time.time()
            results = tune.Tuner(
                tune.with_resources(driver, {"CPU": 0.3}),
                param_space={"point": tune.grid_search(points)},
                tune_config=tune.TuneConfig(metric="score", mode="max", max_concurrent_trials=cpus),
                run_config=tune.RunConfig(name="nested", storage_path=folder, verbose=0),
            ).fit()
            found = [result.metrics for result in results]
            return figures(started, [one["span"] for one in found], [one["score"] for one in found], cpus)
        finally:
            ray.shutdown()


def plan_of(study: Study) -> TrialPlan:
    settings = study.settings
    return TrialPlan.of(study.directions, settings.folds, settings.seeds, settings.objective, settings.target_clips)


def points_of(study: Study, count: int) -> list[dict]:
    """The points of the first trials: the default, then those that the study's random search would ask for."""
    from agser_core.tuning.search import PointSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = PointSearch(study.space, "random", seed=study.settings.seed)
    first = study.space.point_of(study.experiment.train.fit_settings())
    return [first, *(search.ask(number) for number in range(1, count))]


if __name__ == "__main__":
    main()
