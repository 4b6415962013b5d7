"""How extraction's driver grows with the corpus, and what a second worker brings. `make bench-scale`.

simulate: the real listing, planning, scheduling, marks and commit of 10^3 to 10^6 clips, with work that does nothing.
Each size runs in a process of its own, so that its peak memory is its own. Fails where rows are lost or double, where
the object store spills, or where the driver's memory outgrows its bound.

rates: what a clip of a corpus costs extraction.

workers: strong scaling (the same work by one and by two workers) and weak scaling (twice the work by two) of extraction
and of the evaluation matrix, on generated corpora, and the serial share that follows (Karp and Flatt, Communications of
the ACM 33, 1990). Of the k-means: benchmarks/softdtw_ray.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import yaml

import pipelines  # noqa: F401  (sets what Ray reads when it is imported)
from agser_core.corpora.clip import Clip, Corpus
from agser_core.experiment import ExtractSettings, load_experiment
from agser_core.extraction import TABLES
from agser_core.outputs import StageOutput, peak_memory
from agser_core.storage import Location
from agser_core.tables import write_parquet

SIZES = (1_000, 10_000, 100_000, 1_000_000)
DRIVER_BYTES = 200e6, 2_000  # the driver's memory may grow by at most so much, and so much more a clip


class IdleExtractor:
    """In the place of `UnitExtractor`: marks its unit done, without doing anything."""

    def __init__(self, settings: ExtractSettings, folder: str, memory_bytes: int):
        self.folder = Location(folder)

    def __call__(self, row: dict) -> dict:
        identities = json.loads(row["identities"])
        assert len(json.loads(row["clips"])) == len(identities)
        mark = {"clips": identities, "rows": dict.fromkeys(TABLES, 0), "seconds": {}, "wall_seconds": 0.0}
        mark |= {
            "media_seconds": 0.0,
            "cpu_seconds": 0.0,
            "peak_memory_bytes": 0,
            "gave_up": [],
            "limits": {"memory_bytes": 0},
        }
        self.folder.join("units", f"{row['unit']}.json").write_text(json.dumps(mark))
        return {"done": len(identities), "failed": 0, "fault": ""}


def made_up_clips(count: int) -> list[Clip]:
    """Rows as long as a real corpus has them."""
    return [
        Clip(
            f"{1000 + i % 90}_{i:07}_ANG_XX",
            "made-up",
            f"made-up-{1000 + i % 90}",
            f"s3://bucket/corpus/AudioWAV/{1000 + i % 90}_{i:07}_ANG_XX.wav",
            gender="female",
            language="en",
            emotion="anger",
            label_rule="intended",
            transcript="I think I have a doctor's appointment.",
            video_uri=f"s3://bucket/corpus/VideoFlash/{1000 + i % 90}_{i:07}_ANG_XX.flv",
        )
        for i in range(count)
    ]


def simulate_one(count: int, folder: str) -> dict:
    """Figures of one size: CPU and wall seconds of each step, growth of this process' peak memory."""
    from agser_core.experiment import RaySettings
    from pipelines import extract
    from pipelines.ray_session import ray_session

    seconds, clock = {}, [time.process_time(), time.perf_counter()]

    def lap(step: str) -> None:
        """CPU seconds of this process, which other work on the machine does not change, and wall seconds."""
        now = [time.process_time(), time.perf_counter()]
        seconds[step] = [round(after - before, 2) for after, before in zip(now, clock, strict=True)]
        clock[:] = now

    content = {"name": "scale", "output": folder, "corpora": {"made-up": {"adapter": "manifest", "path": folder}}}
    file = Path(folder) / "experiment.yaml"
    file.write_text(yaml.safe_dump(content))
    experiment = load_experiment(str(file))
    with ray_session(RaySettings()):
        lap("start Ray")
        corpus = Corpus("made-up", made_up_clips(count))
        output = StageOutput.of(folder, "extract/made-up", {"count": count})
        before = peak_memory()
        lap("rows")
        identities = {clip.clip_id: extract.clip_identity(clip, experiment.extract) for clip in corpus.clips}
        units = extract.units_to_do(corpus.clips, identities, {}, experiment.extract.clips_per_unit, limits={})
        lap("plan")
        plan = extract.Plan(output, corpus, identities, {}, units, False)
        extract.extract_missing(experiment, plan, IdleExtractor)
        lap("schedule")
        marks = extract.current_units(extract.committed_units(output), identities, {})
        extract._commit(plan, marks)
        lap("commit")
        assert not extract.units_to_do(corpus.clips, identities, marks, 1, limits={}), "clips were lost"
        assert sum(len(mark["clips"]) for mark in marks.values()) == count, "clips came twice"
        lap("resume")
        assert not plan.spilled_bytes, f"the object store spilled {plan.spilled_bytes} bytes"
    marked = sum(file.size() for file in output.folder.join("units").list())
    unit_bytes = sum(len(unit["clips"]) + len(unit["identities"]) for unit in units)
    return {
        "clips": count,
        "units": len(units),
        **seconds,
        "driver_bytes": peak_memory() - before,
        "object_store_bytes": unit_bytes,
        "mark_bytes": marked,
    }


@click.group()
def main() -> None:
    """Scale of extraction's driver, and of one and two workers."""


@main.command()
@click.option("--most", default=SIZES[-1], show_default=True, help="The largest number of clips.")
@click.option("--plot", metavar="FILE", help="Draw the driver's time and memory as SVG.")
def simulate(most: int, plot: str | None) -> None:
    """Schedule up to 10^6 clips whose extraction does nothing."""
    rows = []
    click.echo("CPU seconds of the driver; wall seconds of all for scheduling")
    names = ("clips", "units", "plan", "schedule", "(wall)", "commit", "resume", "driver MB", "sent MB", "marks MB")
    click.echo("".join(f"{name:>11}" for name in names))
    for count in (size for size in SIZES if size <= most):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.scale", "one", str(count), folder]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        figures = json.loads(printed.splitlines()[-1])
        times = [figures["plan"][0], *figures["schedule"], figures["commit"][0], figures["resume"][0]]
        sizes = [figures[name] / 1e6 for name in ("driver_bytes", "object_store_bytes", "mark_bytes")]
        shown = [f"{time:11.2f}" for time in times] + [f"{size:11.1f}" for size in sizes]
        click.echo(f"{count:11}{figures['units']:11}" + "".join(shown))
        rows.append((count, figures["plan"][0], figures["schedule"][0], figures["commit"][0], sizes[0]))
        base, each = DRIVER_BYTES
        assert figures["driver_bytes"] < base + each * count, "the driver's memory grew beyond its bound"

    if plot:
        draw(rows, plot)


def draw(rows: list[tuple[int, float, float, float, float]], file: str) -> None:
    """Clips; CPU seconds of planning, scheduling and committing; MB of memory. Both axes are logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    clips, *times, memory = zip(*rows, strict=True)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for name, values in zip(("plan", "schedule", "commit"), times, strict=True):
        left.loglog(clips, values, "o-", label=name)
    left.set(xlabel="clips", ylabel="CPU seconds of the driver")
    left.legend()
    right.loglog(clips, memory, "o-")
    right.set(xlabel="clips", ylabel="memory of the driver, MB")
    figure.savefig(file, metadata={"Date": None})


@main.command(hidden=True)
@click.argument("count", type=int)
@click.argument("folder")
def one(count: int, folder: str) -> None:
    """One size, as JSON."""
    click.echo(json.dumps(simulate_one(count, folder)))


@main.command()
@click.option("-c", "--config", required=True, metavar="FILE", help="An experiment file.")
@click.option("--clips", default=40, show_default=True, help="How many clips of each corpus.")
def rates(config: str, clips: int) -> None:
    """CPU seconds and bytes that a clip takes, measured in this process, so that other work does not count."""
    from agser_core import corpora
    from agser_core.extraction import ClipExtractor

    experiment = load_experiment(config)
    for name, source in experiment.corpora.items():
        extractor = ClipExtractor(experiment.extract)
        found = corpora.read(source.adapter, source.path, **source.options).clips
        chosen = found[:: max(1, len(found) // clips)][:clips]
        extractor.extract(chosen[:2])  # what is loaded and compiled once is not a clip's
        started = time.process_time()
        unit = extractor.extract(chosen)
        spent, tables = (time.process_time() - started) / len(chosen), unit.tables()
        written = {table: parquet_bytes(rows) / len(chosen) for table, rows in tables.items() if rows.num_rows}
        done = tables["clips"].to_pandas()
        click.echo(
            f"{name}: {len(done)} of {len(chosen)} clips of {done['duration'].mean():.2f} s, "
            f"{done['video_frames'].mean():.0f} frames: {spent:.2f} s of a core a clip; bytes a clip: "
            + ", ".join(f"{table} {size:.0f}" for table, size in written.items())
        )


def parquet_bytes(table) -> int:
    """The size of a table as the project writes it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Location.parse(folder).join("table.parquet")
        write_parquet(table, file)
        return file.size()


def karp_flatt(speedup: float, workers: int) -> float:
    """The serial share of the work that explains a speedup: (1/S - 1/p) / (1 - 1/p)."""
    return (1 / speedup - 1 / workers) / (1 - 1 / workers)


class Timed:
    """Stages of generated corpora as commands on one started Ray session, with their wall seconds."""

    def __init__(self, folder: Path, speakers: int, sentences: int):
        corpora = {name: {"adapter": "sample", "path": str(folder / "data" / name)} for name in ("alder", "birch")}
        self.content = {
            "name": "scale",
            "output": "",
            "corpora": corpora,
            "sample": {"folder": str(folder / "data"), "speakers": speakers, "sentences": sentences},
            "extract": {"clips_per_unit": 2},
            "split": {"groups": 3, "test_groups": 1},
            "cluster": {"n_clusters": 8, "restarts": 1},
            "train": {"epochs": 20},
            "evaluate": {"methods": ["none", "ag"], "seeds": [0, 1], "bootstrap": 100},
        }
        self.folder, self.runs = folder, 0

    def experiment(self, output: str | None = None, **groups):
        """An experiment with an output of its own, or with a given one."""
        self.runs += 1
        content = {**self.content, "output": output or str(self.folder / f"run-{self.runs}"), **groups}
        file = self.folder / f"{self.runs}.yaml"
        file.write_text(yaml.safe_dump(content))
        return load_experiment(str(file))


def seconds(action) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


@main.command()
def workers() -> None:
    """Strong and weak scaling of one and two workers."""
    from agser_core.experiment import RaySettings
    from pipelines import cluster, evaluate, extract, sample
    from pipelines.ray_session import ray_session

    with tempfile.TemporaryDirectory() as name, ray_session(RaySettings()):
        made = Timed(Path(name), speakers=4, sentences=3)
        half = Timed(Path(name) / "half", speakers=4, sentences=3)
        half.folder.mkdir()
        half.content["corpora"] = {"alder": made.content["corpora"]["alder"]}
        sample.run(made.experiment())
        extraction = []
        for work, count in ((half, 1), (made, 1), (made, 2)):
            experiment = work.experiment(ray={"extract_workers": count, "extract_memory_gb": 1})
            extraction.append(seconds(lambda experiment=experiment: extract.run(experiment)))
        show("extraction, 48 or 96 clips", *extraction)
        cluster.run(experiment)
        fits = []
        for seeds, cpus in (([0], 2), ([1, 2], 2), ([3, 4], 1)):  # other seeds, so that no run finds cells of another
            matrix = {**made.content["evaluate"], "seeds": seeds}
            some = made.experiment(experiment.output, evaluate=matrix, ray={"evaluate_cpus": cpus})
            fits.append(seconds(lambda some=some: evaluate.run(some)))
        show("evaluation, 6 or 12 fits", *fits)


def show(what: str, half: float, one_worker: float, two_workers: float) -> None:
    """half: half of the work by one worker; the others: all of it."""
    strong, weak = one_worker / two_workers, half / two_workers
    click.echo(
        f"{what}: half by one {half:.1f} s, all by one {one_worker:.1f} s, all by two {two_workers:.1f} s; "
        f"strong scaling {strong:.2f} x ({strong / 2:.0%}), weak {weak:.0%}, serial share {karp_flatt(strong, 2):.1%}"
    )


if __name__ == "__main__":
    main()
