"""The known answer of the sample corpora, and how near the pipeline comes to it: for tests and the report only."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from agser_core.errors import AgserError
from agser_core.phones.interval import Phone
from agser_core.storage import Location

PHONES_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("position", pa.int32()),
        ("phone", pa.string()),
        ("stress", pa.int8()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("gesture", pa.int32()),
        ("emotion", pa.string()),
        ("speaker", pa.string()),
    ]
)
LIPS_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("time", pa.float64()),
        ("opening", pa.float64()),
        ("width", pa.float64()),
        ("rounding", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Truth:
    """phones: a row a phone; lips: a row a video frame, as the schemas of this module name their columns."""

    phones: pa.Table
    lips: pa.Table


def phones_file(corpus_folder: Location) -> Location:
    return corpus_folder.join("truth", "phones.parquet")


def lips_file(corpus_folder: Location) -> Location:
    return corpus_folder.join("truth", "lips.parquet")


def read_truth(folder: str) -> Truth:
    """Read the truth of one sample corpus; `folder` holds its clips.csv. Raises AgserError where there is none."""
    root = Location.parse(folder)
    tables = []
    for file in (phones_file(root), lips_file(root)):
        if not file.exists():
            raise AgserError(f"no truth at {file.uri}: only generated corpora have it; `agser sample` makes them")
        tables.append(pa.parquet.read_table(pa.BufferReader(file.read_bytes())))
    return Truth(*tables)


@dataclass(frozen=True)
class BoundaryErrors:
    """Errors in ms of aligned phones' starts against set ones. matched: share of set phones that were compared."""

    median: float
    percentile_90: float
    matched: float
    n: int


# Phones between which dictionary and synthesiser differ for one sound; alike when sequences are matched.
_ALIKE = {"AO": "AA", "IH": "AH", "ER": "AH", "R": "AH", "UH": "AH", "DX": "T"}


def boundary_errors(pairs: Sequence[tuple[Sequence[Phone], Sequence[Phone]]]) -> BoundaryErrors:
    """Compare (set, aligned) phones of clips: |start of the aligned phone - start of the set phone|.

    The two sequences of a clip need not be the same: phones are compared where the labels run alike (longest matching
    blocks, `difflib`), reduced vowels and rhotics counting as one label. NaN errors where nothing matches.
    """
    errors, n_set = [], 0
    for known, aligned in pairs:
        n_set += len(known)
        labels = [[_ALIKE.get(phone.label, phone.label) for phone in phones] for phones in (known, aligned)]
        for block in difflib.SequenceMatcher(None, *labels, autojunk=False).get_matching_blocks():
            for offset in range(block.size):
                errors.append(abs(aligned[block.b + offset].start - known[block.a + offset].start) * 1000)
    if not errors:
        return BoundaryErrors(float("nan"), float("nan"), 0.0, 0)
    return BoundaryErrors(float(np.median(errors)), float(np.percentile(errors, 90)), len(errors) / n_set, len(errors))


def opening_correlations(truth: Truth, tracked: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Pearson's r of the tracked with the set lip opening, for each clip of `tracked`: clip_id -> (times, opening).

    The set opening is interpolated to the tracked times; frames with NaN are left out. The report gives the median.
    NaN where fewer than three frames are left.
    """
    lips = truth.lips.to_pandas().groupby("clip_id")
    result = {}
    for clip_id, (times, opening) in tracked.items():
        rows = lips.get_group(clip_id)
        valid = np.isfinite(opening)
        known = np.interp(np.asarray(times)[valid], rows["time"], rows["opening"])
        enough = valid.sum() > 2
        result[clip_id] = float(np.corrcoef(known, np.asarray(opening)[valid])[0, 1]) if enough else float("nan")
    return result


@dataclass(frozen=True)
class GestureAgreement:
    """Adjusted Rand index (-0.5 .. 1, 0 by chance) of clusters against planted gestures, over n matched segments.

    matched: share of the planted segments that some cluster label was found for.
    """

    adjusted_rand: float
    matched: float
    n: int


def gesture_agreement(
    planted: Mapping[str, Sequence[tuple[float, float, int]]], found: Mapping[str, Sequence[tuple[float, float, int]]]
) -> GestureAgreement:
    """Compare cluster labels with planted gestures.

    planted, found: clip -> (start, end, number) of its segments, in s; keys must tell clips of different corpora
    apart. A planted segment is given the label of the found segment that overlaps it longest, if they share at least
    half of the longer one. NaN where fewer than two match. Hubert & Arabie 1985.
    """
    from sklearn.metrics import adjusted_rand_score

    pairs, n_planted = [], 0
    for clip, segments in planted.items():
        candidates = found.get(clip, ())
        n_planted += len(segments)
        for start, end, gesture in segments:
            best, label = 0.0, None
            for other_start, other_end, other in candidates:
                shared = min(end, other_end) - max(start, other_start)
                share = shared / max(end - start, other_end - other_start)
                if share >= 0.5 and share > best:
                    best, label = share, other
            if label is not None:
                pairs.append((gesture, label))
    score = float(adjusted_rand_score(*zip(*pairs))) if len(pairs) > 1 else float("nan")
    return GestureAgreement(score, len(pairs) / n_planted if n_planted else 0.0, len(pairs))


def planted_segments(truth: Truth) -> dict[str, list[tuple[float, float, int]]]:
    """Clip -> (start, end, gesture) of the segments that carry a gesture, as `gesture_agreement` takes them."""
    segments: dict[str, list[tuple[float, float, int]]] = {}
    for row in truth.phones.to_pylist():
        if row["gesture"] >= 0:
            segments.setdefault(row["clip_id"], []).append((row["start"], row["end"], row["gesture"]))
    return segments


def set_phones(truth: Truth) -> dict[str, list[Phone]]:
    """Clip -> its phones in order."""
    phones: dict[str, list[Phone]] = {}
    for row in truth.phones.to_pylist():
        phones.setdefault(row["clip_id"], []).append(Phone(row["phone"], row["start"], row["end"], row["stress"]))
    return phones
