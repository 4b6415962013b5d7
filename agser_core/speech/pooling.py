"""Frame vectors to phone vectors as the tables hold them, and which of their dimensions tell phones of a clip apart."""

from collections.abc import Sequence

import numpy as np

from agser_core.errors import ClipError
from agser_core.phones.interval import Phone


def pool(frames: np.ndarray, frame_rate: float, phones: Sequence[Phone]) -> np.ndarray:
    """Mean over the frames of each phone: [n_frames, n_layers, dimension] -> float32 [n_phones, n_layers, dimension].

    A frame belongs to the phone that holds its centre, (i + 0.5) / frame_rate s. A phone too short to hold a centre
    takes the frame nearest its middle; one that reaches beyond the last frame takes what there is, or the last frame.

    >>> pool(np.arange(4.0).reshape(4, 1, 1), 10, [Phone("AA", 0.0, 0.2), Phone("B", 0.2, 0.22)]).ravel()
    array([0.5, 2. ], dtype=float32)
    """
    pooled = np.empty((len(phones), *frames.shape[1:]), dtype=np.float32)
    for vector, (first, stop) in zip(pooled, frames_of(phones, len(frames), frame_rate), strict=True):
        vector[:] = frames[first:stop].mean(axis=0, dtype=np.float64)
    return pooled


def frames_of(phones: Sequence[Phone], n_frames: int, frame_rate: float) -> np.ndarray:
    """Which frames `pool` takes for each phone: int64 [n_phones, 2], first and one past the last, at least one frame.

    >>> frames_of([Phone("AA", 0.0, 0.2), Phone("B", 0.2, 0.22)], 4, 10).tolist()
    [[0, 2], [2, 3]]
    """
    if n_frames == 0:
        raise ValueError("there are no frames to pool")
    times = np.array([(phone.start, phone.end) for phone in phones], dtype=np.float64).reshape(-1, 2)
    first, stop = np.ceil(times * frame_rate - 0.5 - 1e-9).astype(np.int64).T
    nearest = np.clip((times.sum(axis=1) / 2 * frame_rate).astype(np.int64), 0, n_frames - 1)
    without = (stop <= first) | (first >= n_frames)
    first = np.where(without, nearest, np.maximum(first, 0))
    return np.column_stack([first, np.where(without, nearest + 1, np.minimum(stop, n_frames))])


def as_stored(vectors: np.ndarray, dtype: np.dtype | str = "float16") -> np.ndarray:
    """Vectors [n, n_layers, dimension] in the type of the tables.

    Raises ClipError (class "encoder") where it can't hold them, with the layers at fault: infinity in one clip would be
    the mean of its corpus.
    """
    with np.errstate(over="ignore"):
        stored = vectors.astype(dtype)
    if not np.isfinite(stored).all():
        places = np.flatnonzero(~np.isfinite(stored).all(axis=(0, 2)))
        raise ClipError(
            f"what the encoder gives is no number, or beyond the {np.finfo(dtype).max:g} of {np.dtype(dtype)}, in "
            f"place {', '.join(map(str, places))} of the {vectors.shape[1]} layers",
            remedy="keep layers without such numbers: extract.speech.layers, extract.speech.frame_layer",
            error_class="encoder",
        )
    return stored


def varies_within_clips(vectors: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """Dimensions that tell the phones of one clip apart: bool [dimension].

    An encoder may append what is the same at every frame of a clip (the embedded one appends functionals of the whole
    clip). Clusters of single sounds are taken without them, or the clips would be the clusters. A dimension counts
    where at least 1e-4 of its variance lies within clips; where none does (a row a clip), all are taken.

    Args:
        vectors: [n_phones, dimension].
        clip: [n_phones] clip of each row, any type that sorts.

    >>> varies_within_clips(np.array([[0, 5], [1, 5], [0, 7], [1, 7]]), np.array(["a", "a", "b", "b"]))
    array([ True, False])
    """
    _, clip, rows = np.unique(clip, return_inverse=True, return_counts=True)
    in_order = np.argsort(clip, kind="stable")
    means = np.add.reduceat(vectors[in_order], np.cumsum(rows) - rows, dtype=np.float64) / rows[:, None]
    within = np.mean((vectors - means[clip]) ** 2, axis=0)
    varies = within > 1e-4 * vectors.var(axis=0, dtype=np.float64)
    return varies | ~varies.any()
