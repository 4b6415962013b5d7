"""Phone means against a plain loop, and phones at the edges."""

import numpy as np
import pytest

from agser_core.phones.interval import Phone
from agser_core.speech import pool
from agser_core.speech.pooling import varies_within_clips


def test_means_equal_a_plain_loop():
    generator = np.random.default_rng(0)
    frames = generator.standard_normal((100, 3, 5)).astype(np.float32)
    cuts = np.sort(generator.uniform(0, 2, 12))
    phones = [Phone("AA", start, end) for start, end in zip(cuts[:-1], cuts[1:], strict=True)]
    pooled = pool(frames, 50, phones)
    assert pooled.shape == (11, 3, 5) and pooled.dtype == np.float32
    for vector, phone in zip(pooled, phones, strict=True):
        inside = [frames[i] for i in range(100) if phone.start <= (i + 0.5) / 50 < phone.end]
        if inside:
            np.testing.assert_allclose(vector, np.mean(inside, axis=0), atol=1e-6)


def test_every_phone_has_at_least_one_frame():
    frames = np.arange(10, dtype=np.float32)[:, None, None]
    phones = [Phone("T", 0.231, 0.232), Phone("AA", 0.95, 1.6), Phone("B", 2.0, 2.5), Phone("S", 0.0, 0.001)]
    assert pool(frames, 10, phones).ravel().tolist() == [2, 9, 9, 0]


def test_neighbours_share_no_frame_and_lose_none():
    frames = np.ones((30, 1, 1), dtype=np.float32)
    phones = [Phone("AA", i / 10, (i + 1) / 10) for i in range(3)]
    frames[:, 0, 0] = np.repeat([1, 2, 3], 10)
    assert pool(frames, 100, phones).ravel().tolist() == [1, 2, 3]


def test_no_frames_no_pool():
    with pytest.raises(ValueError, match="no frames"):
        pool(np.zeros((0, 1, 2)), 100, [Phone("AA", 0, 1)])
    assert pool(np.zeros((5, 1, 2)), 100, []).shape == (0, 1, 2)


def test_what_is_the_same_all_over_a_clip_does_not_vary_within_it():
    generator = np.random.default_rng(0)
    clip = generator.permutation(np.repeat(["c", "a", "b"], [5, 1, 4]))  # in any order
    of_clip = {"a": 3.0, "b": -1.0, "c": 250.0}
    functional = np.array([of_clip[name] for name in clip])
    vectors = np.column_stack(
        [functional, generator.normal(size=10), np.full(10, 0.1), functional + 1e-4 * (clip > "b")]
    )
    assert varies_within_clips(vectors.astype(np.float32), clip).tolist() == [False, True, False, False]
    assert varies_within_clips(vectors[:3], np.arange(3)).all()  # a row a clip: nothing to judge by


@pytest.mark.parametrize("share, counts", [(1e-2, True), (3e-4, True), (3e-5, False)])
def test_how_much_must_vary_within_clips(share, counts):
    """Two phones a clip, apart by a known share of the variance; beside them a dimension that varies in any case."""
    of_clip, side = np.repeat([-1.0, 1.0], 20), np.tile([-1.0, 1.0], 20)
    vectors = np.column_stack([of_clip + np.sqrt(share) * side, side])
    assert varies_within_clips(vectors, np.repeat(np.arange(20), 2)).tolist() == [counts, True]
