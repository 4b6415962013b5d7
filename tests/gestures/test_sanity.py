import time

import numpy as np
import pytest

from agser_core.gestures import sanity
from agser_core.gestures.sanity import choose_pair_of_clusters, cluster_shapes, resample, sanity_curves, separation
from agser_core.ragged import Ragged


def planted_mouths(n_segments, rng, noise=0.01):
    """Two gestures (opens late, opens early) in two corpora: the lower-mid lip point (57) follows the gesture."""
    gestures = rng.integers(0, 2, n_segments)
    corpora = rng.choice(["red", "blue"], n_segments)
    segments = []
    for gesture in gestures:
        length = rng.integers(4, 20)
        time = np.linspace(0, 1, length)
        mouth = noise * rng.standard_normal((length, 24))
        mouth[:, 2 * 9 + 1] += np.sin(np.pi * time ** (2 if gesture == 0 else 0.5))
        segments.append(mouth.astype(np.float32))
    return Ragged.from_list(segments), gestures, corpora


def test_resampling_agrees_with_numpy_interp(monkeypatch):
    monkeypatch.setattr(sanity, "CHUNK", 7)
    rng = np.random.default_rng(0)
    segments = [rng.standard_normal((length, 3)) for length in rng.integers(1, 30, 40)]
    resampled = resample(Ragged.from_list(segments), 11)
    for segment, result in zip(segments, resampled, strict=True):
        time = np.linspace(0, 1, len(segment)) if len(segment) > 1 else np.zeros(1)
        expected = np.stack([np.interp(np.linspace(0, 1, 11), time, column) for column in segment.T], axis=1)
        assert result == pytest.approx(expected)


def test_shapes_are_the_moments_of_the_members(monkeypatch):
    monkeypatch.setattr(sanity, "CHUNK", 13)
    rng = np.random.default_rng(1)
    mouths = Ragged.from_list([5 + rng.standard_normal((length, 24)) for length in rng.integers(2, 15, 60)])
    gestures = rng.integers(-1, 3, 60)
    mean, deviation, members = cluster_shapes(mouths, gestures, 4, 9)
    movements = resample(mouths, 9)
    for cluster in range(3):
        assert mean[cluster] == pytest.approx(movements[gestures == cluster].mean(axis=0))
        assert deviation[cluster] == pytest.approx(movements[gestures == cluster].std(axis=0))
    assert members.tolist() == [*np.bincount(gestures[gestures >= 0], minlength=3), 0]
    assert np.isnan(mean[3]).all() and np.isnan(deviation[3]).all()


def test_labels_must_fit_the_segments():
    with pytest.raises(ValueError, match="2 segments but 3 gestures"):
        cluster_shapes(Ragged.from_list([np.zeros((2, 24))] * 2), np.zeros(3, int), 1)


def test_curves_differ_between_clusters_and_agree_between_corpora():
    mouths, gestures, corpora = planted_mouths(400, np.random.default_rng(2))
    curves = sanity_curves(mouths, gestures, corpora, (0, 1), ("red", "blue"), points=(57,))
    assert len(curves) == 2 * 2 * 2 * 20
    assert separation(curves) > 10
    lower_mid = curves[curves["axis"] == "y"].pivot(index="time", columns=["corpus", "gesture"], values="mean")
    time = lower_mid.index.to_numpy()
    assert lower_mid[("red", 0)].to_numpy() == pytest.approx(np.sin(np.pi * time**2), abs=0.06)


def test_standard_error_shrinks_with_the_root_of_the_members():
    rng = np.random.default_rng(3)
    mouths, gestures, corpora = planted_mouths(2000, rng, noise=0.1)
    few = sanity_curves(mouths.take(np.arange(200)), gestures[:200], corpora[:200], (0, 1), ("red", "blue"))
    many = sanity_curves(mouths, gestures, corpora, (0, 1), ("red", "blue"))
    assert few["standard_error"].mean() / many["standard_error"].mean() == pytest.approx(np.sqrt(10), rel=0.2)


def test_shuffled_clusters_have_no_separation():
    rng = np.random.default_rng(4)
    mouths, gestures, corpora = planted_mouths(400, rng)
    curves = sanity_curves(mouths, rng.permutation(gestures), corpora, (0, 1), ("red", "blue"), points=(57,))
    assert 0.2 < separation(curves) < 5


def test_a_cluster_absent_from_a_corpus_gives_no_curve_and_no_separation():
    mouths, gestures, corpora = planted_mouths(50, np.random.default_rng(5))
    kept = ~((gestures == 1) & (corpora == "blue"))
    curves = sanity_curves(mouths.take(kept), gestures[kept], corpora[kept], (0, 1), ("red", "blue"))
    assert set(zip(curves["corpus"], curves["gesture"], strict=True)) == {("red", 0), ("red", 1), ("blue", 0)}
    assert np.isnan(separation(curves))
    assert sanity_curves(mouths, gestures, corpora, (7, 8), ("red", "blue")).empty


def test_points_outside_the_outer_lip_are_refused():
    mouths, gestures, corpora = planted_mouths(5, np.random.default_rng(6))
    with pytest.raises(ValueError, match="60"):
        sanity_curves(mouths, gestures, corpora, (0, 1), ("red", "blue"), points=(60,))


def test_the_pair_is_the_best_filled_in_both():
    assert choose_pair_of_clusters([[90, 5, 40, 30], [1, 50, 30, 35]]) == (2, 3)


@pytest.mark.slow
def test_a_million_segments_take_less_than_a_minute():
    rng = np.random.default_rng(7)
    lengths = rng.integers(3, 20, 1_000_000)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    mouths = Ragged(rng.standard_normal((offsets[-1], 24), dtype=np.float32), offsets)
    gestures, corpora = rng.integers(0, 10, len(mouths)), np.where(rng.random(len(mouths)) < 0.5, "red", "blue")
    started = time.process_time()
    cluster_shapes(mouths, gestures, 10)
    sanity_curves(mouths, gestures, corpora, (0, 1), ("red", "blue"))
    assert time.process_time() - started < 60
