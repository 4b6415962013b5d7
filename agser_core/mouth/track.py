"""What every landmark source gives: the outer lip contour and the eye centres of each frame of a clip."""

from dataclasses import dataclass

import numpy as np

LIP_POINTS = tuple(range(48, 60))  # of the 68-point scheme: 48 right corner, 51 upper middle, 54 left corner, 57 lower


@dataclass(frozen=True)
class MouthTrack:
    """The mouth in each of F frames, in picture coordinates: pixels, x to the right, y down.

    times: float64 [F], s on the clip's clock, ascending. points: float32 [F, 12, 2], the outer lip contour, points
    48..59 of the 68-point scheme. eyes: float32 [F, 2, 2], centres of the eyes on the picture's left (points 36-41) and
    right (42-47). confidence: float32 [F] in [0, 1]; what it means is the source's to say. found: bool [F]; where it is
    False, points and eyes are NaN.
    """

    times: np.ndarray
    points: np.ndarray
    eyes: np.ndarray
    confidence: np.ndarray
    found: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    @property
    def tracked_share(self) -> float:
        """Share of the frames in which a face was found, 0 to 1."""
        return float(self.found.mean()) if len(self) else 0.0

    @property
    def frame_interval(self) -> float:
        """Median time between frames in s; 0 for fewer than two frames."""
        return float(np.median(np.diff(self.times))) if len(self) > 1 else 0.0

    def mean_confidence(self, start: float, end: float) -> float:
        """Mean confidence of the frames at start <= t < end (s), of the nearest frame where none lies there."""
        inside = (self.times >= start) & (self.times < end)
        if not inside.any():
            inside = np.abs(self.times - (start + end) / 2).argmin()
        return float(np.mean(self.confidence[inside]))
