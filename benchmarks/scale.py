"""How extraction's driver grows with the corpus, and what a second worker brings. `make bench-scale`.

simulate: the real listing, planning, scheduling, marks and commit of 10^3 to 10^6 clips, with work that does nothing.
Each size runs in a process of its own, so that its peak memory is its own. Fails where rows are lost or double, where
the object store spills, or where the driver's memory outgrows its bound.

rates: what a clip of a corpus costs extraction.

workers: strong scaling (the same work by one and by two workers) and weak scaling (twice the work by two) of every
stage that spreads, on generated corpora, and the serial share that follows (Karp and Flatt, Communications of the ACM
33, 1990), the start of the workers included.

starts: how long Ray and a worker take to be there.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
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
        identities = extract.clip_identities(corpus.clips, experiment.extract)
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
    """Stages of generated corpora on a Ray session of so many CPUs, with their seconds; Ray's start not among them."""

    def __init__(self, folder: Path):
        self.folder, self.runs = folder, 0
        corpora = {name: {"adapter": "sample", "path": str(folder / "data" / name)} for name in ("alder", "birch")}
        self.content = {
            "name": "scale",
            "output": str(folder / "run"),
            "corpora": corpora,
            "sample": {"folder": str(folder / "data"), "speakers": 4, "sentences": 3},
            "extract": {"clips_per_unit": 2},
            "split": {"groups": 3, "test_groups": 1},
            "cluster": {"n_clusters": 8, "restarts": 1},
            "train": {"epochs": 20},
            "evaluate": {"methods": ["none", "ag"], "seeds": [0], "bootstrap": 20},
            "ray": {"extract_memory_gb": 1},
        }
        self.scratch = Path(tempfile.mkdtemp(dir=folder))

    def fresh(self) -> int:
        """A number that no earlier run had, as long as a week has not gone by."""
        self.runs += 1
        return int(time.time()) % 10**6 * 100 + self.runs

    def file(self, content: dict) -> str:
        place = self.scratch / f"{self.fresh()}.yaml"
        place.write_text(yaml.safe_dump(content))
        return str(place)

    def experiment(self, **groups):
        return load_experiment(self.file({**self.content, **groups}))

    def extraction(self, share: float):
        """All clips, or those of one corpus."""
        from pipelines import extract

        names = ["alder", "birch"][: round(2 * share)]
        corpora = {name: self.content["corpora"][name] for name in names}
        experiment = self.experiment(output=str(self.scratch / str(self.fresh())), corpora=corpora)
        return lambda: extract.run(experiment)

    def clustering(self, share: float):
        """300,000 segments, held by an actor a CPU: loading, ten clusters, five iterations."""
        import ray

        from benchmarks.softdtw_ray import wall, write_table
        from pipelines.distributed_kmeans import ActorShards

        folder = self.folder / f"segments-{share}"
        folder.mkdir(exist_ok=True)
        source = write_table(folder, round(300_000 * share))

        def fit() -> None:
            shards = ActorShards(source, int(ray.cluster_resources()["CPU"]))
            wall(shards)
            shards.close()

        return fit

    def evaluation(self, share: float):
        """12 fits, with seeds of their own, so that no run finds the cells of another."""
        from pipelines import evaluate

        first = self.fresh() * 10
        seeds = [first + i for i in range(round(2 * share))]
        experiment = self.experiment(evaluate={**self.content["evaluate"], "seeds": seeds})
        return lambda: evaluate.run(experiment)

    def search(self, share: float):
        """8 trials, both ways, no final fits."""
        from agser_core.tuning.study import load_study
        from pipelines import tune

        content = {"name": "scale", "seeds": [0], "final_seeds": [], "scheduler": "none", "search": "random"}
        content["space"] = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
        content |= {"experiment": self.file(self.content), "trials": round(8 * share), "seed": self.fresh()}
        study = load_study(self.file(content))
        return lambda: tune.run(study)

    def seconds(self, work, cpus: int) -> tuple[float, float]:
        """Wall seconds of a piece of work, and CPU seconds that the driver spent in it."""
        with local_ray(cpus):
            started, spent = time.perf_counter(), time.process_time()
            work()
            return time.perf_counter() - started, time.process_time() - spent


SCALED = {
    "extract": (Timed.extraction, "96 clips"),
    "cluster": (Timed.clustering, "300,000 segments"),
    "evaluate": (Timed.evaluation, "12 fits"),
    "tune": (Timed.search, "8 trials"),
}


@contextlib.contextmanager
def local_ray(cpus: int):
    """Ray on this machine with so many CPUs; the stages use it, as they find it."""
    import ray

    ray.init(address="local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()


@main.command()
@click.argument("stages", nargs=-1, metavar="[STAGE]...")
@click.option("--folder", metavar="FOLDER", help="Keep clips and figures here, for another call with other stages.")
@click.option("--repeats", default=2, show_default=True, help="The best of so many runs counts.")
@click.option("--plot", metavar="FILE", help="Draw the figures as SVG.")
def workers(stages: tuple[str, ...], folder: str | None, repeats: int, plot: str | None) -> None:
    """Strong and weak scaling of one and two workers: half of the work by one, all by one, all by two."""
    from pipelines import cluster, extract, sample

    with contextlib.ExitStack() as kept:
        place = Path(folder or kept.enter_context(tempfile.TemporaryDirectory())).absolute()
        place.mkdir(exist_ok=True)
        made = Timed(place)
        kept.callback(shutil.rmtree, made.scratch)
        sample.run(made.experiment())
        if {"evaluate", "tune"} & set(stages or SCALED):
            extract.run(made.experiment())
            cluster.run(made.experiment())
        file = place / "figures.json"
        figures = json.loads(file.read_text()) if file.exists() else {}
        for stage in stages or SCALED:
            make, _ = SCALED[stage]
            runs = [
                [made.seconds(make(made, share), cpus) for share, cpus in ((0.5, 1), (1, 1), (1, 2))]
                for _ in range(repeats)
            ]
            figures[stage] = [min(times) for times in zip(*runs, strict=True)]
            file.write_text(json.dumps(figures))
        click.echo("stage          what               half, 1   all, 1   all, 2  strong    weak  serial  driver's CPU")
        for stage, found in figures.items():
            show(stage, SCALED[stage][1], found)
        if plot:
            draw_workers(figures, plot)


def show(stage: str, what: str, found: list[tuple[float, float]]) -> None:
    """found: wall seconds and the driver's CPU seconds of half of the work by one worker, of all by one, by two."""
    (half, _), (one_worker, _), (two_workers, driver) = found
    strong, weak = one_worker / two_workers, half / two_workers
    click.echo(
        f"{stage:15}{what:18}{half:7.1f} s{one_worker:7.1f} s{two_workers:7.1f} s{strong:6.2f} x{weak:8.0%}"
        f"{karp_flatt(strong, 2):8.1%}{driver:8.1f} s ({driver / one_worker:.1%})"
    )


def draw_workers(figures: dict[str, list], file: str) -> None:
    """Strong scaling (speed of two workers over one) and weak (time of half by one over all by two), by stage."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    names, walls = list(figures), [[wall for wall, _ in found] for found in figures.values()]
    figure, panels = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    values = [one / two for _, one, two in walls], [half / two for half, _, two in walls]
    labels = ("strong: speed of two workers over one", "weak: twice the work by two workers")
    for panel, heights, label, ideal in zip(panels, values, labels, (2, 1), strict=True):
        bars = panel.bar(names, heights, color="#4878a8")
        panel.bar_label(bars, fmt="%.2f")
        panel.axhline(ideal, color="gray", linestyle="--")
        panel.set(title=label, ylim=(0, 1.15 * ideal))
        panel.title.set_size(9)
    figure.savefig(file, metadata={"Date": None})


@main.command()
@click.option("--repeats", default=3, show_default=True, help="The median of so many counts.")
def starts(repeats: int) -> None:
    """What comes once a job or a worker, before any work: Ray, and a worker with what a fit imports."""
    import ray

    def load() -> None:
        import agser_core.ser.trainer  # noqa: F401

    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        with local_ray(2):
            up = time.perf_counter()
            ray.get(ray.remote(load).remote())
            found.append((up - started, time.perf_counter() - up))
    for name, times in zip(("Ray on this machine", "a worker with PyTorch"), zip(*found, strict=True), strict=True):
        click.echo(f"{name}: {statistics.median(times):.1f} s ({min(times):.1f} to {max(times):.1f})")


if __name__ == "__main__":
    main()
