"""From tracked points to a normalised mouth trajectory at 100 Hz, and its pieces between two times.

Normalised coordinates: x along the line from the eye on the picture's left to that on its right, y at a right angle to
it and **down**, as in the picture; the unit is the inter-pupil distance. Neither the place, nor the size, nor the roll
of the head in the picture changes them.
"""

from dataclasses import dataclass

import numpy as np

from agser_core.mouth.track import MouthTrack

RATE = 100  # samples a second; at 30 frames/s a vowel of 60-150 ms would have 2-5
LEAST_CONFIDENCE = 0.8
LONGEST_GAP = 3  # frames
ORIGINS = ("mouth", "eyes")


@dataclass(frozen=True)
class Trajectory:
    """The mouth's movement in uninterrupted pieces, sampled at whole multiples of 10 ms of the clip's clock.

    starts: for each piece the index k of its first sample, which lies at k / RATE s. pieces: float32 [n, 24] each,
    the points 48..59 as x0, y0, ..., x11, y11 in inter-pupil distances, y down.
    """

    starts: list[int]
    pieces: list[np.ndarray]

    def cut(self, start: float, end: float) -> np.ndarray | None:
        """The samples at start <= t < end (s): float32 [T, 24], or None where one of them is missing or T is 0.

        Times that were meant as multiples of 10 ms count as such in spite of rounding.
        """
        first, last = (int(np.ceil(round(time * RATE, 6))) for time in (start, end))
        for at, piece in zip(self.starts, self.pieces, strict=True):
            if at <= first < last <= at + len(piece):
                return piece[first - at : last - at]
        return None


def trajectory(
    track: MouthTrack,
    *,
    origin: str = "mouth",
    least_confidence: float = LEAST_CONFIDENCE,
    longest_gap: int = LONGEST_GAP,
) -> Trajectory:
    """Normalise a track, drop what is not sure, bridge short gaps, and resample with a cubic spline.

    origin: "mouth" puts the origin at the clip's mean mouth centroid, which removes the speaker's face geometry; "eyes"
    leaves it midway between the eyes. Head movement is removed frame by frame in both, because places are taken
    relative to the eyes first. Frames without a face or with a confidence below `least_confidence` are dropped. Up to
    `longest_gap` missing frames in a row are bridged by the spline; more of them end a piece. A piece covers the
    samples from its first to its last frame; a single frame makes no piece, a track without usable frames none at all.
    """
    from scipy.interpolate import CubicSpline

    if origin not in ORIGINS:
        raise ValueError(f"origin must be one of {', '.join(ORIGINS)}, not {origin!r}")
    values = normalise(track.points, track.eyes)
    usable = track.found & (track.confidence >= least_confidence) & np.isfinite(values).all(axis=(1, 2))
    times, values = track.times[usable], values[usable]
    if origin == "mouth" and len(values):
        values = values - values.mean(axis=(0, 1))
    breaks = np.flatnonzero(np.diff(times) > (longest_gap + 1.5) * track.frame_interval) + 1
    starts, pieces = [], []
    for run in np.split(np.arange(len(times)), breaks):
        if len(run) < 2:
            continue
        first, last = np.ceil(round(times[run[0]] * RATE, 6)), np.floor(round(times[run[-1]] * RATE, 6))
        samples = np.arange(int(first), int(last) + 1)
        if len(samples):
            spline = CubicSpline(times[run], values[run].reshape(len(run), 24))
            starts.append(int(first))
            pieces.append(spline(samples / RATE).astype(np.float32))
    return Trajectory(starts, pieces)


def eye_coordinates(track: MouthTrack) -> np.ndarray:
    """What of a track is worth keeping: the lip points relative to the eyes, float32 [F, 24]; NaN without a face.

    Whatever follows (origin, resampling, cutting at other phones) can be made from it: see `from_eye_coordinates`.
    """
    return normalise(track.points, track.eyes).reshape(len(track), 24).astype(np.float32)


def from_eye_coordinates(times: np.ndarray, lips: np.ndarray, confidence: np.ndarray) -> MouthTrack:
    """The track again, with eyes one unit apart: times [F], lips float [F, 24] or flat, confidence [F]."""
    points = np.asarray(lips, np.float32).reshape(-1, 12, 2)
    found = np.isfinite(points).all(axis=(1, 2))
    eyes = np.tile(np.float32([[-0.5, 0], [0.5, 0]]), (len(points), 1, 1))
    return MouthTrack(np.asarray(times, np.float64), points, eyes, np.asarray(confidence, np.float32), found)


def opening(track: MouthTrack) -> np.ndarray:
    """Distance between the middles of the upper and the lower outer lip (points 51 and 57) across the eye line.

    float32 [F] in inter-pupil distances, for figures and checks; NaN in frames without a face.
    """
    normalised = normalise(track.points, track.eyes)
    return (normalised[:, 9, 1] - normalised[:, 3, 1]).astype(np.float32)


def normalise(points: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Points relative to the eyes: p -> R (p - midpoint of the eyes) / inter-pupil distance, frame by frame.

    points [F, 12, 2] and eyes [F, 2, 2] in pixels -> float64 [F, 12, 2]; R turns the eye line onto the x-axis. Frames
    whose eyes coincide or are NaN give NaN or infinity.
    """
    right, left = eyes[:, 0].astype(np.float64), eyes[:, 1].astype(np.float64)
    line = left - right
    relative = points - ((left + right) / 2)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        # the rotation and the division in one: multiply by the conjugate of the eye line over its squared length
        x, y = (line / (line**2).sum(axis=1, keepdims=True)).T[:, :, None]
        along = relative[..., 0] * x + relative[..., 1] * y
        across = relative[..., 1] * x - relative[..., 0] * y
    return np.stack([along, across], axis=2)
