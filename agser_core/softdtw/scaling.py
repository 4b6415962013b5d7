"""From the caller's numbers to the kernel's: checks, the common shift and scale, and which float type holds the
result safely."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from agser_core.ragged import Ragged
from agser_core.softdtw import kernel

LN2 = math.log(2.0)


def check_gamma(gamma: float) -> float:
    """The smoothing as a float; ValueError unless finite and above 0."""
    if isinstance(gamma, str) or not math.isfinite(gamma) or gamma <= 0:
        raise ValueError(f"gamma must be a finite number above 0, got {gamma!r} (for hard DTW take a small one)")
    return float(gamma)


def check_finite(segments: Ragged, what: str = "segment", first: int = 0) -> float:
    """Largest |coordinate| of the segments; ValueError that names the first segment (counting from `first`) with NaN
    or infinity."""
    frames = segments.frames[segments.offsets[0] : segments.offsets[-1]]
    if len(frames) == 0:
        raise ValueError(f"no {what}s")
    integer = np.int32 if frames.dtype == np.float32 else np.int64
    largest = float(
        integer(kernel.largest_bits(frames.reshape(-1).view(integer), integer(np.iinfo(integer).max))).view(
            frames.dtype
        )
    )
    if math.isfinite(largest):
        return largest
    row = int(np.flatnonzero(~np.isfinite(frames).all(axis=1))[0]) + int(segments.offsets[0])
    index = int(np.searchsorted(segments.offsets, row, side="right")) - 1
    frame = row - int(segments.offsets[index])
    raise ValueError(f"{what} {first + index} has NaN or infinity in frame {frame}: drop or interpolate it first")


def check_dimension(segments: Ragged, references: Ragged) -> None:
    if segments.dimension != references.dimension:
        raise ValueError(f"the segments have D = {segments.dimension}, the references D = {references.dimension}")


@dataclass(frozen=True, eq=False)
class Scaling:
    """How coordinates become kernel units: (x - shift) * scale, with scale = sqrt(log2(e) / gamma).

    The shift (the references' mean frame) changes no distance; it keeps float32 accurate where coordinates are large
    against the shape.
    """

    gamma: float
    shift: np.ndarray  # [D] of the kernel's float type
    scale: np.floating
    dtype: np.dtype

    @property
    def unit(self) -> float:
        """Kernel results times this are soft-DTW values."""
        return self.gamma * LN2

    @property
    def one(self) -> np.floating:
        return self.dtype.type(1)

    @property
    def no_path(self) -> np.integer:
        """Exponent of a cell that no path reaches: it vanishes beside any real path sum."""
        return np.int32(-(2**29)) if self.dtype == np.float32 else np.int64(-(2**61))

    @property
    def tiny(self) -> np.floating:
        """Shares of paths below it are dropped: far under rounding, far above subnormal numbers."""
        return self.dtype.type(1e-18 if self.dtype == np.float32 else 1e-150)

    def apply(self, frames: np.ndarray) -> np.ndarray:
        """Kernel units, rounded once: computed in float64."""
        scaled = (frames.astype(np.float64) - self.shift.astype(np.float64)) * math.sqrt(math.log2(math.e) / self.gamma)
        return np.ascontiguousarray(scaled, dtype=self.dtype)

    def restore_sums(self, sums: np.ndarray, visits: np.ndarray) -> np.ndarray:
        """S = sum E x [..., T, D] in the caller's units from the kernel's sums and W [..., T]."""
        return sums / math.sqrt(math.log2(math.e) / self.gamma) + visits[..., None] * self.shift.astype(np.float64)


def choose_scaling(magnitude: float, shift: np.ndarray, steps: int, gamma: float, dtype: np.dtype) -> Scaling:
    """The scaling for data up to `magnitude` and paths of up to `steps` cells.

    Exponents are integers; where float32's 32-bit ones could overflow (gamma many orders of magnitude below the squared
    distances) float64 is taken.

    Raises:
        ValueError: gamma so small that even 64-bit exponents would not do.
    """
    dtype = np.dtype(dtype)
    reach = (magnitude + float(np.abs(shift).max())) ** 2 * 4 * len(shift) * math.log2(math.e) / gamma
    if dtype == np.float32 and reach * steps >= 2.0**28:
        dtype = np.dtype(np.float64)
    if reach >= 2.0**50 or reach * steps >= 2.0**60:
        raise ValueError(
            f"gamma = {gamma:g} is too small for coordinates up to {magnitude:g}: "
            f"squared distances / gamma reach {reach:.0e}; use a larger gamma or smaller units"
        )
    scale = dtype.type(math.sqrt(math.log2(math.e) / gamma))
    return Scaling(gamma, shift.astype(dtype), scale, dtype)


def run_tasks(tasks: Sequence[Callable[[], object]], threads: int) -> list:
    """Results of the tasks in their order. The kernels release the interpreter lock, so plain threads do."""
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if threads == 1 or len(tasks) <= 1:
        return [task() for task in tasks]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda task: task(), tasks))
