"""The segments tables as one long row of segments, readable in parts: what a shard of the distributed k-means loads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from agser_core.errors import AgserError
from agser_core.ragged import Ragged
from agser_core.storage import Location

KEYS = ["clip_id", "corpus", "position"]


@dataclass(frozen=True)
class SegmentSource:
    """Rows with a valid mouth (n_frames > 0) of Parquet files, in the order of the files.

    Attributes:
        files: URIs.
        kept: for every file, the number of such rows in each of its row groups.
    """

    files: tuple[str, ...]
    kept: tuple[tuple[int, ...], ...]

    @classmethod
    def scan(cls, folder: Location) -> SegmentSource:
        """Counts the segments of all Parquet files below a folder; reads one column."""
        files = [file.uri for file in folder.list(recursive=True) if file.uri.endswith(".parquet")]
        if not files:
            raise AgserError(f"no Parquet files below {folder.uri}: give the folder of a segments table")
        kept = []
        for uri in files:
            with _open(uri) as file:
                groups = (file.read_row_group(group, columns=["n_frames"]) for group in range(file.num_row_groups))
                kept.append(tuple(int((group["n_frames"].to_numpy() > 0).sum()) for group in groups))
        return cls(tuple(files), tuple(kept))

    def __len__(self) -> int:
        return sum(map(sum, self.kept))

    def read(self, start: int, stop: int) -> Ragged:
        """Segments start..stop - 1 as float32. Holds one row group besides the result."""
        lengths = np.concatenate([part["n_frames"].to_numpy() for part in self._parts(start, stop, ["n_frames"])])
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        frames, filled = None, 0
        for part in self._parts(start, stop, ["mouth"]):
            values = pa.compute.list_flatten(part["mouth"].combine_chunks()).to_numpy()
            if frames is None:
                frames = np.empty(offsets[-1] * (len(values) // offsets[len(part)]), np.float32)
            frames[filled : filled + len(values)] = values
            filled += len(values)
        return Ragged(frames.reshape(offsets[-1], -1), offsets)

    def keys(self, start: int, stop: int) -> pa.Table:
        """clip_id, corpus and position of segments start..stop - 1."""
        return pa.concat_tables(self._parts(start, stop, KEYS))

    def _parts(self, start: int, stop: int, columns: list[str]) -> Iterator[pa.Table]:
        """The rows of a range, a row group at a time."""
        first = 0
        for uri, counts in zip(self.files, self.kept, strict=True):
            if first + sum(counts) <= start or first >= stop:
                first += sum(counts)
                continue
            with _open(uri) as file:
                for group, count in enumerate(counts):
                    low, high = max(start - first, 0), min(stop - first, count)
                    first += count
                    if low >= high:
                        continue
                    table = file.read_row_group(group, columns=sorted({*columns, "n_frames"}))
                    valid = pa.compute.greater(table["n_frames"], 0)
                    yield table.filter(valid).slice(low, high - low).select(columns)


def _open(uri: str) -> pyarrow.parquet.ParquetFile:
    location = Location.parse(uri)
    return pyarrow.parquet.ParquetFile(location.filesystem.open_input_file(location.path))
