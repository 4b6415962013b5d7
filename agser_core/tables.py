"""The tables between the stages: Arrow schemas, and Parquet files read and written whole.

Plain lists for ragged columns, so that pandas, DuckDB or Polars read every table without this project.
"""

import io
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.parquet

from agser_core.storage import Location

_CLIP_IDENTITY = [
    ("clip_id", pa.string()),
    ("corpus", pa.string()),
    ("speaker", pa.string()),
    ("gender", pa.string()),
    ("language", pa.string()),
    ("emotion", pa.string()),
    ("label_rule", pa.string()),
    ("transcript", pa.string()),
    ("audio_uri", pa.string()),
    ("video_uri", pa.string()),
    ("phones_uri", pa.string()),
    ("fold", pa.string()),
]

CLIPS = pa.schema(
    [
        *_CLIP_IDENTITY,
        ("duration", pa.float32()),  # seconds of decoded audio
        ("video_frames", pa.int32()),  # 0 where the clip has no video
        ("frame_rate", pa.float32()),  # frames a second, 0 where the clip has no video
        ("tracked_share", pa.float32()),  # frames with a face over all frames; null where the clip has no video
        ("alignment_source", pa.string()),  # who set the phone times: aligner, mfa, textgrid, xlabel
    ]
)

SEGMENTS = pa.schema(
    [
        ("clip_id", pa.string()),
        ("corpus", pa.string()),
        ("position", pa.int32()),  # 0, 1, ... within the clip
        ("phone", pa.string()),  # ARPABET without stress
        ("stress", pa.int8()),  # 0, 1, 2, or -1 where unknown
        ("is_vowel", pa.bool_()),  # one of the six vowels of the method
        ("ipa", pa.string()),
        ("start", pa.float32()),  # seconds
        ("end", pa.float32()),
        ("n_frames", pa.int32()),  # of the mouth trajectory; 0 = no valid mouth
        ("mouth", pa.list_(pa.float32())),  # [n_frames, 24] row by row: x, y of the lip points 48 to 59
        ("confidence", pa.float32()),  # mean tracking confidence; null where there is no mouth
    ]
)

TRACKS = pa.schema(
    [
        ("clip_id", pa.string()),
        ("times", pa.list_(pa.float64())),  # [F] seconds of each video frame
        ("lips", pa.list_(pa.float32())),  # [F, 24] row by row: lip points 48 to 59 relative to the eyes, NaN = no face
        ("confidence", pa.list_(pa.float32())),  # [F]
    ]
)

PHONE_VECTORS = pa.schema(
    [
        ("clip_id", pa.string()),
        ("position", pa.int32()),
        ("vector", pa.list_(pa.float16())),  # [layers, dimension] row by row; the shape is in the manifest
    ]
)

FRAMES = pa.schema(
    [
        ("clip_id", pa.string()),
        ("n_frames", pa.int32()),
        ("frames", pa.list_(pa.float16())),  # [n_frames, dimension] row by row: one hidden state of the encoder
        ("first", pa.list_(pa.int32())),  # [phones] by position: the phone's first frame
        ("stop", pa.list_(pa.int32())),  # [phones] one past its last; every phone has a frame, two may share one
    ]
)

ERRORS = pa.schema(
    [
        ("clip_id", pa.string()),
        ("corpus", pa.string()),
        ("stage", pa.string()),
        ("step", pa.string()),
        ("error_class", pa.string()),
        ("reason", pa.string()),
        ("remedy", pa.string()),
        ("uri", pa.string()),
    ]
)

GESTURES = pa.schema(
    [
        ("fold", pa.int32()),
        ("clip_id", pa.string()),
        ("corpus", pa.string()),
        ("position", pa.int32()),
        ("partition", pa.string()),  # train, dev, test: the model was fitted on train only
        ("gesture", pa.int32()),
        ("distance", pa.float32()),  # soft-DTW divergence to the centroid
        ("membership", pa.list_(pa.float32())),  # [K], sums to 1
    ]
)


def from_rows(rows: Iterable[Mapping], schema: pa.Schema) -> pa.Table:
    """Rows to a table of the schema; a missing column is null, an unknown one an error."""
    rows = list(rows)
    unknown = {name for row in rows for name in row} - set(schema.names)
    if unknown:
        raise KeyError(f"columns that the schema lacks: {sorted(unknown)}")
    return pa.table({field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in schema})


def write_parquet(table: pa.Table, location: Location) -> None:
    """Write one Parquet file whole or not at all."""
    sink = io.BytesIO()
    pa.parquet.write_table(table, sink, compression="zstd")
    location.write_bytes(sink.getvalue())


def read_parquet(files: list[Location], columns: list[str] | None = None) -> pa.Table:
    """Read Parquet files of one schema as one table."""
    parts = [pa.parquet.read_table(pa.BufferReader(file.read_bytes()), columns=columns) for file in files]
    return pa.concat_tables(parts) if parts else pa.table({})
