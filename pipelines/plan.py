"""What a run would do: which stages are done, what the others still need, and what that takes and costs.

Rates are measured by the outputs that lie at the experiment's output; where a stage has none yet, RATES stand in. They
are meant to tell minutes from days before money is spent, not to be exact.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from agser_core import chain
from agser_core.corpora.clip import CLASSES
from agser_core.errors import AgserError
from agser_core.evaluation.matrix import cells
from agser_core.experiment import Experiment
from agser_core.outputs import StageOutput
from agser_core.storage import Location
from pipelines.cluster import MANY
from pipelines.extract import Plan, committed_units

RATES = {
    "extract": 0.7,
    "cluster": 0.1,
    "analyse": 0.001,
    "train": 0.1,
    "evaluate": 0.025,
    "report": 0.05,
}
"""Seconds of one core a clip (evaluate: a clip and fit) where nothing was measured: docs/performance.md."""

FINE_TUNING = 0.12
"""Seconds of one core a clip and epoch of a fit with train.fine_tune: half of all clips are in an epoch's steps, of 3 s
each, at 0.08 s of computing a second of speech (three layers of a base model, docs/anchoring.md). A GPU takes less."""

_VOWELS = 6  # of a clip, with a mouth: what is clustered


@dataclass(frozen=True)
class Step:
    """One stage of a run.

    left: what is still to do, in words; empty where it is done. seconds: the work left, on one core. cores: how many
    can share it. measured: whether the rate is of an earlier output.
    """

    stage: str
    left: str = ""
    seconds: float = 0.0
    cores: int = 1
    measured: bool = False

    @property
    def hours(self) -> float:
        return self.seconds / self.cores / 3600

    @property
    def core_hours(self) -> float:
        return self.seconds / 3600


def plan_run(experiment: Experiment, corpora: list[Plan], cores: int) -> list[Step]:
    """The steps of `agser run`, in order.

    corpora: what extraction still has to do. cores: how many CPUs the cluster has or is asked for.
    """
    clips = sum(len(plan.corpus.clips) for plan in corpora)
    labelled = sum(clip.emotion in CLASSES for plan in corpora for clip in plan.corpus.clips)
    extracted = not any(plan.units for plan in corpora)
    steps = [_extraction(plan, experiment.ray.extract_workers or cores) for plan in corpora]
    serial: list[tuple[str, Callable[[Experiment], StageOutput]]] = [
        ("cluster", chain.cluster_output),
        ("analyse", chain.analyse_output),
        ("train", chain.train_output),
    ]
    for stage, output in serial:
        if extracted and _is_complete(output, experiment):
            steps.append(Step(stage))
        else:
            rate, measured = _rate(experiment, stage, clips)
            workers = {"cluster": _cluster_workers(experiment, clips, cores), "train": experiment.ray.train_workers}
            steps.append(Step(stage, f"{clips} clips", rate * clips, workers.get(stage, 1), measured))
    steps.append(_evaluation(experiment, labelled, cores, extracted))
    return [*steps, Step("report", "one page", RATES["report"] * clips)]


def _cluster_workers(experiment: Experiment, clips: int, cores: int) -> int:
    """How many actors hold the segments; the command itself is one."""
    return experiment.ray.cluster_workers or (cores if clips * _VOWELS >= MANY else 1)


def _extraction(plan: Plan, cores: int) -> Step:
    name, total = f"extract {plan.name}", len(plan.corpus.clips)
    left = sum(len(json.loads(unit["clips"])) for unit in plan.units)
    if not left:
        return Step(name)
    marks = list(committed_units(plan.output).values()) or _earlier_units(plan.output)
    clips, seconds = sum(len(mark["clips"]) for mark in marks), sum(mark["wall_seconds"] for mark in marks)
    rate = seconds / clips if clips else RATES["extract"]
    return Step(name, f"{left} of {total} clips", rate * left, min(cores, len(plan.units)), bool(clips))


def _earlier_units(output: StageOutput) -> list[dict]:
    """The figures of the latest finished extraction of this corpus with other settings, as one unit."""
    report = _latest(output.folder.parent).get("report", {})
    return [{"clips": range(report["clips"]), "wall_seconds": report["worker_seconds"]}] if report else []


def _evaluation(experiment: Experiment, clips: int, cores: int, extracted: bool) -> Step:
    settings, seconds, measured = experiment.evaluate, _fit_rate(experiment, "evaluate") * clips, False
    if extracted and _is_complete(chain.evaluate_output, experiment):
        return Step("evaluate")
    folds = range(experiment.split.folds)
    wanted = cells(
        list(experiment.corpora),
        settings.methods,
        settings.seeds,
        folds=folds,
        directions=settings.directions,
        tasks=settings.tasks,
    )
    done: set[str] = set()
    if extracted and _is_complete(chain.cluster_output, experiment):
        marks = [file for file in chain.cells_output(experiment).folder.list() if file.name.endswith(".json")]
        done = {file.name.removesuffix(".json") for file in marks}
        if marks:
            some = [json.loads(file.read_text())["seconds"] for file in marks[:20]]
            seconds, measured = sum(some) / len(some), True
    if not measured and (
        fits := _latest(Location.parse(experiment.output).join("evaluate"), _same_training(experiment))
    ):
        seconds, measured = fits["fit_seconds"] / max(1, fits["tables"]["cells"]["rows"]), True
    left = [cell for cell in wanted if cell.name not in done]
    shared = max(1, min(len(left), int(cores / experiment.ray.evaluate_cpus)))
    return Step("evaluate", f"{len(left)} of {len(wanted)} fits", seconds * len(left), shared, measured)


def _is_complete(output: Callable[[Experiment], StageOutput], experiment: Experiment) -> bool:
    """Whether a stage is done; it is not while the stages that it reads are not."""
    try:
        return output(experiment).is_complete()
    except AgserError:
        return False


def _rate(experiment: Experiment, stage: str, clips: int) -> tuple[float, bool]:
    """Seconds a clip of the latest output of a stage, and whether there is one."""
    alike = _same_training(experiment) if stage == "train" else None
    seconds = _latest(Location.parse(experiment.output).join(stage), alike).get("wall_seconds")
    return (seconds / clips, True) if seconds and clips else (_fit_rate(experiment, stage), False)


def _fit_rate(experiment: Experiment, stage: str) -> float:
    """Seconds of one core a clip; of the stages that fit, with what is fitted."""
    tuned = experiment.train.fine_tune and stage in ("train", "evaluate")
    return FINE_TUNING * experiment.train.epochs if tuned else RATES[stage]


def _same_training(experiment: Experiment) -> Callable[[dict], bool]:
    """Whether an earlier output of train or evaluate trained what this one trains.

    The encoder's layers take hundreds of times as long as the head alone.
    """
    return lambda manifest: manifest.get("fine_tune", False) == experiment.train.fine_tune


def _latest(folder: Location, alike: Callable[[dict], bool] | None = None) -> dict:
    """The manifest of the output that was finished last below a folder, of those alike; empty where there is none."""
    files = [file for output in folder.folders() if (file := output.join("manifest.json")).exists()]
    manifests = (json.loads(file.read_text()) for file in files)
    return max(filter(alike, manifests), key=lambda found: found["created"], default={})


def lines(steps: list[Step], price: float | None) -> list[str]:
    """The plan for the terminal. price: of one core an hour, in any currency."""
    shown = [f"  {'stage':24}{'to do':26}{'cores':>6}{'time':>10}{'core-hours':>12}" + ("      cost" if price else "")]
    for step in steps:
        if not step.left:
            shown.append(f"  {step.stage:24}done")
            continue
        guess = "" if step.measured else " ~"
        cost = f"{price * step.core_hours:10.2f}" if price else ""
        figures = f"{step.cores:6}{_duration(step.hours):>10}{step.core_hours:12.2f}"
        shown.append(f"  {step.stage:24}{step.left:26}{figures}{cost}{guess}")
    hours, work = sum(step.hours for step in steps), sum(step.core_hours for step in steps)
    cost = f", cost {price * work:.2f}" if price else ""
    shown.append(
        f"  in all {_duration(hours)}, {work:.2f} core-hours{cost}; ~ by documented rates, the others as measured"
    )
    return shown


def _duration(hours: float) -> str:
    minutes = round(hours * 60)
    if minutes < 60:
        return f"{minutes} min" if minutes else "< 1 min"
    return f"{minutes // 60}:{minutes % 60:02} h"
