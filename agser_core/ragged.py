"""Segments of different lengths, packed: one array of frames and the offsets where each segment starts (the Arrow
list layout)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Ragged:
    """N segments of frames in R^D.

    Attributes:
        frames: float32 or float64 [F, D], all frames of all segments one after another, C-contiguous.
        offsets: int64 [N + 1]; segment i is ``frames[offsets[i]:offsets[i + 1]]``. The first offset may be above 0 (a
            slice of a larger array).

    Raises:
        ValueError: shapes or types do not fit, or a segment is empty (it is named).
    """

    frames: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        frames, offsets = np.asarray(self.frames), np.asarray(self.offsets)
        if frames.ndim != 2 or frames.shape[1] == 0:
            raise ValueError(f"frames must be [F, D] with D >= 1, got shape {frames.shape}")
        if frames.dtype not in (np.float32, np.float64):
            raise ValueError(f"frames must be float32 or float64, got {frames.dtype}: convert them with .astype")
        if offsets.ndim != 1 or len(offsets) == 0 or offsets.dtype.kind not in "iu":
            raise ValueError(f"offsets must be integers [N + 1], got {offsets.dtype} {offsets.shape}")
        offsets = np.ascontiguousarray(offsets, dtype=np.int64)
        if offsets[0] < 0 or offsets[-1] > len(frames):
            raise ValueError(f"offsets run from {offsets[0]} to {offsets[-1]}, outside the {len(frames)} frames")
        lengths = np.diff(offsets)
        if len(lengths) and lengths.min() <= 0:
            first = int(np.flatnonzero(lengths <= 0)[0])
            raise ValueError(f"segment {first} is empty ({lengths[first]} frames): drop it before packing")
        object.__setattr__(self, "frames", np.ascontiguousarray(frames))
        object.__setattr__(self, "offsets", offsets)

    @classmethod
    def from_list(cls, segments: Iterable[np.ndarray], dtype: np.dtype | type | None = None) -> Ragged:
        """Packs arrays [n_i, D] (or [n_i], taken as D = 1).

        Args:
            segments: the arrays; at least one.
            dtype: float32 or float64; by default float32 where every array is float32, else float64.

        Raises:
            ValueError: no segment, an empty one, mixed D, more than two axes; the segment is named.
        """
        arrays = [np.asarray(segment) for segment in segments]
        if not arrays:
            raise ValueError("no segments")
        arrays = [array[:, None] if array.ndim == 1 else array for array in arrays]
        dimension = arrays[0].shape[-1] if arrays[0].ndim == 2 else None
        for i, array in enumerate(arrays):
            if array.ndim != 2:
                raise ValueError(f"segment {i} must be [n, D], got shape {array.shape}")
            if len(array) == 0:
                raise ValueError(f"segment {i} is empty (0 frames): drop it before packing")
            if array.shape[1] != dimension:
                raise ValueError(f"segment {i} has D = {array.shape[1]}, segment 0 has D = {dimension}")
            if array.dtype.kind not in "fiub":
                raise ValueError(f"segment {i} has type {array.dtype}, wanted real numbers")
        if dtype is None:
            dtype = np.float32 if all(array.dtype == np.float32 for array in arrays) else np.float64
        offsets = np.zeros(len(arrays) + 1, np.int64)
        np.cumsum([len(array) for array in arrays], out=offsets[1:])
        return cls(np.concatenate(arrays, dtype=dtype), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        """View [n_i, D] of one segment."""
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"segment {index} of {size}")
        index %= size
        return self.frames[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """int64 [N], frames of each segment."""
        return np.diff(self.offsets)

    @property
    def dimension(self) -> int:
        return self.frames.shape[1]

    def slice(self, start: int, stop: int) -> Ragged:
        """Segments start..stop - 1 without copying frames."""
        return Ragged(self.frames, self.offsets[start : stop + 1])

    def take(self, indices: Sequence[int] | np.ndarray) -> Ragged:
        """A packed copy of the segments at `indices` (integers or a boolean mask), in that order."""
        indices = np.asarray(indices)
        indices = np.flatnonzero(indices) if indices.dtype == bool else indices.astype(np.int64)
        lengths = self.lengths[indices]
        offsets = np.zeros(len(indices) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return Ragged(self.frames[ranges(self.offsets[:-1][indices], lengths)], offsets)

    def astype(self, dtype: np.dtype | type) -> Ragged:
        return self if self.frames.dtype == dtype else Ragged(self.frames.astype(dtype), self.offsets)


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The integers start .. start + length - 1 of every pair, one range after another.

    >>> ranges(np.array([5, 0]), np.array([1, 2])).tolist()
    [5, 0, 1]
    """
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def as_ragged(segments: Ragged | np.ndarray | Sequence[np.ndarray]) -> Ragged:
    """A `Ragged` from what callers have: itself, an array [N, n, D] or [N, n] (D = 1) of equal lengths (not copied
    where it is contiguous float), or a list of arrays."""
    if isinstance(segments, Ragged):
        return segments
    if isinstance(segments, np.ndarray) and segments.ndim in (2, 3) and segments.size and segments.dtype.kind in "fiub":
        count, length = segments.shape[:2]
        frames = segments.reshape(count * length, -1)
        dtype = np.float32 if segments.dtype == np.float32 else np.float64
        return Ragged(frames.astype(dtype, copy=False), np.arange(count + 1) * length)
    return Ragged.from_list(segments)
