"""Soft-DTW beside its peers: speed and accuracy, side by side. `make bench-softdtw`, or `python -m benchmarks.softdtw`.

Prints a table and, as the last line, one JSON object; exits with 1 where a bar is missed or a figure is missing. Every
ratio is of CPU seconds of one thread (the best of several runs, the two sides taken in turns), so that other work on
the machine disturbs it least. tslearn is measured in this process. aeon needs another numpy and numba, so it runs in an
environment of its own, which `make` sets up; AGSER_AEON_PYTHON names its Python. Ray's figures are wall times. Shares
and overheads are fractions of 1.
"""

from __future__ import annotations

import functools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
from numba import njit  # noqa: E402

from agser_core.gestures.kmeans import SoftDTWKMeans  # noqa: E402
from agser_core.ragged import Ragged  # noqa: E402
from agser_core.softdtw import pairwise, resample, soft_dtw_gradient  # noqa: E402
from agser_core.softdtw.reference import soft_dtw_reference  # noqa: E402

BARS = {
    "assignment_over_tslearn": 800,
    "assignment_over_aeon": 40,
    "assignment_share_of_limit": 0.4,
    "gradient_over_tslearn": 50,
    "kmeans_over_tslearn": 300,
    "ray_overhead": 0.2,
    "ray_peak_over_data": 3.0,
    "two_actors_over_one": 1.6,
    "max_relative_error": 1e-6,
    "max_relative_error_float64": 1e-12,
    "second_process_seconds": 1.0,
}
AT_MOST = {
    "ray_overhead",
    "ray_peak_over_data",
    "max_relative_error",
    "max_relative_error_float64",
    "second_process_seconds",
}
CLUSTERS, LENGTH, DIMENSION = 10, 12, 24
# Operations of one cell on the multiply-add ports: 24 for the cost and 6 for 2**-y and the recursion. 16 cells at once
# also take 3 scalings of a whole cycle (0 where these have their own port).
MULTIPLY_ADDS = DIMENSION + 6
SCALING_CYCLES = 3 / 16
# A core with two 512-bit multiply-add ports does 32 float32 ones a cycle: 1.13 cycles a cell.
TWO_PORTS = 32


def segments_of(count: int, seed: int = 0, dtype: type = np.float32) -> Ragged:
    """Noisy, time-warped mouth movements of 14 prototypes: 3 to 40 frames (mean 10), 12 lip points, per-frame squared
    distances of 0.3 to 8.5 (median 2.9)."""
    rng, prototypes = np.random.default_rng(seed), np.random.default_rng(12345)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    mouth = np.stack([np.cos(angle), 0.5 * np.sin(angle)], axis=1).ravel()
    knots = prototypes.normal(0, 0.25, (14, 5, DIMENSION))
    lengths = np.clip(np.round(3 + rng.gamma(1.9, 3.7, count)), 3, 40).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    segment = np.repeat(np.arange(count), lengths)
    place = (np.arange(offsets[-1]) - offsets[segment]) / (lengths[segment] - 1)
    warp = rng.uniform(0.6, 1.6, count)[segment]
    time_ = 4 * place**warp
    before = np.minimum(time_.astype(np.int64), 3)
    share = (time_ - before)[:, None]
    share = share * share * (3 - 2 * share)
    which = rng.integers(0, 14, count)[segment]
    frames = mouth + knots[which, before] * (1 - share) + knots[which, before + 1] * share
    frames += rng.normal(0, 0.12, frames.shape) + rng.normal(0, 0.08, (count, DIMENSION))[segment]
    return Ragged(frames.astype(dtype), offsets)


def centroids_of(segments: Ragged, seed: int = 0) -> np.ndarray:
    chosen = np.random.default_rng(seed).choice(len(segments), CLUSTERS, replace=False)
    return np.stack([resample(segments[int(i)], LENGTH) for i in chosen])


def cpu_seconds(*calls: tuple[Callable[[], object], int]) -> list[float]:
    """Least CPU seconds of each call over its number of runs, the calls taken in turns."""
    best = [math.inf] * len(calls)
    for call, _ in calls:
        call()
    for turn in range(max(runs for _, runs in calls)):
        for i, (call, runs) in enumerate(calls):
            if turn % (max(runs for _, runs in calls) // runs) == 0:
                started = time.process_time()
                call()
                best[i] = min(best[i], time.process_time() - started)
    return best


def padded(segments: Ragged) -> np.ndarray:
    """tslearn's layout: float64 [N, longest, D], NaN past the end."""
    out = np.full((len(segments), int(segments.lengths.max()), segments.dimension), np.nan)
    for i in range(len(segments)):
        out[i, : segments.lengths[i]] = segments[i]
    return out


def assignment(results: dict) -> None:
    """5000 segments against 10 centroids."""
    from tslearn.metrics import cdist_soft_dtw

    segments = segments_of(5000)
    centroids = centroids_of(segments)
    cells = int(segments.lengths.sum()) * LENGTH * CLUSTERS
    theirs = padded(segments)
    ours = lambda: pairwise(segments, centroids.astype(np.float32), 1.0, metric="soft_dtw")  # noqa: E731
    wide = segments.astype(np.float64)
    ours_64 = lambda: pairwise(wide, centroids, 1.0, metric="soft_dtw")  # noqa: E731
    peer = lambda: cdist_soft_dtw(theirs, centroids, gamma=1.0)  # noqa: E731
    fast, exact, slow = cpu_seconds((ours, 120), (ours_64, 60), (peer, 3))
    expected = peer()
    results["assignment_over_tslearn"] = slow / fast
    results["assignment_float64_over_tslearn"] = slow / exact
    results["assignment_cells_per_second"] = cells / fast
    cells_per_cycle = cells / fast / clock_rate()
    in_registers, in_matrix_product = multiply_adds_per_cycle()
    own_ports = max(in_registers, in_matrix_product)
    results["multiply_adds_per_cycle"] = in_registers
    results["multiply_adds_per_cycle_matrix_product"] = in_matrix_product
    results["assignment_share_of_limit"] = cells_per_cycle * (MULTIPLY_ADDS / own_ports + SCALING_CYCLES)
    results["assignment_share_of_two_port_limit"] = cells_per_cycle * (MULTIPLY_ADDS / TWO_PORTS + SCALING_CYCLES)
    results["assignment_share_of_harder_two_port_limit"] = cells_per_cycle * MULTIPLY_ADDS / TWO_PORTS
    line("assignment, 5000 x 10, float32", cells / fast / 1e6, "M cells/s", f"tslearn {cells / slow / 1e6:.2f}")
    line(
        "  the same in float64",
        cells / exact / 1e6,
        "M cells/s",
        f"off tslearn by {largest_error(ours_64(), expected):.0e}",
    )
    line(
        "  share of this core's limit", 100 * results["assignment_share_of_limit"], "%", f"{clock_rate() / 1e9:.2f} GHz"
    )
    line(
        "    its float32 multiply-adds a cycle",
        in_registers,
        "",
        f"in NumPy's matrix product {in_matrix_product:.1f}",
    )
    line("  share of the two-port limit", 100 * results["assignment_share_of_two_port_limit"], "%")


def largest_error(values: np.ndarray, expected: np.ndarray, floor: float = 1.0) -> float:
    return float((np.abs(values - expected) / np.maximum(np.abs(expected), floor)).max())


@njit
def _chain(count: int, step: int) -> int:
    value = step
    for _ in range(count):
        value = (value ^ step) + 1  # two operations that wait for each other, a cycle each
    return value


@functools.cache
def clock_rate() -> float:
    """Cycles a second of this core, from a chain of dependent integer operations."""
    (seconds,) = cpu_seconds((lambda: _chain(20_000_000, 3), 15))
    return 2 * 20_000_000 / seconds


CHAINS, DEPTH, ACROSS = 10, 8, 256


@njit(fastmath={"contract"}, error_model="numpy")
def _multiply_adds(values: np.ndarray, factor: np.float32, summand: np.float32, rounds: int) -> None:
    """CHAINS x DEPTH multiply-adds in registers for each of ACROSS lanes, which the compiler makes vectors of."""
    for _ in range(rounds):
        for lane in range(ACROSS):
            a, b, c = values[lane], values[ACROSS + lane], values[2 * ACROSS + lane]
            d, e, f = values[3 * ACROSS + lane], values[4 * ACROSS + lane], values[5 * ACROSS + lane]
            g, h, i, j = a + summand, b + summand, c + summand, d + summand
            for _ in range(DEPTH):
                a, b, c = a * factor + summand, b * factor + summand, c * factor + summand
                d, e, f = d * factor + summand, e * factor + summand, f * factor + summand
                g, h = g * factor + summand, h * factor + summand
                i, j = i * factor + summand, j * factor + summand
            values[lane], values[ACROSS + lane], values[2 * ACROSS + lane] = a + g, b + h, c + i
            values[3 * ACROSS + lane], values[4 * ACROSS + lane], values[5 * ACROSS + lane] = d + j, e, f


@functools.cache
def multiply_adds_per_cycle() -> tuple[float, float]:
    """float32 multiply-adds a cycle of this core, measured in two ways: a loop in registers, NumPy's matrix product.

    Two full 512-bit ports give 32; processors with a narrower data path 16. The limit takes the better of the two.
    """
    size, rounds = 1024, 2000
    matrix = np.full((size, size), 0.5, np.float32)
    values, factor, summand = np.ones(6 * ACROSS, np.float32), np.float32(0.25), np.float32(1)
    loop, product = cpu_seconds(
        (lambda: _multiply_adds(values, factor, summand, rounds), 30), (lambda: matrix @ matrix, 15)
    )
    return rounds * CHAINS * DEPTH * ACROSS / loop / clock_rate(), size**3 / product / clock_rate()


AEON = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np
from aeon.distances import soft_dtw_pairwise_distance
data = np.load(sys.argv[1])
x, y = data["x"], data["y"]
call = lambda: soft_dtw_pairwise_distance(x, y, gamma=1.0, n_jobs=1)
call()
best = 1e9
for _ in range(9):
    started = time.process_time(); values = call(); best = min(best, time.process_time() - started)
np.save(sys.argv[2], values)
print(json.dumps(best))
"""


def aeon(results: dict) -> None:
    """Equal lengths, where aeon's soft-DTW is right (unequal ones come out as infinity or NaN in part)."""
    results["assignment_over_aeon"] = None
    python = os.environ.get("AGSER_AEON_PYTHON")
    if not python:
        print("aeon: AGSER_AEON_PYTHON names no Python with aeon, not measured")
        return
    if subprocess.run([python, "-c", "import aeon"], capture_output=True).returncode:
        print(f"aeon: {python} has no aeon (could it not be installed?), not measured")
        return
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.35, (5000, 10, DIMENSION)).astype(np.float32)
    y = rng.normal(0, 0.35, (CLUSTERS, 10, DIMENSION)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "in.npz", Path(folder) / "out.npy"
        np.savez(given, x=x.transpose(0, 2, 1).astype(np.float64), y=y.transpose(0, 2, 1).astype(np.float64))
        before = cpu_seconds((lambda: pairwise(x, y, 1.0, metric="soft_dtw"), 60))[0]
        done = subprocess.run([python, "-c", AEON, given, answer], capture_output=True, text=True, check=True)
        after = cpu_seconds((lambda: pairwise(x, y, 1.0, metric="soft_dtw"), 60))[0]
        theirs = np.load(answer)
    slow, fast = json.loads(done.stdout), min(before, after)
    cells = 5000 * CLUSTERS * 100
    results["assignment_over_aeon"] = slow / fast
    error = largest_error(np.abs(pairwise(x, y, 1.0, metric="soft_dtw")), theirs)
    line(
        "equal lengths, 5000 x 10, float32",
        cells / fast / 1e6,
        "M cells/s",
        f"aeon {cells / slow / 1e6:.1f}, off by {error:.0e}",
    )


def gradient(results: dict) -> None:
    """One centroid over 5000 segments."""
    from tslearn.barycenters.softdtw import _acc_softdtw_func

    segments = segments_of(5000)
    centroid = centroids_of(segments)[0]
    wide = [np.ascontiguousarray(segments[i], np.float64) for i in range(len(segments))]
    weights = np.ones(len(segments))
    ours = lambda: soft_dtw_gradient(segments, centroid.astype(np.float32), 1.0)  # noqa: E731
    peer = lambda: _acc_softdtw_func(centroid.ravel(), wide, weights, 1.0)  # noqa: E731
    fast, slow = cpu_seconds((ours, 300), (peer, 6))
    cells = int(segments.lengths.sum()) * LENGTH
    results["gradient_over_tslearn"] = slow / fast
    expected = np.asarray(peer()[1]).reshape(LENGTH, DIMENSION)
    error = np.abs(ours()[1] - expected).max() / np.abs(expected).max()
    line(
        "gradient, 5000 x 1, float32",
        cells / fast / 1e6,
        "M cells/s",
        f"tslearn {cells / slow / 1e6:.1f}, off by {error:.0e}",
    )


def kmeans(results: dict) -> None:
    """The same start and five iterations; tslearn takes up to 10 L-BFGS steps an update."""
    from tslearn.clustering import TimeSeriesKMeans

    segments = segments_of(5000)
    start = centroids_of(segments)
    theirs = padded(segments)
    settings = {"metric": "softdtw", "max_iter_barycenter": 10, "metric_params": {"gamma": 1.0}, "n_init": 1, "tol": 0}
    TimeSeriesKMeans(n_clusters=2, max_iter=1, init=start[:2], **settings).fit(theirs[:40])
    started = time.process_time()
    peer = TimeSeriesKMeans(n_clusters=CLUSTERS, max_iter=5, init=start, **settings).fit(theirs)
    slow = time.process_time() - started

    steps = {"max_iter": 5, "tol": 0, "polish": True}

    def ours() -> SoftDTWKMeans:
        return SoftDTWKMeans(CLUSTERS, gamma=1.0, metric="soft_dtw", init=start, **steps).fit(segments)

    def mean_value(centroids: np.ndarray) -> float:
        wide = segments.astype(np.float64)
        return float(pairwise(wide, np.asarray(centroids), 1.0, metric="soft_dtw").min(axis=1).mean())

    (fast,) = cpu_seconds((ours, 25))
    their_inertia, our_inertia = mean_value(peer.cluster_centers_), mean_value(ours().cluster_centers_)
    no_worse = our_inertia <= their_inertia + 1e-6 * abs(their_inertia)
    results["kmeans_over_tslearn"] = slow / fast if no_worse else 0.0
    results["kmeans_objective"], results["kmeans_objective_tslearn"] = our_inertia, their_inertia
    line("k-means, 5000 x 10, 5 iterations", fast, "s CPU", f"tslearn {slow:.1f} s")
    line("  mean soft-DTW at the end", our_inertia, "", f"tslearn {their_inertia:.6f}")


def accuracy(results: dict) -> None:
    """Against the paper's recursion; relative to gamma times the steps of a path where that is larger."""
    for dtype in (np.float32, np.float64):
        worst = 0.0
        for gamma in (1e-3, 1e-2, 0.1, 1.0, 10.0):
            segments = segments_of(300, seed=7, dtype=dtype)
            references = centroids_of(segments).astype(dtype)
            values = pairwise(segments, references, gamma, metric="soft_dtw")
            expected = np.array([[soft_dtw_reference(segments[i], y, gamma) for y in references] for i in range(300)])
            steps = (segments.lengths + LENGTH)[:, None]
            worst = max(worst, largest_error(values, expected, gamma * steps))
        results["max_relative_error" if dtype is np.float32 else "max_relative_error_float64"] = worst
        line(f"largest relative error, {dtype.__name__}", worst, "", "gamma 0.001 to 10, 300 x 10")


SECOND_PROCESS = """
import time
import numpy as np
from agser_core.softdtw import pairwise
x = np.random.default_rng(0).normal(size=(50, 10, 24)).astype(np.float32)
pairwise(x, x[:3], 1.0)
print(time.process_time())
"""


def second_process(results: dict) -> None:
    """CPU seconds of a fresh interpreter up to its first values, the kernels compiled on disk."""
    command = [sys.executable, "-c", SECOND_PROCESS]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(5)]
    results["second_process_seconds"] = min(map(float, runs))
    line("second process: start to first values", results["second_process_seconds"], "s CPU")


def line(what: str, figure: float, unit: str, remark: str = "") -> None:
    print(f"{what:38s} {figure:12.5g} {unit:10s} {remark}", flush=True)


def main() -> int:
    from benchmarks.softdtw_ray import distributed

    results: dict[str, float | None] = {}
    for part in (assignment, aeon, gradient, kmeans, accuracy, second_process, distributed):
        part(results)
    missed = []
    for key, bar in BARS.items():
        figure = results[key]
        if figure is None:
            print(f"{key:38s} {'not measured':>12s}")
            missed.append(key)
            continue
        met = figure <= bar if key in AT_MOST else figure >= bar
        print(f"{key:38s} {figure:12.5g} {'<=' if key in AT_MOST else '>='} {bar:<8g} {'met' if met else 'MISSED'}")
        missed += [] if met else [key]
    print(json.dumps(results))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
