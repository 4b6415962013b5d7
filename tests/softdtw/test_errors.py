"""Bad input is refused with the segment's name."""

import numpy as np
import pytest

from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.ragged import Ragged
from agser_core.softdtw import barycenter, pairwise, soft_dtw, soft_dtw_gradient

GOOD = [np.zeros((3, 2)), np.ones((4, 2)), np.ones((2, 2))]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "call",
    [
        lambda segments: pairwise(segments, GOOD[:1], 1.0),
        lambda segments: soft_dtw_gradient(segments, GOOD[0], 1.0),
        lambda segments: barycenter(segments, 1.0),
        lambda segments: SoftDTWKMeans(2).fit(segments),
        lambda segments: SoftDTWKMeans(2, gamma=1.0).fit(GOOD).predict(segments),
    ],
)
def test_not_finite(call, bad, dtype):
    segments = [segment.astype(dtype) for segment in GOOD]
    segments[1][2, 1] = bad
    with pytest.raises(ValueError, match="segment 1 has NaN or infinity in frame 2"):
        call(segments)


def test_reference_is_named_too():
    with pytest.raises(ValueError, match="reference 1 has NaN or infinity in frame 0"):
        pairwise(GOOD, [GOOD[0], np.full((1, 2), np.nan)], 1.0)


@pytest.mark.parametrize("gamma", [0, -1.0, np.nan, np.inf, "median"])
def test_gamma(gamma):
    with pytest.raises(ValueError, match="gamma must be a finite number above 0"):
        soft_dtw(GOOD[0], GOOD[1], gamma)


def test_gamma_below_all_exponents():
    with pytest.raises(ValueError, match="gamma = 1e-300 is too small for coordinates up to 1"):
        pairwise(GOOD, GOOD, 1e-300)


def test_shapes():
    with pytest.raises(ValueError, match="segment 1 is empty"):
        pairwise([GOOD[0], np.zeros((0, 2))], GOOD, 1.0)
    with pytest.raises(ValueError, match="segment 2 is empty"):
        Ragged(np.zeros((5, 2)), np.array([0, 2, 5, 5]))
    with pytest.raises(ValueError, match="segment 1 has D = 3, segment 0 has D = 2"):
        pairwise([GOOD[0], np.zeros((2, 3))], GOOD, 1.0)
    with pytest.raises(ValueError, match="the segments have D = 2, the references D = 3"):
        pairwise(GOOD, [np.zeros((2, 3))], 1.0)
    with pytest.raises(ValueError, match="segment 0 must be"):
        pairwise(np.zeros((2, 3, 4, 5)), GOOD, 1.0)
    with pytest.raises(ValueError, match="segment 0 has type"):
        pairwise([np.array([["a"]])], GOOD, 1.0)
    with pytest.raises(ValueError, match="no segments"):
        pairwise([], GOOD, 1.0)
    with pytest.raises(ValueError, match="metric must be"):
        pairwise(GOOD, GOOD, 1.0, metric="dtw")
    with pytest.raises(ValueError, match="threads must be at least 1"):
        pairwise(GOOD, GOOD, 1.0, threads=0)


def test_weights():
    with pytest.raises(ValueError, match="segment 1 has weight -1.0"):
        barycenter(GOOD, 1.0, weights=[1, -1, 1])
    with pytest.raises(ValueError, match="one a segment"):
        barycenter(GOOD, 1.0, weights=[1, 1])
    with pytest.raises(ValueError, match="all weights are 0"):
        soft_dtw_gradient(GOOD, GOOD[0], 1.0, weights=[0, 0, 0])
