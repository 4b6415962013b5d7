import doctest
import re

import numpy as np
import pytest

from agser_core.ragged import Ragged
from agser_core.report import mouths, words
from agser_core.report.collect import atlas

ANGLES = np.pi + np.arange(12) * np.pi / 6
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def numbers(path: str) -> np.ndarray:
    return np.array(re.findall(r"-?[\d.]+", path), dtype=float).reshape(-1, 2)


def test_an_outline_passes_through_every_point_and_closes():
    path = mouths.outline(10 * CIRCLE)
    drawn = numbers(path)
    assert drawn[0] == pytest.approx(10 * CIRCLE[0], abs=0.06)
    assert drawn[3::3] == pytest.approx(10 * np.roll(CIRCLE, -1, axis=0), abs=0.06)
    assert path.endswith("Z") and len(drawn) == 1 + 3 * 12


def test_all_moments_have_paths_of_one_form():
    """The script moves a mouth by mixing the numbers of two paths, so the paths must differ in numbers only."""
    rng = np.random.default_rng(0)
    forms = {re.sub(r"-?[\d.]+", "n", mouths.outline(rng.normal(size=(12, 2)))) for _ in range(20)}
    assert len(forms) == 1


def test_the_band_is_one_deviation_to_either_side():
    ring = numbers(mouths.band(100 * CIRCLE, np.full((12, 2), 10.0)))
    outer, inner = np.split(ring, 2)
    reach = np.linalg.norm(np.stack([outer[0], inner[0]]), axis=1)
    assert reach == pytest.approx([110, 90], abs=0.1)


def test_the_view_holds_every_gesture_and_its_band():
    rng = np.random.default_rng(1)
    gestures = rng.integers(0, 3, 60)
    segments = [
        (0.3 + 0.2 * gesture) * np.tile(CIRCLE.ravel(), (8, 1)) + 0.01 * rng.standard_normal((8, 24)) + 5
        for gesture in gestures
    ]
    chart = atlas(Ragged.from_list(segments), gestures, gestures.astype(str), gestures.astype(str), None, 4, None)
    left, top, width, height = map(float, mouths.view_box(chart).split())
    for mouth in mouths.mouths(chart):
        points = np.concatenate([numbers(path)[::3] for path in mouth.frames])
        assert points[:, 0].min() > left and points[:, 0].max() < left + width
        assert points[:, 1].min() > top and points[:, 1].max() < top + height
    assert [mouth.gesture for mouth in mouths.mouths(chart)] == [0, 1, 2]


def test_a_movement_is_told_in_words():
    opening = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
    movement = np.stack([np.stack([0.4 * CIRCLE[:, 0], half * CIRCLE[:, 1]], axis=1) for half in opening])
    assert mouths.describe(movement) == "Height 0.20 via 0.80 to 0.20, width 0.80 to 0.80"
    rising = movement[:3]
    assert mouths.describe(rising) == "Height 0.20 to 0.80, width 0.80 to 0.80"


def test_examples_of_words_hold():
    assert doctest.testmod(words).failed == 0
