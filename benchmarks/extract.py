"""Extraction beside a plain loop of the same calls, and beside its peers. `make bench-extract`, or
`python -m benchmarks.extract`.

Prints tables and, as the last line, one JSON object; exits with 1 where a bar is missed. The clips are generated: 24
talking faces of nobody (480 x 360, 30 frames/s, 2 s), named again and again by one manifest. The plain loop is one
process that decodes, tracks, aligns and encodes clip after clip and keeps nothing. The jobs are `agser extract` as a
user gives it, with one worker and with two; their rates are taken from the commit marks between the first unit and the
last, so that what comes before the first unit (Ray, imports, models) is shown apart.

Overhead is told twice: of wall time, which is what a user waits for, and of CPU time (actor and isolated process
against the loop's process), which other work on the machine disturbs less. dlib's landmarks run in an environment of
their own: name its Python in AGSER_DLIB_PYTHON (dlib-bin, av, numpy, face_recognition_models without dependencies);
without it the figure is null.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

BARS = {"overhead": 0.15, "two_workers_over_one": 1.7, "spilled_bytes": 0, "row_time_large_over_small": 1.5}
AT_MOST = {"overhead", "spilled_bytes", "row_time_large_over_small"}
CLIPS = 160
ROWS = (10_000, 100_000)
UNIT = 8


def make_clips(folder: Path) -> list[dict]:
    """Render the distinct clips; returns the rows of their manifest."""
    from agser_core.corpora.sample.generate import render, write_manifest
    from agser_core.corpora.sample.plan import plan

    specs = plan("alder", 0, 3, 2)
    for spec in specs:
        render(spec, str(folder))
    write_manifest(specs, str(folder))
    with open(folder / "alder" / "clips.csv", newline="") as file:
        return list(csv.DictReader(file))


def write_manifest(file: Path, rows: list[dict], count: int) -> None:
    """A manifest of `count` clips that names the same files again and again. Paths stay relative to its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        for number in range(count):
            row = rows[number % len(rows)]
            writer.writerow({**row, "clip_id": f"{row['clip_id']}-{number:06d}"})


def plain_loop(manifest: Path, count: int) -> dict:
    """The same calls as extraction makes, one clip after the other, for the first `count` clips of a manifest."""
    import numpy as np

    from agser_core import corpora, media
    from agser_core.mouth.mediapipe_tracker import MediaPipeTracker
    from agser_core.mouth.trajectory import trajectory
    from agser_core.phones.aligner import Aligner
    from agser_core.phones.inventory import is_vowel
    from agser_core.speech import load_encoder
    from agser_core.speech.pooling import pool

    clips = corpora.read("manifest", str(manifest)).clips
    began = time.perf_counter()
    aligner, tracker, encoder = Aligner(), MediaPipeTracker(), load_encoder()
    steps: Counter = Counter()
    media_seconds = frames = 0.0

    def timed(step: str, function, *arguments):
        started = time.perf_counter()
        result = function(*arguments)
        steps[step] += time.perf_counter() - started
        return result

    def extract(clip) -> None:
        nonlocal media_seconds, frames
        waveform = timed("decode audio", media.read_audio, clip.audio_uri)
        phones = timed("phones", aligner.align, waveform, 16000, clip.transcript).phones
        track = timed("track", tracker.track, clip.video_uri)
        movement = timed("cut", trajectory, track)
        timed("cut", lambda: [movement.cut(p.start, p.end) for p in phones if is_vowel(p.label, stress=p.stress)])
        (vectors,) = timed("encode", encoder.encode, [waveform])
        timed("encode", lambda: pool(vectors, encoder.frame_rate, phones).astype(np.float16))
        media_seconds += len(waveform) / 16000
        frames += len(track)

    extract(clips[0])
    steps.clear()
    media_seconds = frames = 0.0
    ready, cpu = time.perf_counter(), time.process_time()
    for clip in clips[:count]:
        extract(clip)
    wall, cpu = time.perf_counter() - ready, time.process_time() - cpu
    return {
        "start_seconds": ready - began,
        "clips_per_second": count / wall,
        "cpu_seconds_per_clip": cpu / count,
        "media_seconds_per_clip": media_seconds / count,
        "frames_per_clip": frames / count,
        "steps": {step: spent / count for step, spent in steps.items()},
    }


def job(folder: Path, manifest: Path, workers: int, name: str) -> dict:
    """`agser extract` with so many workers: rates from its commit marks."""
    config = folder / f"{name}.yaml"
    config.write_text(
        json.dumps(
            {
                "name": name,
                "output": str(folder / name),
                "corpora": {"bench": {"adapter": "manifest", "path": str(manifest)}},
                "extract": {"clips_per_unit": UNIT},
                "ray": {"extract_workers": workers},
            }
        )
    )
    started = time.time()
    command = [sys.executable, "-m", "pipelines.cli", "extract", "-c", str(config)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    ended = time.time()
    (manifest_file,) = (folder / name).glob("extract/bench/*/manifest.json")
    report = json.loads(manifest_file.read_text())["report"]
    files = sorted((manifest_file.parent / "units").iterdir(), key=lambda file: file.stat().st_mtime)
    marks = [json.loads(file.read_text()) for file in files]
    times = [file.stat().st_mtime for file in files]
    # The window between two marks holds the units after the first; the last ones may find a worker idle.
    first, last = workers - 1, len(marks) - workers
    inside = marks[first + 1 : last + 1]
    clips = sum(len(mark["clips"]) for mark in inside)
    return {
        "start_seconds": times[0] - started - marks[0]["wall_seconds"],
        "end_seconds": ended - times[-1],
        "clips_per_second": clips / (times[last] - times[first]),
        "cpu_seconds_per_clip": sum(mark["cpu_seconds"] for mark in inside) / clips,
        "report": report,
    }


def rates(results: dict, folder: Path, rows: list[dict]) -> None:
    """Plain loop, one worker, two workers, each twice and in turns; the better of each."""
    manifest = folder / "alder" / "bench.csv"
    write_manifest(manifest, rows, CLIPS)
    loops, ones, twos = [], [], []
    for turn in range(2):
        loops.append(in_process("plain", str(manifest), str(CLIPS // 2)))
        ones.append(job(folder, manifest, 1, f"one-{turn}"))
        twos.append(job(folder, manifest, 2, f"two-{turn}"))
    loop, one, two = (max(turns, key=lambda turn: turn["clips_per_second"]) for turns in (loops, ones, twos))
    least = [min(turn["cpu_seconds_per_clip"] for turn in turns) for turns in (loops, ones)]
    seconds = loop["media_seconds_per_clip"]
    line("clips, each", seconds, "s", f"{loop['frames_per_clip']:.0f} frames")
    for what, run in (("plain loop", loop), ("job, one worker", one), ("job, two workers", two)):
        rate = run["clips_per_second"]
        line(what, rate, "clips/s", f"real-time factor {1 / rate / seconds:.3f}, start-up {run['start_seconds']:.1f} s")
    results |= {
        "plain_clips_per_second": loop["clips_per_second"],
        "clips_per_second": one["clips_per_second"],
        "real_time_factor_per_core": 1 / one["clips_per_second"] / seconds,
        "overhead": loop["clips_per_second"] / one["clips_per_second"] - 1,
        "overhead_cpu": least[1] / least[0] - 1,
        "two_workers_over_one": two["clips_per_second"] / one["clips_per_second"],
        "two_plain_loops_over_one": two_loops(manifest, loop),
        "start_seconds": one["start_seconds"],
        "spilled_bytes": max(turn["report"]["spilled_bytes"] for turn in ones + twos),
        "peak_memory_bytes": max(turn["report"]["peak_memory_bytes"] for turn in ones + twos),
    }
    print(f"\n{'where a second of a clip goes':38s} {'loop':>10s} {'job':>10s}   seconds a clip")
    steps = one["report"]["steps"]
    for step, figures in steps.items():
        print(f"  {step:36s} {loop['steps'].get(step, 0.0):10.4f} {figures['seconds'] / one['report']['clips']:10.4f}")
    print()


def two_loops(manifest: Path, loop: dict) -> float:
    """What two plain loops side by side reach over one: the most that this machine gives two workers."""
    command = [sys.executable, "-m", "benchmarks.extract", "plain", str(manifest), str(CLIPS // 2)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    rate = sum(json.loads(run.communicate()[0].splitlines()[-1])["clips_per_second"] for run in running)
    return rate / loop["clips_per_second"]


def peers(results: dict, folder: Path, rows: list[dict]) -> None:
    """Landmarks alone, frames a second of CPU: MediaPipe's face mesh as its own guide uses it, and dlib's 68 points."""
    videos = [str(folder / "alder" / row["file"]) for row in rows]
    ours, plain = in_process("track", *videos), in_process("mediapipe", *videos)
    results["track_frames_per_cpu_second"] = ours
    results["mediapipe_frames_per_cpu_second"] = plain
    line("decode and track", ours, "frames/s", f"plain MediaPipe loop over OpenCV {plain:.0f}")
    python = os.environ.get("AGSER_DLIB_PYTHON")
    results["dlib_frames_per_cpu_second"] = None
    if python and Path(python).exists():
        script = Path(__file__).with_name("dlib_landmarks.py")
        done = subprocess.run([python, str(script), *videos], check=True, capture_output=True, text=True)
        results["dlib_frames_per_cpu_second"] = float(done.stdout)
        line("  dlib, detector and 68 points", float(done.stdout), "frames/s", "in every frame")


def frames_per_cpu_second(videos: list[str], track) -> float:
    track(videos[0])
    started = time.process_time()
    return sum(track(video) for video in videos) / (time.process_time() - started)


def our_tracker(videos: list[str]) -> float:
    from agser_core.mouth.mediapipe_tracker import MediaPipeTracker

    tracker = MediaPipeTracker()
    return frames_per_cpu_second(videos, lambda video: len(tracker.track(video)))


def plain_mediapipe(videos: list[str]) -> float:
    """As MediaPipe's guide does it: OpenCV's frames, one mesh object a video."""
    import cv2
    from mediapipe.python.solutions.face_mesh import FaceMesh

    def track(video: str) -> int:
        capture, count = cv2.VideoCapture(video), 0
        with FaceMesh(max_num_faces=1, refine_landmarks=True) as mesh:
            while (read := capture.read())[0]:
                mesh.process(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
                count += 1
        return count

    return frames_per_cpu_second(videos, track)


def large_manifest(results: dict, folder: Path, rows: list[dict]) -> None:
    """A job that extracts nothing: time and the driver's memory a row, for 10^4 and 10^5 rows; listings counted."""
    figures = {}
    for count in ROWS:
        manifest = folder / "alder" / f"rows-{count}.csv"
        write_manifest(manifest, rows, count)
        figures[count] = in_process("rows", str(manifest), str(folder / f"rows-{count}"))
        seconds = figures[count]["seconds"]
        line(
            f"{count} rows that extract nothing",
            1e6 * sum(seconds.values()) / count,
            "us/row",
            ", ".join(f"{step} {spent:.1f} s" for step, spent in seconds.items())
            + f"; driver +{figures[count]['driver_bytes'] / 2**20:.0f} MiB, {figures[count]['units']} units, "
            + f"{figures[count]['listings']} listings; beside: starting actors "
            + f"{figures[count]['starting_seconds']:.1f} s, the same again {figures[count]['again_seconds']:.1f} s",
        )
    small, large = (figures[count] for count in ROWS)
    per_row = [sum(figures[count]["seconds"].values()) / count for count in ROWS]
    results |= {
        "rows": ROWS[-1],
        "row_microseconds": 1e6 * per_row[1],
        "row_time_large_over_small": per_row[1] / per_row[0],
        "driver_bytes_per_row": (large["driver_bytes"] - small["driver_bytes"]) / (ROWS[1] - ROWS[0]),
        "units": large["units"],
        "listings": large["listings"],
    }


def extract_nothing(manifest: str, output: str) -> dict:
    """Plan, run and commit a manifest through actors whose extractor gives empty tables."""
    from agser_core.experiment import Experiment
    from agser_core.extraction import Unit
    from agser_core.outputs import peak_memory
    from agser_core.storage import Location
    from pipelines import extract
    from pipelines.ray_session import ray_session

    class Nothing:
        vector_shape, encoder_name, pretrained, peak_memory_bytes, cpu_seconds = (1, 1), "none", False, 0, 0.0

        def extract(self, clips):
            rows = [{"clip_id": clip.clip_id, "duration": 1.0} for clip in clips]
            return Unit.of({"clips": rows}, {})

    class Extractor(extract.UnitExtractor):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            self.extractor = Nothing()

    listings, list_folder = Counter(), Location.list

    def counted(self, *arguments, **options):
        listings["all"] += 1
        return list_folder(self, *arguments, **options)

    Location.list = counted
    settings = {"name": "rows", "output": output, "corpora": {"rows": {"adapter": "manifest", "path": manifest}}}
    experiment = Experiment(**settings)
    seconds = {}
    with ray_session(experiment.ray):
        before, started = peak_memory(), time.perf_counter()
        plan = extract.plan_corpus(experiment, "rows")
        seconds["plan"] = time.perf_counter() - started
        warm(extract, experiment, plan, Extractor)
        started = time.time()
        extract.extract_missing(experiment, plan, Extractor)
        first = min(os.stat(mark.path).st_mtime for mark in plan.output.folder.join("units").list())
        seconds["run"], starting = time.time() - first, first - started
    started = time.perf_counter()
    extract._finish(plan, 0.0)
    seconds["commit"] = time.perf_counter() - started
    after, started = peak_memory(), time.perf_counter()
    assert extract.plan_corpus(experiment, "rows").finished
    return {
        "seconds": seconds,
        "driver_bytes": after - before,
        "units": len(plan.units),
        "listings": listings["all"],
        "again_seconds": time.perf_counter() - started,
        "starting_seconds": starting,
    }


def warm(extract, experiment, plan, actor) -> None:
    """One unit through Ray before the clock starts: the first dataset of a session takes seconds."""
    import dataclasses

    from agser_core.outputs import StageOutput

    elsewhere = StageOutput.of(f"{experiment.output}-warm", "extract", {})
    extract.extract_missing(experiment, dataclasses.replace(plan, output=elsewhere, units=plan.units[:1]), actor)


PARTS = {
    "plain": lambda manifest, count: plain_loop(Path(manifest), int(count)),
    "track": lambda *videos: our_tracker(list(videos)),
    "mediapipe": lambda *videos: plain_mediapipe(list(videos)),
    "rows": extract_nothing,
}


def in_process(part: str, *arguments: str):
    """A part in a process of its own: none warms or fills the memory of another."""
    command = [sys.executable, "-m", "benchmarks.extract", part, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def line(what: str, figure: float, unit: str, remark: str = "") -> None:
    print(f"{what:38s} {figure:12.5g} {unit:10s} {remark}", flush=True)


def main() -> int:
    if len(sys.argv) > 1 and sys.argv[1] in PARTS:
        print(json.dumps(PARTS[sys.argv[1]](*sys.argv[2:])))
        return 0
    results: dict = {}
    with tempfile.TemporaryDirectory(prefix="agser-bench-") as name:
        rows = make_clips(Path(name))
        for part in (rates, peers, large_manifest):
            part(results, Path(name), rows)
    missed = []
    for key, bar in BARS.items():
        met = results[key] <= bar if key in AT_MOST else results[key] >= bar
        print(
            f"{key:38s} {results[key]:12.5g} {'<=' if key in AT_MOST else '>='} {bar:<8g} {'met' if met else 'MISSED'}"
        )
        missed += [] if met else [key]
    print(json.dumps(results))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
