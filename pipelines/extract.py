"""Extract: clips to tables. Ray Data shards units of clips over actors; each unit is committed by itself."""

import dataclasses
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from agser_core import corpora, tables
from agser_core.chain import extract_output
from agser_core.corpora.clip import Clip
from agser_core.errors import AgserError, ConfigError
from agser_core.experiment import Experiment, ExtractSettings, RaySettings
from agser_core.extraction import OFTEN_EMPTY, TABLES, check_unique, openface_csv
from agser_core.fingerprint import fingerprint
from agser_core.outputs import StageOutput, peak_memory
from agser_core.speech.encoder import encoder_folder
from agser_core.storage import Location
from pipelines.extract_report import lines, measure
from pipelines.progress import Progress
from pipelines.stage import EXIT_BUDGET, say, stage_command

_MOST_UNITS = 2000  # of a corpus: bounds the listing that a resumed job and every reader begin with
_LIMITED_BY = {"timeout": "clip_seconds", "crash": "memory_bytes"}
"""Classes of errors that a higher limit may mend, and the limit. A crash may be a process killed for its memory."""


class UnitExtractor:
    """A Ray Data actor: extracts units of clips and writes each one's tables, then its commit mark.

    Tracker, decoders, aligner and encoder run in a child process, so that none of their crashes ends the actor.
    """

    def __init__(self, settings: ExtractSettings, folder: str, memory_bytes: int):
        from pipelines.ray_session import limit_threads

        limit_threads()
        self.settings, self.folder, self.extractor = settings, Location(folder), None
        self.limits = limits_of(settings, memory_bytes)

    def __call__(self, row: dict) -> dict:
        """Counts of one unit, or the fault that ends the stage: Ray would wrap an exception past recognition."""
        try:
            return {**self._extract(row), "fault": ""}
        except AgserError as error:
            return {"done": 0, "failed": 0, "fault": str(error)}

    def _extract(self, row: dict) -> dict:
        from agser_core.isolation import IsolatedExtractor

        self.extractor = self.extractor or IsolatedExtractor(self.settings)
        started, own_cpu, child_cpu = time.perf_counter(), time.process_time(), self.extractor.cpu_seconds
        unit, clips = row["unit"], [Clip(**clip) for clip in json.loads(row["clips"])]
        identities = json.loads(row["identities"])
        extracted = self.extractor.extract(clips)
        rows = {}
        for name, table in extracted.tables().items():
            rows[name] = table.num_rows
            if rows[name] or name not in OFTEN_EMPTY:
                tables.write_parquet(table, self.folder.join(name, f"{unit}.parquet"))
        mark = {
            "clips": identities,
            "rows": rows,
            "limits": self.limits,
            "gave_up": sorted(set(extracted.errors["error_class"].to_pylist()) & _LIMITED_BY.keys()),
            "seconds": extracted.seconds,
            "wall_seconds": time.perf_counter() - started,
            "cpu_seconds": time.process_time() - own_cpu + self.extractor.cpu_seconds - child_cpu,
            "media_seconds": sum(extracted.clips["duration"].to_pylist()),
            "peak_memory_bytes": peak_memory() + self.extractor.peak_memory_bytes,
            "vector_shape": self.extractor.vector_shape,
            "encoder": self.extractor.encoder_name,
            "pretrained": self.extractor.pretrained,
        }
        self.folder.join("units", f"{unit}.json").write_text(json.dumps(mark))
        return {"done": len(clips), "failed": rows["errors"]}


def committed_units(output: StageOutput) -> dict[str, dict]:
    """The commit marks of an output folder by unit."""
    files = output.folder.join("units").list()
    with ThreadPoolExecutor(16) as pool:
        marks = pool.map(lambda file: json.loads(file.read_text()), files)
        return {file.name.removesuffix(".json"): mark for file, mark in zip(files, marks, strict=True)}


def clip_identities(clips: list[Clip], settings: ExtractSettings) -> dict[str, str]:
    """What each clip's rows depend on: all that the corpus says of it, and the files read for it as they are (local
    ones), those of the dictionary and of an encoder from a local folder among them."""
    shared = [Location.parse(settings.phones.dictionary)] if settings.phones.dictionary else []
    if folder := encoder_folder(settings.speech.encoder):
        shared += Location.parse(folder).list()
    of_all = [location.stamp() for location in shared]
    return {clip.clip_id: fingerprint([dataclasses.asdict(clip), _stamps(clip, settings), of_all]) for clip in clips}


def _stamps(clip: Clip, settings: ExtractSettings) -> list[tuple[int, int] | None]:
    files = [clip.audio_uri, clip.video_uri, clip.phones_uri]
    if settings.mouth.source == "openface" and settings.mouth.openface_folder:
        files.append(openface_csv(clip, settings).uri)
    return [Location.parse(uri).stamp() for uri in files if uri]


def limits_of(settings: ExtractSettings, memory_bytes: int) -> dict[str, float]:
    """What a clip may take: seconds of work, and an actor's memory."""
    return {"clip_seconds": settings.clip_seconds_limit, "memory_bytes": memory_bytes}


def current_units(marks: dict[str, dict], identities: dict[str, str], limits: dict[str, float]) -> dict[str, dict]:
    """The committed units that stand, no clip in two; the others are done again.

    A unit stands if each of its clips is still in the corpus and unchanged, and none was given up for a limit that has
    been raised since. Where units share clips (done again with other limits, or by what is left of a killed run), the
    ones that gave up less, then those with higher limits, come first.
    """
    standing = {
        unit: mark
        for unit, mark in marks.items()
        if all(identities.get(clip) == identity for clip, identity in mark["clips"].items())
        and all(mark["limits"][limit] >= limits[limit] for limit in map(_LIMITED_BY.get, mark["gave_up"]))
    }
    chosen, taken = {}, set()
    for unit, mark in sorted(standing.items(), key=_worth):
        if taken.isdisjoint(mark["clips"]):
            chosen[unit] = mark
            taken.update(mark["clips"])
    return chosen


def _worth(item: tuple[str, dict]) -> tuple:
    unit, mark = item
    return len(mark["gave_up"]), [-limit for limit in mark["limits"].values()], unit


def units_to_do(
    clips: list[Clip], identities: dict[str, str], marks: dict[str, dict], size: int, limits: dict[str, float]
) -> list[dict]:
    """What is not committed yet, in units of `size` clips, or more in a very large corpus.

    A unit is named by its clips and limits: done twice it overwrites itself, done again with higher limits it leaves
    the parts alone that a manifest may name.
    """
    done = {clip for mark in marks.values() for clip in mark["clips"]}
    left = [clip for clip in clips if clip.clip_id not in done]
    size = max(size, math.ceil(len(clips) / _MOST_UNITS))
    units = []
    for start in range(0, len(left), size):
        group = left[start : start + size]
        own = {clip.clip_id: identities[clip.clip_id] for clip in group}
        rows = json.dumps([dataclasses.asdict(clip) for clip in group])
        units.append({"unit": fingerprint([own, limits]), "clips": rows, "identities": json.dumps(own)})
    return units


@dataclasses.dataclass
class Plan:
    """What one corpus still needs. finished: the output names just the units that are current, none is missing, and it
    tells what the adapter now says of other files."""

    output: StageOutput
    corpus: corpora.Corpus
    identities: dict[str, str]
    limits: dict[str, float]
    units: list[dict]
    finished: bool
    spilled_bytes: int = 0

    @property
    def name(self) -> str:
        return self.corpus.name


def plan_corpus(experiment: Experiment, name: str) -> Plan:
    """List the clips of a corpus and what of them is not committed yet."""
    output, source = extract_output(experiment, name), experiment.corpora[name]
    corpus = corpora.read(source.adapter, source.path, **source.options)
    corpus.name, corpus.clips = name, [dataclasses.replace(clip, corpus=name) for clip in corpus.clips]
    check_unique(corpus.clips)
    identities = clip_identities(corpus.clips, experiment.extract)
    limits = limits_of(experiment.extract, memory_bytes(experiment.ray))
    marks = current_units(committed_units(output), identities, limits)
    units = units_to_do(corpus.clips, identities, marks, experiment.extract.clips_per_unit, limits)
    manifest = output.manifest() if output.is_complete() else {}
    wanted = [sorted(f"{unit}.parquet" for unit in marks), listing_of(corpus)]
    finished = (
        not units and bool(manifest) and [manifest["tables"]["clips"]["files"], manifest.get("listing")] == wanted
    )
    return Plan(output, corpus, identities, limits, units, finished)


def listing_of(corpus: corpora.Corpus) -> str:
    """A hash of what an adapter says beside the clips."""
    return fingerprint([[dataclasses.asdict(problem) for problem in corpus.problems], corpus.missing, corpus.notes])


def memory_bytes(settings: RaySettings) -> int:
    """What is reserved for one extraction actor, its isolated process included."""
    return int(settings.extract_memory_gb * 2**30)


def workers_that_fit(settings: RaySettings, nodes: list[dict]) -> int:
    """How many extraction actors to start: the settings' number, else as many as the living nodes (of `ray.nodes()`)
    hold.

    An actor takes a CPU, its memory and its share of GPUs from one node. Raises ConfigError where not one fits: Ray
    would wait for ever. With a number in the settings it may wait, because a cluster may start nodes for it.
    """
    if settings.extract_workers:
        return settings.extract_workers
    wanted = {"CPU": 1, "memory": memory_bytes(settings), "GPU": settings.extract_gpus}
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    fits = sum(min(int(node.get(name, 0) / need) for name, need in wanted.items() if need) for node in alive)
    if not fits:
        memory, gpus = (max((node.get(name, 0) for node in alive), default=0) for name in ("memory", "GPU"))
        raise ConfigError(
            f"no node has a CPU, {settings.extract_memory_gb:g} GB of memory and {settings.extract_gpus:g} GPUs for an "
            f"extraction actor; the largest has {memory / 2**30:.1f} GB and {gpus:g} GPUs: lower ray.extract_memory_gb "
            "or ray.extract_gpus, or add a node; for a cluster that starts nodes as they are asked for, set "
            "ray.extract_workers"
        )
    return fits


def extract_missing(experiment: Experiment, plan: Plan, actor: type = UnitExtractor) -> None:
    """Run a corpus' missing units on Ray, which must be connected, through actors of a class."""
    import ray.data

    from pipelines.ray_session import spilled_bytes

    todo, total = sum(len(json.loads(unit["clips"])) for unit in plan.units), len(plan.corpus.clips)
    progress = Progress(f"extract {plan.name}", "clips", total, already=total - todo)
    workers = min(workers_that_fit(experiment.ray, ray.nodes()), len(plan.units))
    memory, spilled_before = memory_bytes(experiment.ray), spilled_bytes()
    results = ray.data.from_items(plan.units, override_num_blocks=min(len(plan.units), 32 * workers)).map(
        actor,
        fn_constructor_kwargs={
            "settings": experiment.extract,
            "folder": plan.output.folder.uri,
            "memory_bytes": memory,
        },
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=experiment.ray.extract_gpus or None,
        memory=memory,
    )
    for row in results.iter_rows():
        if row["fault"]:
            raise AgserError(f"{row['fault']}. What is committed stays: the same command goes on from there")
        progress.add(row["done"], row["failed"])
    plan.spilled_bytes = spilled_bytes() - spilled_before


def _commit(plan: Plan, marks: dict[str, dict]) -> dict:
    """Name the committed parts in the manifest, and the files that the adapter could not take as errors."""
    output, corpus = plan.output, plan.corpus
    for table in TABLES:
        rows = {unit: mark["rows"][table] for unit, mark in marks.items()}
        parts = [f"{unit}.parquet" for unit in sorted(rows) if rows[unit] or table not in OFTEN_EMPTY]
        output.adopt_table(table, parts, sum(rows.values()))
    problems = tables.from_rows([_problem_row(corpus.name, problem) for problem in corpus.problems], tables.ERRORS)
    failed = [output.folder.join("errors", f"{unit}.parquet") for unit, mark in marks.items() if mark["rows"]["errors"]]
    errors = pa.concat_tables([problems, *(tables.read_parquet([file]) for file in failed)])
    output.write_table("errors", problems, part="listing")
    some = next(iter(marks.values()), {})
    return output.commit(
        report={**measure(marks.values(), errors), "spilled_bytes": plan.spilled_bytes},
        vector_shape=some.get("vector_shape"),
        encoder=some.get("encoder"),
        pretrained=some.get("pretrained"),
        listing=listing_of(corpus),
        notes=corpus.notes,
        missing=corpus.missing,
    )


def _problem_row(corpus: str, problem: corpora.Problem) -> dict:
    return {
        "clip_id": Location(problem.uri).name,
        "corpus": corpus,
        "stage": "extract",
        "step": "list",
        "error_class": "file",
        "reason": problem.reason,
        "remedy": problem.remedy,
        "uri": problem.uri,
    }


def run(experiment: Experiment) -> int | None:
    """Decode clips, track mouths, set phone times, encode speech.

    Reads the corpora of the experiment; writes the tables clips, segments, tracks, phone_vectors, frames and errors of
    each corpus (docs/how-it-works.md). A clip that can't be processed becomes a row of errors with the reason and costs
    no other clip. The same command again goes on where it stopped, and takes up clips that were added, changed or
    mended since.
    """
    return run_plans(experiment, [plan_corpus(experiment, name) for name in experiment.corpora])


def run_plans(experiment: Experiment, plans: list[Plan]) -> int | None:
    """Do what the corpora still need."""
    if any(plan.units for plan in plans):
        from pipelines.ray_session import ray_session

        with ray_session(experiment.ray):
            for plan in plans:
                if plan.units:
                    extract_missing(experiment, plan)
    codes = [_finish(plan, experiment.extract.failure_budget) for plan in plans]
    return max(codes) or None


def _finish(plan: Plan, failure_budget: float) -> int:
    """Commit a corpus where anything is new, and say what came of it."""
    output = plan.output
    if plan.finished:
        say(f"extract {plan.name}: all {len(plan.corpus.clips)} clips were done before, nothing to do")
        manifest = output.manifest()
    else:
        manifest = _commit(plan, current_units(committed_units(output), plan.identities, plan.limits))
        for line in lines(manifest["report"]):
            say(line)
    rows = {table: entry["rows"] for table, entry in manifest["tables"].items()}
    failed = rows["errors"] / max(1, rows["clips"] + rows["errors"])
    if manifest["missing"]:
        missing = manifest["missing"]
        say(f"extract {plan.name}: {len(missing)} published files are not here, such as {missing[0]}")
    counts = f"{rows['clips']} clips, {rows['segments']} phone segments, {rows['errors']} errors"
    say(f"extract {plan.name}: {counts} -> {output.folder.uri}")
    if rows["clips"] and failed <= failure_budget:
        return 0
    say(f"extract {plan.name}: {failed:.1%} failed, more than extract.failure_budget allows; first reasons:")
    for row in output.table("errors").slice(0, 5).to_pylist():
        say(f"  {row['clip_id']}: {row['reason']}. {row['remedy']}")
    return EXIT_BUDGET


main = stage_command("extract", "extract", "ray")(run)

if __name__ == "__main__":
    main()
