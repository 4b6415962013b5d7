"""The trials of a study on Ray Tune: warm workers, early stopping, limits, one committed mark a trial.

Tune runs and stops trials; what counts is the store (`agser_core.tuning.record`). So a study that was killed goes on
from its marks, wherever they lie, with its search and its scheduler as they would have been.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from agser_core.errors import AgserError
from agser_core.evaluation.loading import FoldData
from agser_core.ser.settings import TrainSettings
from agser_core.storage import Location
from agser_core.tables import write_parquet
from agser_core.tuning.limits import within_limits
from agser_core.tuning.record import TrialRecord, TrialStore, best
from agser_core.tuning.search import PointSearch
from agser_core.tuning.space import SearchSpace, Value
from agser_core.tuning.study import LimitSettings, StudySettings, TrialResources
from agser_core.tuning.trial import TrialPlan, Worker
from pipelines.stage import say

# What Tune would write beside our marks is of no use to anyone.
_QUIET_TUNE = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}
_SECONDS_BETWEEN_LINES = 10.0

Trainable = Callable[[dict], None]


@dataclass(frozen=True)
class TrialJob:
    """What every worker of a study gets."""

    plan: TrialPlan
    base: TrainSettings
    space: SearchSpace
    folder: str
    limits: LimitSettings


def trainable_of(folds: Mapping[int, FoldData], job: TrialJob) -> Trainable:
    """The function that Tune calls for every trial. The data go to the object store once; each node reads them there.

    folds: without the labels that no fit may see (`trial.hide_labels`).
    """
    from ray import tune

    return tune.with_parameters(run_trial, folds=folds, job=job)


_workers: dict[str, Worker] = {}  # of this process: what trials share stays warm


def run_trial(config: dict, folds: Mapping[int, FoldData], job: TrialJob) -> None:
    """One trial in a worker: reports every epoch; the last report holds all that a finished trial leaves."""
    import torch
    from ray import tune

    from pipelines.ray_session import limit_threads

    limit_threads()
    torch.set_num_threads(max(1, int(os.environ["OMP_NUM_THREADS"])))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if job.folder not in _workers:
        _workers.clear()
        _workers[job.folder] = Worker(folds, job.plan, device)
    with within_limits(job.limits):
        trial = _workers[job.folder].start(job.space.settings(job.base, config["point"]))
        while True:
            report = trial.next_epoch()
            if trial.finished:
                break
            tune.report(report)
        left, predictions = trial.finish()
        place = TrialStore(Location(job.folder)).predictions_at(config["number"])
        write_parquet(pa.Table.from_pandas(predictions, preserve_index=False), place)
    tune.report({**report, **left})


def run_trials(
    trainable: Trainable,
    settings: StudySettings,
    space: SearchSpace,
    base: TrainSettings,
    store: TrialStore,
    name: str = "tune",
) -> list[TrialRecord]:
    """Run the trials of a study that have not ended yet, on the Ray session that is there; all its records.

    trainable: takes {"number", "point"}, reports "epoch", "score", "dev_uar", "by_direction", "seconds". The first
    trial is at `base`; the others are the search's. Every trial ends as finished, stopped or failed, with its reasons.
    """
    ended, waiting = store.read()
    numbers = [number for number in range(settings.trials) if number not in ended]
    if not numbers:
        return list(ended.values())[: settings.trials]
    search = PointSearch(space, settings.search, startup_trials=settings.startup_trials, seed=settings.seed)
    scheduler = _scheduler(settings, space, base)
    for record in ended.values():
        search.tell(record.number, record.point, record.state, record.scores)
        _replay(scheduler, record)
    waiting.setdefault(0, space.point_of(base))
    keeper, room = _Keeper(name, settings, store, dict(ended)), places_for(settings.resources)
    _tune(trainable, settings, _searcher(search, store, waiting, numbers, keeper, room), scheduler, keeper, room)
    _account(keeper, numbers)
    return [keeper.records[number] for number in range(settings.trials)]


def _needs(resources: TrialResources) -> dict[str, float]:
    """What a trial takes, as Ray names it."""
    return {"CPU": resources.cpus, **({"GPU": resources.gpus} if resources.gpus else {})}


def places_for(resources: TrialResources) -> int:
    """How many trials run or wait for a place: `at_once`, or where not given as many as fit into the cluster as it is
    now, at least one. A cluster that starts from nothing grows by what waits, so there `at_once` says how far."""
    import ray

    if resources.at_once:
        return resources.at_once
    there = ray.cluster_resources()
    return max(1, int(min(there.get(name, 0) / needed for name, needed in _needs(resources).items())))


def _tune(trainable, settings: StudySettings, searcher, scheduler, keeper: _Keeper, room: int) -> None:
    from ray import tune

    keeper.begin()
    environment = {**_QUIET_TUNE, "TUNE_MAX_PENDING_TRIALS_PG": str(room)}
    with tempfile.TemporaryDirectory(prefix="agser-tune-") as scratch, _environment(environment):
        tune.Tuner(
            tune.with_resources(trainable, _needs(settings.resources)),
            tune_config=tune.TuneConfig(
                num_samples=settings.trials - len(keeper.records),
                search_alg=searcher,
                scheduler=scheduler,
                max_concurrent_trials=settings.resources.at_once,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=scratch,
                failure_config=tune.FailureConfig(max_failures=settings.limits.retries),
                callbacks=[keeper.callback()],
                verbose=0,
            ),
        ).fit()


def _searcher(
    search: PointSearch, store: TrialStore, waiting: dict[int, dict], numbers: list[int], keeper: _Keeper, room: int
):
    """A PointSearch as Tune wants it.

    room: so many trials may wait while none runs, so that their workers start side by side: left to itself, Tune starts
    one after the other, and a trial that is shorter than the start of a worker never sees a second one. Where all have
    begun, one waits: the later a point is asked for, the more is known.
    """
    from ray.tune.search import Searcher

    class Points(Searcher):
        def __init__(self):
            super().__init__(metric="score", mode="max")
            self.left, self.given, self.live = list(numbers), {}, 0

        def suggest(self, trial_id: str) -> dict | str | None:
            if not self.left:
                return Searcher.FINISHED
            running = len(keeper.running)
            if self.live - running >= max(1, room - running):
                return None
            self.live += 1
            number = self.left.pop(0)
            point = waiting[number] if number in waiting else search.ask(number)
            store.asked(number, point)
            self.given[trial_id] = (number, point, [])
            return {"number": number, "point": point}

        def on_trial_result(self, trial_id: str, result: dict) -> None:
            scores = self.given[trial_id][2]
            del scores[result["epoch"] - 1 :]  # a further try starts again
            scores.append(result["score"])

        def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
            number, point, scores = self.given[trial_id]
            self.live -= 1
            state = "failed" if error or not scores else "finished" if result and "fits" in result else "stopped"
            if result and "score" in result and len(scores) < result["epoch"]:
                scores.append(result["score"])
            search.tell(number, point, state, scores)

        def save(self, checkpoint_path: str) -> None:
            """Tune saves its searchers; what this one knows lies in the store."""

        def restore(self, checkpoint_path: str) -> None:
            raise NotImplementedError("a study goes on from its marks")

    return Points()


def _scheduler(settings: StudySettings, space: SearchSpace, base: TrainSettings):
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule

    if settings.scheduler == "none":
        return FIFOScheduler()
    common = {"time_attr": "epoch", "metric": "score", "mode": "max"}
    if settings.scheduler == "median":
        # Never paused to let others catch up: a paused trial would start again from its first epoch.
        return MedianStoppingRule(
            grace_period=settings.grace_epochs, min_samples_required=3, min_time_slice=float("inf"), **common
        )
    searched = [parameter.choices or (parameter.high,) for parameter in space.parameters if parameter.name == "epochs"]
    longest = int(max([base.epochs, *(searched[0] if searched else ())]))  # the first trial has the base's epochs
    # Rungs lie below the last epoch: who gets there has finished.
    return ASHAScheduler(
        max_t=max(longest, settings.grace_epochs + 1) + 1,
        grace_period=settings.grace_epochs,
        reduction_factor=settings.reduction,
        stop_last_trials=False,
        **common,
    )


def _replay(scheduler, record: TrialRecord) -> None:
    """Let a scheduler live through a trial of an earlier process."""
    if not record.curve:
        return
    trial = _Recorded(f"recorded-{record.number}")
    scheduler.on_trial_add(None, trial)
    for entry in record.curve:
        if scheduler.on_trial_result(None, trial, entry) == "STOP":  # told in another order, it may be stopped earlier
            break
    scheduler.on_trial_complete(None, trial, record.curve[-1])


@dataclass(frozen=True)
class _Recorded:
    """Stands for a trial of an earlier process: schedulers know trials by their id."""

    trial_id: str


class _Keeper:
    """Commits every trial that ends, and says how it goes."""

    def __init__(self, name: str, settings: StudySettings, store: TrialStore, records: dict[int, TrialRecord]):
        self.name, self.settings, self.store, self.records = name, settings, store, records
        self.curves: dict[int, list[dict]] = {}
        self.tries: dict[int, list[str]] = {}
        self.running: dict[int, float] = {}
        self.points: dict[int, dict[str, Value]] = {}

    def begin(self) -> None:
        self.started, self.last, self.before = time.monotonic(), time.monotonic(), len(self.records)
        if self.before:
            say(f"{self.name}: {self.before} of {self.settings.trials} trials had ended before, going on")

    def line(self) -> str:
        """Such as `tune: 12/64 trials (9 finished, 2 stopped, 1 failed), 2 running, best 0.61 (trial 7), 4:10 left`."""
        states = [record.state for record in self.records.values()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in ("finished", "stopped", "failed"))
        leader = best(list(self.records.values()))
        found = f"best {leader.score:.4f} (trial {leader.number})" if leader else "none finished yet"
        fresh = len(self.records) - self.before
        left = "?"
        if fresh:
            seconds = (time.monotonic() - self.started) / fresh * (self.settings.trials - len(self.records))
            left = "{}:{:02d}".format(*divmod(round(seconds), 60))
        total = self.settings.trials
        return (
            f"{self.name}: {len(states)}/{total} trials ({counts}), {len(self.running)} running, {found}, {left} left"
        )

    def tell(self, now: bool = False) -> None:
        if now or time.monotonic() - self.last >= _SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            say(self.line())

    def start(self, number: int, point: dict) -> None:
        self.points[number], self.running[number], self.curves[number] = point, time.monotonic(), []

    def failed_try(self, number: int, error: Exception | None) -> None:
        took = time.monotonic() - self.running.pop(number, time.monotonic())
        self.tries.setdefault(number, []).append(why_failed(error, took, self.settings.limits))

    def end(self, number: int, state: str, result: dict) -> None:
        self.running.pop(number, None)
        curve = self.curves.get(number, [])
        record = TrialRecord(
            number,
            self.points[number],
            state,
            curve,
            result.get("fits", []),
            result.get("criteria", {}),
            result.get("seconds", 0.0),
            self.tries.get(number, []),
        )
        self.store.commit(record)
        self.records[number] = record

    def callback(self):
        """This as a callback of Tune."""
        from ray.tune import Callback

        keeper = self

        class Commit(Callback):
            def on_trial_start(self, iteration, trials, trial, **info):
                keeper.start(trial.config["number"], trial.config["point"])

            def on_trial_result(self, iteration, trials, trial, result, **info):
                keys = ("epoch", "score", "dev_uar", "by_direction", "seconds")
                keeper.curves[trial.config["number"]].append({key: result[key] for key in keys})

            def on_trial_recover(self, iteration, trials, trial, **info):
                keeper.failed_try(trial.config["number"], _error_of(trial))

            def on_trial_error(self, iteration, trials, trial, **info):
                number = trial.config["number"]
                keeper.points.setdefault(number, trial.config["point"])
                keeper.failed_try(number, _error_of(trial))
                keeper.end(number, "failed", {})
                keeper.tell()

            def on_trial_complete(self, iteration, trials, trial, **info):
                result = trial.last_result
                keeper.end(trial.config["number"], "finished" if "fits" in result else "stopped", result)
                keeper.tell()

            def on_step_end(self, iteration, trials, **info):
                keeper.tell()

        return Commit()


def _error_of(trial) -> Exception | None:
    file = trial.pickled_error_file
    if not file or not os.path.exists(file):
        return None
    with open(file, "rb") as stream:
        return pickle.load(stream)


def why_failed(error: Exception | None, seconds: float, limits: LimitSettings) -> str:
    """One line for a failed try: the limit it ran into, the loss of its worker, or its own error."""
    from ray.exceptions import RayActorError

    if isinstance(error, RayActorError):
        if limits.seconds is not None and seconds >= limits.seconds:
            return f"time limit: gave no end within {limits.seconds:g} s"
        lines = str(error).strip().splitlines()
        return f"worker lost: {lines[-1].strip()[:300] if lines else 'its process or node died'}"
    cause = getattr(error, "cause", None) or error
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    words = lines[-1][:300]
    if isinstance(cause, MemoryError) or "MemoryError" in words or "can't allocate memory" in str(cause):
        return f"memory limit: {words}"
    return f"error: {words}"


def _account(keeper: _Keeper, numbers: list[int]) -> None:
    """Every trial has a record; where Tune ended early (an interrupt, no node left) that is an error."""
    keeper.tell(now=True)
    if missing := [number for number in numbers if number not in keeper.records]:
        raise AgserError(
            f"{len(missing)} of {len(numbers)} trials have not ended: {', '.join(map(str, missing[:10]))}. "
            "The study was interrupted; the same command goes on"
        )


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
