import numpy as np
import pytest

from agser_core.mouth.track import MouthTrack
from agser_core.mouth.trajectory import opening


def test_opening_and_confidence_of_a_face_that_opens_its_mouth():
    times = np.arange(5) / 25
    points = np.zeros((5, 12, 2), np.float32)
    points[:, 3, 1], points[:, 9, 1] = 100, 100 + 10 * np.arange(5)
    eyes = np.tile(np.float32([[0, 0], [50, 0]]), (5, 1, 1))
    confidence = np.float32([1, 1, 0.5, 0.9, 1])
    track = MouthTrack(times, points, eyes, confidence, np.ones(5, bool))
    np.testing.assert_allclose(opening(track), np.arange(5) * 0.2, atol=1e-6)
    assert track.mean_confidence(0.07, 0.13) == pytest.approx(0.7)
    assert track.mean_confidence(0.045, 0.05) == 1
