import time

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from agser_core.gestures.association import (
    acoustic_clusters,
    acoustic_clusters_per_gesture,
    association_table,
    conditional_entropy,
    contingency,
    normalised_mutual_information,
    shuffled_tables,
)


def labels(n, rng, agreement):
    gestures = rng.integers(0, 4, n)
    return gestures, np.where(rng.random(n) < agreement, gestures, rng.integers(0, 5, n))


@pytest.mark.parametrize("agreement", [0.0, 0.5, 1.0])
def test_mutual_information_agrees_with_scikit_learn(agreement):
    gestures, acoustic = labels(500, np.random.default_rng(0), agreement)
    table = contingency(gestures, acoustic, 4, 5)
    assert normalised_mutual_information(table) == pytest.approx(normalized_mutual_info_score(gestures, acoustic))


def test_conditional_entropy_by_hand():
    assert conditional_entropy([[4, 0], [0, 4]]) == 0
    assert conditional_entropy([[2, 2], [2, 2]]) == 1
    assert conditional_entropy([[1, 1, 1, 1], [4, 0, 0, 0]]) == pytest.approx(0.5 * 2)
    assert conditional_entropy([[0, 0], [0, 0]]) == 0


def test_measures_work_on_stacks():
    stack = np.random.default_rng(1).integers(0, 9, (6, 4, 5))
    assert normalised_mutual_information(stack)[3] == pytest.approx(normalised_mutual_information(stack[3]))
    assert conditional_entropy(stack)[3] == pytest.approx(conditional_entropy(stack[3]))


def test_shuffled_tables_keep_margins_and_match_a_shuffle():
    rng = np.random.default_rng(2)
    gestures, acoustic = labels(200, rng, 0.5)
    table = contingency(gestures, acoustic, 6, 7)  # with empty rows and columns
    tables = shuffled_tables(table, 2000, rng)
    assert (tables.sum(axis=2) == table.sum(axis=1)).all() and (tables.sum(axis=1) == table.sum(axis=0)).all()
    by_labels = [normalized_mutual_info_score(gestures, rng.permutation(acoustic)) for _ in range(1000)]
    quantiles = [0.05, 0.5, 0.95]
    shuffled = np.quantile(normalised_mutual_information(tables), quantiles)
    assert shuffled == pytest.approx(np.quantile(by_labels, quantiles), rel=0.15)


def test_the_null_is_centred_and_p_values_are_uniform():
    rng = np.random.default_rng(3)
    p_values, differences = [], []
    for seed in range(150):
        gestures, acoustic = labels(150, rng, 0.0)
        row = association_table(gestures, acoustic, None, 4, 5, n_permutations=150, seed=seed).iloc[0]
        p_values.append(row["nmi_p_value"])
        differences.append(row["conditional_entropy"] - row["entropy_null_mean"])
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.1)
    assert abs(np.mean(differences)) < 3 * np.std(differences) / np.sqrt(len(differences))


def test_planted_association_is_found_in_the_emotion_where_it_was_planted():
    rng = np.random.default_rng(4)
    tied, free = labels(400, rng, 0.6), labels(400, rng, 0.0)
    gestures, acoustic = (np.concatenate(parts) for parts in zip(tied, free, strict=True))
    emotions = np.repeat(np.array(["anger", "sadness"], dtype=object), 400)
    emotions[:10] = None
    table = association_table(gestures, acoustic, emotions, 4, 5, n_permutations=300).set_index("emotion")
    assert list(table.index) == ["all", "anger", "sadness"]
    assert table.loc["anger", "nmi_p_value"] < 0.01 < table.loc["sadness", "nmi_p_value"]
    assert table.loc["anger", "nmi"] > table.loc["anger", "nmi_null_high"]
    assert table.loc["anger", "conditional_entropy"] < table.loc["anger", "entropy_null_low"]
    assert table.loc["all", "segments"] == 800 and table.loc["anger", "segments"] == 390


def test_acoustic_clusters_per_gesture_by_hand():
    gestures = np.array([0, 0, 0, 0, 1, 1, -1])
    acoustic = np.array([0, 0, 1, 1, 2, 2, 2])
    emotions = np.array(["anger", "anger", "anger", "sadness", "anger", "anger", "anger"])
    table = acoustic_clusters_per_gesture(gestures, acoustic, emotions, 3, 3).set_index(["gesture", "emotion"])
    assert table.loc[(0, "all"), ["segments", "acoustic_clusters", "effective_clusters"]].tolist() == [
        4,
        2,
        pytest.approx(2),
    ]
    assert table.loc[(0, "sadness"), "acoustic_clusters"] == 1
    assert table.loc[(1, "all"), "effective_clusters"] == pytest.approx(1)
    assert (2, "all") not in table.index


def test_acoustic_clusters_find_planted_groups_whatever_the_units(monkeypatch):
    monkeypatch.setattr("agser_core.gestures.association.FIT_ROWS", 200)  # the rest is only assigned
    rng = np.random.default_rng(5)
    groups = rng.integers(0, 3, 700)
    vectors = 6 * np.eye(3)[groups] + rng.standard_normal((700, 3))
    found = acoustic_clusters((vectors * [1, 100, 0.01]).astype(np.float16), 3, seed=0)
    assert found.dtype == np.int32
    assert adjusted_rand_score(groups, found) > 0.95


def test_more_clusters_than_segments_is_refused():
    with pytest.raises(ValueError, match="5 acoustic clusters of 3 segments"):
        acoustic_clusters(np.zeros((3, 2)), 5)


@pytest.mark.slow
def test_a_million_segments_take_less_than_a_minute():
    rng = np.random.default_rng(6)
    gestures, acoustic = rng.integers(0, 10, 1_000_000), rng.integers(0, 50, 1_000_000)
    emotions = rng.choice(np.array(["neutral", "anger", "happiness", "sadness"], dtype=object), 1_000_000)
    started = time.process_time()
    association_table(gestures, acoustic, emotions, 10, 50)
    acoustic_clusters_per_gesture(gestures, acoustic, emotions, 10, 50)
    assert time.process_time() - started < 60
