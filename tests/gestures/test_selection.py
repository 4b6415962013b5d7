import numpy as np
import pytest

from agser_core.gestures.selection import cluster_ratios, cluster_shares, common_clusters, count_clusters


def test_counts_by_hand_leave_out_unassigned():
    counts = count_clusters(np.array([0, 2, 2, -1, 1]), np.array([False, False, True, True, True]), 3)
    assert counts.tolist() == [[1, 0, 1], [0, 1, 1]]


def test_a_gesture_beyond_the_model_is_refused():
    with pytest.raises(ValueError, match="gesture 3 in a model of 3"):
        count_clusters(np.array([3]), np.array([False]), 3)


def test_ratios_by_hand():
    # shares .5 .3 .2 and .1 .3 .6
    assert cluster_ratios([[5, 3, 2], [10, 30, 60]]) == pytest.approx([20, 100, 100 / 3])


def test_ratio_does_not_depend_on_corpus_size_or_order():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 100, (2, 10))
    assert cluster_ratios(counts * [[7], [1]]) == pytest.approx(cluster_ratios(counts))
    assert cluster_ratios(counts[::-1]) == pytest.approx(cluster_ratios(counts))


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0, [True, True, True, False]), (25, [False, True, True, False]), (100, [False, True, False, False])],
)
def test_threshold_drops_rare_clusters(threshold, expected):
    # ratios 20, 100, 33.3, 0
    assert common_clusters([[5, 3, 2, 0], [10, 30, 60, 0]], threshold).tolist() == expected


def test_threshold_is_a_percentage():
    with pytest.raises(ValueError, match="percentage"):
        common_clusters(np.ones((2, 3)), 250)


def test_a_corpus_without_segments_has_no_shares_and_nothing_in_common():
    counts = [[0, 0], [3, 1]]
    assert np.isnan(cluster_shares(counts)[0]).all()
    assert np.isnan(cluster_ratios(counts)).all()
    assert not common_clusters(counts).any()


def test_shape_is_checked():
    with pytest.raises(ValueError, match=r"\[\.\.\., 2, K\]"):
        cluster_ratios(np.ones((3, 4)))
