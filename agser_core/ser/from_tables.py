"""From the Arrow tables of the stages to `SpeechData`, by joins over whole columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agser_core.corpora.clip import CLASSES
from agser_core.errors import ConfigError
from agser_core.phones.inventory import ARPABET_TO_IPA
from agser_core.ragged import ranges
from agser_core.ser.dataset import UNLABELLED, SpeechData
from agser_core.ser.frames import Frames

_KEY = ["clip_id", "position"]


def from_tables(
    clips: pa.Table | pd.DataFrame,
    segments: pa.Table | pd.DataFrame,
    phone_vectors: pa.Table,
    gestures: pa.Table | pd.DataFrame | None,
    shape: tuple[int, int],
) -> SpeechData:
    """The tables of ONE corpus as arrays.

    clips, segments, phone_vectors, gestures: see `agser_core.tables`; gestures of one fold, or None where no mouth
    was tracked. shape: (layers, dimension) of a phone vector, from the manifest of the extraction.

    Clips keep the order of `clips`. A clip without any phone vector has nothing to classify and is left out: compare
    `clip_id`.
    The vectors are not copied where the table holds them in one chunk. Raises ConfigError for tables that don't fit
    together.
    """
    clips, segments = _frame(clips), _frame(segments, [*_KEY, "phone", "is_vowel", "n_frames"])
    names = clips["corpus"].unique()
    if len(names) != 1:
        raise ConfigError(f"expected the clips of one corpus, found {len(names)}: {', '.join(map(str, names))}")
    corpus = str(names[0])
    if clips["clip_id"].duplicated().any():
        raise ConfigError(f"{corpus}: clip_id {clips['clip_id'][clips['clip_id'].duplicated()].iloc[0]!r} occurs twice")

    vectors = _vectors(phone_vectors["vector"], shape, corpus)
    keys = _frame(phone_vectors, _KEY).assign(row=np.arange(len(vectors)))
    phones = segments.merge(keys, on=_KEY, validate="one_to_one")
    has_gestures = gestures is not None and len(gestures) > 0
    if has_gestures:
        gesture_keys = _frame(gestures, [*_KEY, "gesture"])
        phones = phones.merge(
            gesture_keys.assign(gesture_row=np.arange(len(gesture_keys))), on=_KEY, how="left", validate="one_to_one"
        )
    else:
        phones = phones.assign(gesture=np.nan, gesture_row=np.nan)
    spoken = clips[clips["clip_id"].isin(phones["clip_id"])].reset_index(drop=True)
    order = pd.Series(np.arange(len(spoken)), index=spoken["clip_id"])
    phones = phones[phones["clip_id"].isin(order.index)]
    phones = phones.assign(clip=order.loc[phones["clip_id"]].to_numpy()).sort_values(["clip", "position"])

    membership = np.zeros((len(phones), 0), dtype=np.float32)
    if has_gestures:
        shares = _membership(gestures)
        found = phones["gesture_row"].notna().to_numpy()
        membership = np.zeros((len(phones), shares.shape[1]), dtype=np.float32)
        membership[found] = shares[phones["gesture_row"].to_numpy()[found].astype(np.int64)]
    codes = pd.Series(np.arange(len(ARPABET_TO_IPA)), index=list(ARPABET_TO_IPA))
    emotions = pd.Series(np.arange(len(CLASSES)), index=list(CLASSES))
    return SpeechData(
        corpus=corpus,
        vectors=vectors,
        rows=phones["row"].to_numpy(np.int64),
        offsets=np.concatenate([[0], np.cumsum(np.bincount(phones["clip"], minlength=len(spoken)))]).astype(np.int64),
        phone=codes.reindex(phones["phone"]).fillna(-1).to_numpy(np.int16),
        is_vowel=phones["is_vowel"].to_numpy(bool),
        has_mouth=(phones["n_frames"] > 0).to_numpy(bool),
        gesture=phones["gesture"].fillna(-1).to_numpy(np.int32),
        membership=membership,
        clip_id=spoken["clip_id"].to_numpy(str),
        speaker=spoken["speaker"].to_numpy(str),
        emotion=emotions.reindex(spoken["emotion"]).fillna(UNLABELLED).to_numpy(np.int8),
    )


def with_frames(
    data: SpeechData, table: pa.Table, encoder: str, layers: Sequence[int] | None, frame_layer: int
) -> SpeechData:
    """The same corpus with the frames that enter the encoder's layers above frame_layer, from its table `frames`.

    encoder, layers, frame_layer: as the extraction's settings name them. The frames are not copied where the table
    holds them in one chunk. Raises ConfigError where the table does not hold the frames of every clip and phone.
    """
    rows = pd.Series(np.arange(len(table)), index=table["clip_id"].to_numpy()).reindex(data.clip_id)
    if rows.isna().any():
        missing = f"{int(rows.isna().sum())} of {len(rows)} clips, such as {rows.index[rows.isna()][0]}"
        raise ConfigError(f"{data.corpus}: the table frames lacks {missing}; extract again")
    rows, counts = rows.to_numpy(np.int64), table["n_frames"].to_numpy().astype(np.int64)
    phones = pc.list_value_length(table["first"]).to_numpy().astype(np.int64)
    if not np.array_equal(phones[rows], data.lengths):
        raise ConfigError(f"{data.corpus}: the tables frames and phone_vectors are of different phones; extract again")
    spans = np.column_stack([_flat(table["first"]), _flat(table["stop"])]).astype(np.int64)
    starts, first_phones = (np.cumsum(lengths) - lengths for lengths in (counts, phones))
    frames = Frames(
        values=_flat(table["frames"]).reshape(counts.sum(), data.dimension),
        start=starts[rows],
        count=counts[rows],
        span=spans[ranges(first_phones[rows], phones[rows])],
        encoder=encoder,
        layers=None if layers is None else tuple(layers),
        frame_layer=frame_layer,
    )
    return replace(data, frames=frames)


def _frame(table: pa.Table | pd.DataFrame, columns: list[str] | None = None) -> pd.DataFrame:
    if columns:
        table = table.select(columns) if isinstance(table, pa.Table) else table[columns]
    return table.to_pandas() if isinstance(table, pa.Table) else table.reset_index(drop=True)


def _vectors(column: pa.ChunkedArray, shape: tuple[int, int], corpus: str) -> np.ndarray:
    """A list column as [R, layers, dimension]: a view of the Arrow buffer where it is one chunk."""
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    if not chunks:
        raise ConfigError(f"{corpus}: no phone vector in the table; look into the errors table of the extraction")
    size = shape[0] * shape[1]
    if any(len(chunk.flatten()) != size * len(chunk) for chunk in chunks):
        raise ConfigError(f"{corpus}: phone vectors are not all {shape[0]} x {shape[1]} numbers as the manifest says")
    return _flat(column).reshape(-1, *shape)


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    """The values of a list column, laid end to end: a view of the Arrow buffer where it is one chunk."""
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks if len(chunk)]
    return flat[0] if len(flat) == 1 else np.concatenate(flat)


def _membership(gestures: pa.Table | pd.DataFrame) -> np.ndarray:
    """Membership lists as float32 [N, K]."""
    if isinstance(gestures, pa.Table):
        gestures = gestures.select(["membership"]).to_pandas()
    return np.stack(gestures["membership"].to_list()).astype(np.float32)
