"""The parts of a search on Ray Tune that need no cluster: schedulers that go on, reasons, the progress line."""

import planted_study
import pytest
import ray
from ray.exceptions import RayActorError

from agser_core.storage import Location
from agser_core.tuning.record import TrialRecord, TrialStore, best
from agser_core.tuning.search import PointSearch
from agser_core.tuning.study import LimitSettings, StudySettings, TrialResources
from pipelines import tune_trials
from pipelines.tune_trials import places_for, why_failed


def settings(**changes) -> StudySettings:
    return StudySettings(**{"name": "t", "experiment": "e.yaml", "trials": 20, "grace_epochs": 1, **changes})


def record(number: int, scores: list[float], state: str = "finished") -> TrialRecord:
    curve = [
        {"epoch": epoch, "score": score, "dev_uar": 0.5, "by_direction": {"a->b": score}, "seconds": float(epoch)}
        for epoch, score in enumerate(scores, start=1)
    ]
    return TrialRecord(number, {}, state, curve, seconds=3.0)


def test_the_best_trial_has_a_score():
    nothing, some, stopped = record(0, [float("nan")]), record(1, [0.2]), record(2, [0.9], "stopped")
    assert best([nothing, some, stopped]) is some is best([nothing, some], "a->b")
    assert best([nothing, stopped]) is None


@pytest.mark.parametrize(
    "resources, places",
    [({"cpus": 2}, 2), ({"cpus": 0.5}, 10), ({"gpus": 1}, 1), ({"cpus": 2, "at_once": 7}, 7), ({"at_once": 1}, 1)],
)
def test_trials_wait_for_what_the_cluster_has_or_for_what_it_is_to_become(resources, places, monkeypatch):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 5.0})
    assert places_for(TrialResources(**resources)) == places


@pytest.mark.parametrize("kind", ["asha", "median"])
def test_a_scheduler_goes_on_from_records(kind):
    """Three good trials of an earlier process: a bad one is stopped at its first rung, a better one is not."""
    base = planted_study.BASE.model_copy(update={"epochs": 9})
    fresh, gone_on = (tune_trials._scheduler(settings(scheduler=kind), planted_study.space(), base) for _ in range(2))
    for number in range(6):
        tune_trials._replay(gone_on, record(number, [0.5 + 0.01 * number] * 9))
    for scheduler, stops in ((fresh, False), (gone_on, True)):
        for name, score, expected in (("bad", 0.1, stops), ("good", 0.9, False)):
            trial = tune_trials._Recorded(name)
            scheduler.on_trial_add(None, trial)
            decisions = []
            while len(decisions) < 3 and "STOP" not in decisions:
                result = {"epoch": len(decisions) + 1, "score": score}
                decisions.append(scheduler.on_trial_result(None, trial, result))
            assert ("STOP" in decisions) == expected, name


def test_asha_stops_no_trial_at_its_last_epoch():
    base = planted_study.BASE.model_copy(update={"epochs": 9})
    scheduler = tune_trials._scheduler(settings(grace_epochs=9), planted_study.space(), base)
    for number, score in enumerate((0.9, 0.8, 0.1)):
        trial = tune_trials._Recorded(str(number))
        scheduler.on_trial_add(None, trial)
        for epoch in range(1, 9):
            assert scheduler.on_trial_result(None, trial, {"epoch": epoch, "score": score}) == "CONTINUE"


def test_reasons():
    limits = LimitSettings(seconds=10)
    assert why_failed(RayActorError(), 10.5, limits).startswith("time limit: gave no end within 10 s")
    assert why_failed(RayActorError(), 3.0, limits).startswith("worker lost")
    assert why_failed(MemoryError("Unable to allocate 9 GiB"), 1, limits).startswith("memory limit: Unable")
    torch = RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory")
    assert why_failed(torch, 1, limits).startswith("memory limit")
    assert why_failed(ValueError("width must\nbe divisible"), 1, limits) == "error: be divisible"
    assert why_failed(None, 1, limits).startswith("error")


def test_the_progress_line(tmp_path):
    store = TrialStore(Location.parse(tmp_path))
    records = {0: record(0, [0.4]), 1: record(1, [0.61]), 2: record(2, [0.7], "stopped"), 3: record(3, [], "failed")}
    keeper = tune_trials._Keeper("tune", settings(), store, {})
    keeper.begin()
    assert keeper.line() == "tune: 0/20 trials (0 finished, 0 stopped, 0 failed), 0 running, none finished yet, ? left"
    keeper.records, keeper.started = records, keeper.started - 60
    keeper.running = {4: 0.0, 5: 0.0}
    line = "tune: 4/20 trials (2 finished, 1 stopped, 1 failed), 2 running, best 0.6100 (trial 1), 4:00 left"
    assert keeper.line() == line


def test_workers_start_side_by_side_and_later_one_point_waits(tmp_path):
    """A cluster with room for three trials, seven to run; a trial begins where its number is among the running."""
    store, space = TrialStore(Location.parse(tmp_path)), planted_study.space()
    keeper = tune_trials._Keeper("tune", settings(), store, {})
    searcher = tune_trials._searcher(PointSearch(space, "random"), store, {}, list(range(7)), keeper, room=3)

    def asked() -> list[int]:
        numbers = []
        while isinstance(suggested := searcher.suggest(f"trial-{len(searcher.given)}"), dict):
            numbers.append(suggested["number"])
        return numbers

    def end(number: int) -> None:
        del keeper.running[number]
        searcher.on_trial_complete(f"trial-{number}", {"epoch": 1, "score": 0.5, "fits": []})

    assert asked() == [0, 1, 2]  # all at once
    keeper.running = {0: 0.0}
    assert asked() == []
    keeper.running |= {1: 0.0, 2: 0.0}
    assert asked() == [3] and asked() == []
    end(1)
    keeper.running[3] = 0.0
    assert asked() == [4]
    keeper.running |= {4: 0.0}  # the cluster has grown
    assert asked() == [5]
    for number in (0, 2, 3, 4):
        end(number)
    keeper.running[5] = 0.0
    assert asked() == [6] and searcher.suggest("trial-7") == "FINISHED"
