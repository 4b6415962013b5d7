"""The segments tables of all corpora as one long row of segments, readable in parts: what clusterings read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from agser_core.corpora import splits
from agser_core.errors import AgserError
from agser_core.experiment import SplitSettings
from agser_core.extracted import ExtractedCorpus
from agser_core.ragged import Ragged
from agser_core.storage import Location
from agser_core.storage_faults import insist

PARTITIONS = (*splits.PARTITIONS, "all")  # "all" where there is no split
FITTED = ("train", "all")  # partitions that a model is fitted on
KEYS = ("clip_id", "corpus", "position")


@dataclass(frozen=True, eq=False)
class RowGroup:
    """A row group of a Parquet file. partition: int8 [rows], places in PARTITIONS; -1 where a row takes no part."""

    uri: str
    index: int
    partition: np.ndarray


@dataclass(frozen=True, eq=False)
class SegmentSource:
    """Segments with a valid mouth (n_frames > 0), in the order of the tables.

    Attributes:
        groups: where they lie.
        speakers: of each partition, those who have a segment.
        chosen: int8, places in PARTITIONS of the partitions that are read.
    """

    groups: tuple[RowGroup, ...]
    speakers: dict[str, frozenset[str]]
    chosen: np.ndarray

    @classmethod
    def scan(cls, files: Iterable[Location], clips: pd.DataFrame) -> SegmentSource:
        """Looks through Parquet files; reads two columns, a row group at a time.

        Args:
            clips: partition and speaker of the clips that take part, by clip_id; speakers named as no other corpus
                names its own, where sources are to be added.
        """
        groups, seen = [], np.zeros(len(clips), bool)
        partitions = pd.Categorical(clips["partition"], categories=PARTITIONS).codes
        for file in files:
            for index in range(_row_groups(file.uri)):
                table = _read(file.uri, index, ["clip_id", "n_frames"])
                place = clips.index.get_indexer(table["clip_id"].to_pandas())
                place[table["n_frames"].to_numpy() == 0] = -1
                seen[place[place >= 0]] = True
                groups.append(RowGroup(file.uri, index, np.where(place >= 0, partitions[place], -1).astype(np.int8)))
        spoken = clips[seen].groupby("partition", observed=True)["speaker"]
        everything = np.arange(len(PARTITIONS), dtype=np.int8)
        return cls(tuple(groups), {name: frozenset(speakers) for name, speakers in spoken}, everything)

    def __add__(self, other: SegmentSource) -> SegmentSource:
        """This source's segments, then the other's."""
        names = {*self.speakers, *other.speakers}
        nobody: frozenset[str] = frozenset()
        speakers = {name: self.speakers.get(name, nobody) | other.speakers.get(name, nobody) for name in names}
        return replace(self, groups=self.groups + other.groups, speakers=speakers)

    def only(self, partitions: Sequence[str]) -> SegmentSource:
        """The segments of some partitions."""
        speakers = {name: people for name, people in self.speakers.items() if name in partitions}
        return replace(self, speakers=speakers, chosen=np.flatnonzero(np.isin(PARTITIONS, partitions)).astype(np.int8))

    def __len__(self) -> int:
        return sum(int(np.isin(group.partition, self.chosen).sum()) for group in self.groups)

    def read(self, start: int, stop: int) -> Ragged:
        """Movements of segments start..stop - 1 as float32. Holds one row group besides the result."""
        lengths = self._column("n_frames", start, stop).to_numpy().astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        frames, filled = np.empty(0, np.float32), 0
        for part, _ in self._parts(start, stop, ["n_frames", "mouth"]):
            values = pa.compute.list_flatten(part["mouth"].combine_chunks()).to_numpy(zero_copy_only=False)
            if not filled:
                frames = np.empty(offsets[-1] * (len(values) // part["n_frames"].to_numpy().sum()), np.float32)
            frames[filled : filled + len(values)] = values
            filled += len(values)
        return Ragged(frames.reshape(offsets[-1], -1), offsets)

    def keys(self, start: int, stop: int) -> pd.DataFrame:
        """clip_id, corpus, position and partition of segments start..stop - 1."""
        parts = [
            part.to_pandas().assign(partition=np.asarray(PARTITIONS, object)[partition])
            for part, partition in self._parts(start, stop, KEYS)
        ]
        return pd.concat(parts, ignore_index=True)

    def _column(self, name: str, start: int, stop: int) -> pa.ChunkedArray:
        return pa.concat_tables([part for part, _ in self._parts(start, stop, [name])])[name]

    def _parts(self, start: int, stop: int, columns: Sequence[str]) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """The rows of a range and their partitions, a row group at a time."""
        first = 0
        for group in self.groups:
            rows = np.flatnonzero(np.isin(group.partition, self.chosen))
            wanted = rows[max(start - first, 0) : max(stop - first, 0)]
            first += len(rows)
            if len(wanted):
                yield _read(group.uri, group.index, columns).take(pa.array(wanted)), group.partition[wanted]


def mouth_source(corpora: Sequence[ExtractedCorpus], split: SplitSettings | None, fold: int) -> SegmentSource:
    """The segments of all corpora with their partition in this fold ("all" without a split).

    Raises AgserError where no corpus has a tracked mouth, ConfigError where a corpus has too few speakers to be split.
    """
    sources = []
    for corpus in corpora:
        clips = corpus.clips.set_index("clip_id")
        partition = "all" if split is None else corpus.partition(split, fold)
        speaker = corpus.name + "/" + clips["speaker"]  # two corpora may number theirs alike
        clips = clips.assign(partition=partition, speaker=speaker)
        sources.append(SegmentSource.scan(corpus.output.files("segments"), clips))
    source = sources[0]
    for further in sources[1:]:
        source += further
    if not len(source):
        raise AgserError(
            f"no mouth was tracked in {', '.join(corpus.name for corpus in corpora)}: gestures need video. Look into "
            "the errors table of the extraction, or evaluate methods that need none (none, pa)"
        )
    return source


def _open(uri: str) -> pyarrow.parquet.ParquetFile:
    location = Location.parse(uri)
    return pyarrow.parquet.ParquetFile(location.filesystem.open_input_file(location.path))


def _row_groups(uri: str) -> int:
    def count() -> int:
        with _open(uri) as file:
            return file.num_row_groups

    return insist(count, "read", uri)


def _read(uri: str, group: int, columns: Sequence[str]) -> pa.Table:
    def read() -> pa.Table:
        with _open(uri) as file:
            return file.read_row_group(group, columns=list(columns))

    return insist(read, "read", uri)
