"""The encoder that needs no pretrained weights: descriptors, how much they vary nearby, how fast they change, and what
the whole clip says."""

from collections.abc import Sequence

import numpy as np
import scipy.ndimage
import scipy.signal

from agser_core.errors import ClipError
from agser_core.media import SAMPLING_RATE
from agser_core.speech.descriptors import FRAME_RATE, NAMES, describe
from agser_core.speech.encoder import EMBEDDED
from agser_core.speech.functionals import CLIP_NAMES, describe_clip

_SHORTEST = 400  # samples: one window
_SLOPE_FRAMES = 9  # 90 ms, the usual width of cepstral deltas
_NEIGHBOURHOOD = 50  # frames: half a second, two or three syllables


class EmbeddedEncoder:
    """One layer of 3 x len(NAMES) + len(CLIP_NAMES) numbers a frame, 100 frames a second; see `Encoder`.

    Phones are pooled by their mean, in which a frame's rise and the next one's fall cancel. What the mean must keep is
    made positive before it: beside each descriptor stand its standard deviation over the half second around, and its
    absolute slope over 90 ms. Percentiles and rhythm are of the clip as a whole, the same in all its frames: what a
    pretrained encoder's attention spreads over a clip, and no mean over phones brings back.
    """

    name = EMBEDDED
    n_layers = 1
    dimension = 3 * len(NAMES) + len(CLIP_NAMES)
    frame_rate = FRAME_RATE
    pretrained = False

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Encoder.encode`."""
        return [self._encode(waveform)[:, None, :] for waveform in waveforms]

    def _encode(self, waveform: np.ndarray) -> np.ndarray:
        if len(waveform) < _SHORTEST:
            raise ClipError(
                f"{len(waveform) / SAMPLING_RATE:.3f} s of audio are too short to describe",
                remedy="leave the clip out",
                error_class="encoder",
            )
        descriptors = describe(waveform)
        slope = scipy.signal.savgol_filter(descriptors, _SLOPE_FRAMES, 1, deriv=1, axis=0, mode="nearest")
        clip = np.broadcast_to(describe_clip(descriptors), (len(descriptors), len(CLIP_NAMES)))
        return np.hstack([descriptors, _local_deviation(descriptors), np.abs(slope), clip]).astype(np.float32)


def _local_deviation(values: np.ndarray) -> np.ndarray:
    """Standard deviation over the neighbourhood of each frame, columns apart; the ends are prolonged."""
    centred = values.astype(np.float64) - values.mean(axis=0)  # or the difference of squares would lose digits
    mean, square = (
        scipy.ndimage.uniform_filter1d(part, _NEIGHBOURHOOD, axis=0, mode="nearest") for part in (centred, centred**2)
    )
    return np.sqrt(np.maximum(square - mean**2, 0))
