import time

import numpy as np
import pytest

from agser_core.gestures.overlap import (
    FORMS,
    PUBLISHED_AVERAGES,
    all_forms,
    bootstrap_counts,
    count_gestures,
    intersection,
    measure_overlap,
    overlap_table,
    printed,
    ratio,
    shuffled_counts,
    vowel_cluster_table,
    vowel_emotion_table,
)

N_CLUSTERS = 10


def rows_of(shares, n_segments, n_speakers, rng):
    """Counts of speakers who all follow the same shares: int [S, K]."""
    return rng.multinomial(n_segments // n_speakers, shares, size=n_speakers)


@pytest.mark.parametrize("seed", range(5))
def test_identical_corpora_give_100_and_disjoint_ones_0(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 50, N_CLUSTERS)
    assert all_forms(np.stack([counts, 3 * counts])) == pytest.approx([100, 100 / N_CLUSTERS, 100])
    half = np.arange(N_CLUSTERS) < 5
    assert all_forms(np.stack([counts * half, counts * ~half])) == pytest.approx([0, 0, 0])


def test_the_three_forms_by_hand():
    # shares .5 .3 .2 0 and .1 .3 .4 .2: ratios 20 (dropped), 100, 50, 0 (dropped)
    counts = np.array([[5, 3, 2, 0], [10, 30, 40, 20]])
    assert ratio(counts) == pytest.approx((100 + 50) / 2)
    assert printed(counts) == pytest.approx(100 / 2 * (0.3 + 0.2))
    assert intersection(counts) == pytest.approx(100 * (0.1 + 0.3 + 0.2))


def test_forms_work_on_stacks_of_tables():
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 20, (4, 3, 2, N_CLUSTERS))
    together = all_forms(stack)
    assert together.shape == (3, 4, 3)
    assert together[:, 2, 1] == pytest.approx(all_forms(stack[2, 1]))


def test_the_printed_formula_stays_below_its_bound():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 50, (1000, 2, N_CLUSTERS))
    common = (ratio(counts) > 0).sum()
    assert common > 900
    assert (printed(counts) <= 100 + 1e-9).all()
    assert printed(counts).max() < ratio(counts).max()


def test_no_segments_means_undefined_not_zero():
    assert np.isnan(all_forms(np.array([[0, 0], [1, 2]]))).all()
    measured = measure_overlap(np.zeros((1, 2), int), np.ones((1, 2), int))
    assert measured["value"].isna().all() and measured["p_value"].isna().all()


def test_shuffled_counts_keep_margins_and_have_the_mean_of_a_shuffle():
    counts = np.array([[40, 10, 0], [10, 20, 30]])
    shuffled = shuffled_counts(counts, 4000, np.random.default_rng(0))
    assert (shuffled.sum(axis=1) == counts.sum(axis=0)).all()
    assert (shuffled.sum(axis=2) == counts.sum(axis=1)).all()
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    assert shuffled.mean(axis=0) == pytest.approx(expected, abs=0.2)


def test_shuffling_counts_equals_shuffling_labels():
    """The shortcut against the thing itself: same distribution of the overlap."""
    rng = np.random.default_rng(1)
    gestures = rng.choice(4, 300, p=[0.4, 0.3, 0.2, 0.1])
    is_second = np.arange(300) < 120
    counts = np.stack([np.bincount(gestures[is_second == side], minlength=4) for side in (False, True)])
    by_counts = ratio(shuffled_counts(counts, 3000, rng))
    by_labels = []
    for _ in range(3000):
        labels = rng.permutation(is_second)
        by_labels.append(
            ratio(np.stack([np.bincount(gestures[labels == side], minlength=4) for side in (False, True)]))
        )
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.quantile(by_counts, quantiles) == pytest.approx(np.quantile(by_labels, quantiles), abs=1.0)


def test_the_null_is_centred():
    """Two corpora of one population: the p-value is uniform, the value as often above the null's mean as below."""
    rng = np.random.default_rng(2)
    p_values, differences = [], []
    for seed in range(150):
        shares = rng.dirichlet(np.full(N_CLUSTERS, 3.0))
        first, second = rng.multinomial(400, shares)[None], rng.multinomial(700, shares)[None]
        measured = measure_overlap(first, second, n_permutations=200, n_bootstrap=200, seed=seed)
        p_values.append(measured["p_value"])
        differences.append(measured["value"] - measured["null_mean"])
    assert np.mean(p_values, axis=0) == pytest.approx([0.5] * 3, abs=0.1)
    standard_error = np.std(differences, axis=0) / np.sqrt(len(differences))
    assert (np.abs(np.mean(differences, axis=0)) < 3 * standard_error).all()


def test_unlike_corpora_fall_below_the_null():
    first, second = np.array([[300, 200, 100]]), np.array([[100, 200, 300]])
    measured = measure_overlap(first, second, seed=0)
    assert (measured["p_value"] < 0.01).all()
    assert (measured["value"] < measured["null_low"]).all()


@pytest.mark.parametrize("n_speakers", [1, 12])
@pytest.mark.parametrize("alike", [True, False])
def test_planted_shares_come_back_within_their_interval(n_speakers, alike):
    """Coverage of the 95 % interval, also at the border where both corpora are one population."""
    rng = np.random.default_rng(3)
    n_runs, covered = 120, np.zeros(3)
    first = rng.dirichlet(np.full(N_CLUSTERS, 3.0))
    second = first if alike else rng.dirichlet(np.full(N_CLUSTERS, 3.0))
    truth = all_forms(np.stack([first, second]) * 1e9)
    for seed in range(n_runs):
        measured = measure_overlap(
            rows_of(first, 2400, n_speakers, rng),
            rows_of(second, 2400, n_speakers, rng),
            n_permutations=200,
            n_bootstrap=200,
            seed=seed,
        )
        assert (measured["low"] <= measured["value"]).all() and (measured["value"] <= measured["high"]).all()
        covered += (measured["low"] <= truth + 1e-9) & (truth - 1e-9 <= measured["high"])
    assert (covered / n_runs >= 0.88).all()
    assert (measured["resampled"] == ("segments" if n_speakers == 1 else "speakers")).all()


def test_speakers_who_differ_widen_the_interval():
    """Resampling segments would call a corpus of few, different speakers far too certain."""
    rng = np.random.default_rng(4)
    speakers = [np.stack([rng.multinomial(200, rng.dirichlet(np.ones(5))) for _ in range(8)]) for _ in range(2)]
    by_speaker = measure_overlap(*speakers, seed=0)
    by_segment = measure_overlap(*(part.sum(axis=0, keepdims=True) for part in speakers), seed=0)
    width = [(table["high"] - table["low"])[2] for table in (by_speaker, by_segment)]
    assert by_speaker["value"].tolist() == by_segment["value"].tolist()
    assert width[0] > 2 * width[1]


def test_bootstrap_of_speakers_keeps_whole_speakers():
    counts = np.array([[7, 0], [0, 11]])
    drawn = bootstrap_counts(counts, 100, np.random.default_rng(0))
    assert {tuple(row) for row in drawn} == {(14, 0), (7, 11), (0, 22)}


def test_same_seed_same_table():
    rng = np.random.default_rng(5)
    parts = rng.integers(0, 30, (2, 6, N_CLUSTERS))
    assert measure_overlap(*parts, seed=7).equals(measure_overlap(*parts, seed=7))
    assert not measure_overlap(*parts, seed=7).equals(measure_overlap(*parts, seed=8))


@pytest.fixture
def counted():
    rng = np.random.default_rng(6)
    n = 4000
    corpora = rng.choice(["red", "blue", "elsewhere"], n)
    return count_gestures(
        gestures=rng.integers(-1, N_CLUSTERS, n),
        corpora=corpora,
        pair=("red", "blue"),
        speakers=np.char.add(corpora.astype(str), rng.integers(0, 6, n).astype(str)),
        vowels=rng.choice(["ɑ", "i", "u"], n),
        emotions=np.where(
            corpora == "red", rng.choice(["anger", "sadness", "fear"], n), rng.choice(["anger", "sadness"], n)
        ),
        n_clusters=N_CLUSTERS,
    )


def test_counting_agrees_with_a_loop():
    gestures = np.array([0, 1, 1, -1, 0, 1])
    corpora = np.array(["a", "a", "b", "b", "c", "b"])
    emotions = np.array(["x", None, "x", "x", "x", "x"], dtype=object)
    counts = count_gestures(
        gestures, corpora, ("a", "b"), np.array(["s", "s", "t", "t", "v", "u"]), np.array(["i"] * 6), emotions, 2
    )
    assert counts.by_corpus().tolist() == [[1, 1], [0, 2]]
    assert counts.by_corpus(emotion="x").tolist() == [[1, 0], [0, 2]]
    assert [len(part) for part in counts.of()] == [1, 2]


def test_tables_have_every_vowel_and_only_shared_emotions(counted):
    table = overlap_table(counted, n_permutations=50, n_bootstrap=50)
    assert set(table["vowel"]) == {"ɑ", "i", "u", "all"}
    assert set(table["emotion"]) == {"anger", "sadness", "all"}
    assert len(table) == 4 * 3 * len(FORMS)
    row = table.query("vowel == 'i' and emotion == 'anger' and form == 'ratio'").iloc[0]
    assert row["value"] == pytest.approx(float(ratio(counted.by_corpus("i", "anger"))))
    assert row["first_segments"] == counted.by_corpus("i", "anger")[0].sum()


def test_paper_tables_carry_the_published_averages_apart(counted):
    clusters = vowel_cluster_table(counted)
    emotions = vowel_emotion_table(overlap_table(counted, n_permutations=20, n_bootstrap=20))
    for table in (clusters, emotions):
        published = dict(zip(table["vowel"], table["published_average"], strict=True))
        assert {vowel: published[vowel] for vowel in ("ɑ", "i", "u")} == {
            vowel: PUBLISHED_AVERAGES[vowel] for vowel in ("ɑ", "i", "u")
        }
        assert np.isnan(published["all"])
    entries = clusters.loc[clusters["vowel"] == "u", [str(k) for k in range(N_CLUSTERS)]].to_numpy().ravel()
    assert clusters.loc[clusters["vowel"] == "u", "average"].item() == pytest.approx(entries[entries >= 25].mean())
    assert list(emotions.columns) == ["vowel", "anger", "sadness", "all", "published_average"]


def test_corpora_without_emotion_give_the_pooled_rows_only():
    rng = np.random.default_rng(7)
    corpora = np.repeat(["a", "b"], 50)
    counts = count_gestures(rng.integers(0, 3, 100), corpora, ("a", "b"), corpora, np.array(["i"] * 100), None, 3)
    assert set(overlap_table(counts, n_permutations=20, n_bootstrap=20)["emotion"]) == {"all"}


def test_one_corpus_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        count_gestures(np.zeros(1, int), np.array(["a"]), ("a", "a"), np.array(["s"]), np.array(["i"]), None, 2)


def test_no_segments_at_all_count_as_empty_tables():
    nothing = np.array([], dtype=str)
    counts = count_gestures(np.array([], int), nothing, ("a", "b"), nothing, nothing, None, 3)
    assert counts.vowels == [] and counts.by_corpus().tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.slow
def test_a_million_segments_take_less_than_a_minute():
    rng = np.random.default_rng(8)
    n = 1_000_000
    corpora = rng.choice(np.array(["a", "b"], dtype=object), n)
    speakers = np.array([f"{side}{i}" for side in "ab" for i in range(100)], dtype=object)[
        rng.integers(0, 100, n) + 100 * (corpora == "b")
    ]
    vowels = rng.choice(np.array(list(PUBLISHED_AVERAGES), dtype=object), n)
    emotions = rng.choice(np.array(["neutral", "anger", "happiness", "sadness"], dtype=object), n)
    gestures = rng.integers(0, N_CLUSTERS, n)
    started = time.process_time()
    counts = count_gestures(gestures, corpora, ("a", "b"), speakers, vowels, emotions, N_CLUSTERS)
    overlap_table(counts)
    vowel_cluster_table(counts)
    assert time.process_time() - started < 60
