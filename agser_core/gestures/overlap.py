"""How far two corpora use the same gestures for the same vowel (AG paper, overlap tables).

The paper's formula, `Sim = (1/K_ct) sum_i min(N_1i/N_1, N_2i/N_2) * 100`, cannot exceed 100/K_ct as printed, while
its published entries are 60 to 80. So three forms are computed and named apart:

    ratio         mean over common clusters of 100 * min(p1, p2) / max(p1, p2)          our default [ours]
    printed       100 / K_ct * sum over common clusters of min(p1, p2)                   the formula as printed [paper]
    intersection  100 * sum over all clusters of min(p1, p2)                             histogram intersection [ours]

with p the share of a corpus' segments in a cluster and "common" as in `selection.common_clusters`.

Each figure comes with two companions. The *null* shuffles the corpus labels: what two halves of one and the same
population would give at these sample sizes, a ceiling rather than a floor; the p-value is the share of shuffles
that overlap as little as observed. The *interval* is a bootstrap over speakers where both corpora have at least
`MINIMUM_SPEAKERS`, else over segments. Everything works on counts: 10^6 segments are counted once and never shuffled.

Shape legend: S speakers, V vowels, E emotions, K clusters, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from agser_core.corpora.clip import CLASSES
from agser_core.gestures.selection import THRESHOLD, cluster_ratios, cluster_shares, common_clusters

FORMS = ("ratio", "printed", "intersection")
#: Below this a bootstrap over speakers says next to nothing, and segments are resampled instead.
MINIMUM_SPEAKERS = 5
#: Published per-vowel averages over all emotions, CREMA-D against MSP-IMPROV, K = 10, per cent (AG paper).
PUBLISHED_AVERAGES = {"ɑ": 68.8, "ə": 69.3, "ɛ": 74.5, "i": 73.4, "æ": 76.6, "u": 75.0}
#: The row or column that pools all vowels or all emotions.
ALL = "all"


def ratio(counts: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """Mean of the per-cluster ratios over the common clusters.

    Args:
        counts: segment counts, shape [..., 2, K].
        threshold: per cent; entries below are dropped before the mean.

    Returns:
        Per cent in 0..100, shape [...]; 0 where no cluster is common, NaN where a corpus has no segment.

    >>> float(ratio([[50, 50, 0], [25, 50, 25]]))
    75.0
    """
    common = common_clusters(counts, threshold)
    total = np.where(common, np.nan_to_num(cluster_ratios(counts)), 0).sum(axis=-1)
    return _undefined_without_segments(counts, total / np.maximum(common.sum(axis=-1), 1))


def printed(counts: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """The formula as the paper prints it: 100 / K_ct * sum over common clusters of min(p1, p2).

    Args and returns as `ratio`; the range is 0..100/K_ct.

    >>> float(printed([[50, 50, 0], [25, 50, 25]]))
    37.5
    """
    common = common_clusters(counts, threshold)
    total = np.where(common, np.nan_to_num(cluster_shares(counts).min(axis=-2)), 0).sum(axis=-1)
    return _undefined_without_segments(counts, 100 * total / np.maximum(common.sum(axis=-1), 1))


def intersection(counts: np.ndarray) -> np.ndarray:
    """Histogram intersection of the two corpora over all clusters: 100 * sum min(p1, p2), in 0..100.

    >>> float(intersection([[50, 50, 0], [25, 50, 25]]))
    75.0
    """
    return 100 * cluster_shares(counts).min(axis=-2).sum(axis=-1)


def all_forms(counts: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """The three forms in the order of `FORMS`. Args: counts [..., 2, K]. Returns: per cent, shape [3, ...]."""
    return np.stack([ratio(counts, threshold), printed(counts, threshold), intersection(counts)])


def _undefined_without_segments(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where((np.asarray(counts).sum(axis=-1) > 0).all(axis=-1), values, np.nan)


def shuffled_counts(counts: np.ndarray, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Counts after shuffling the corpus labels of the segments, without touching a segment.

    With the labels shuffled, the first corpus' counts are a draw without replacement from the pooled counts: the
    multivariate hypergeometric distribution.

    Args:
        counts: int [2, K].

    Returns:
        int64 [R, 2, K]; sums over the corpora and over the clusters are those of `counts`.
    """
    pooled = counts.sum(axis=0)
    first = rng.multivariate_hypergeometric(pooled, int(counts[0].sum()), size=n_resamples, method="marginals")
    return np.stack([first, pooled - first], axis=1)


def bootstrap_counts(speaker_counts: np.ndarray, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Counts of one corpus after resampling its speakers, or its segments where it is one row.

    Args:
        speaker_counts: int [S, K]; with S = 1 the segments are resampled (multinomial), else the S speakers.

    Returns:
        int64 [R, K].
    """
    n_speakers = len(speaker_counts)
    if n_speakers == 1:
        total = speaker_counts[0].sum()
        return rng.multinomial(total, speaker_counts[0] / max(total, 1), size=n_resamples)
    times_drawn = rng.multinomial(n_speakers, np.full(n_speakers, 1 / n_speakers), size=n_resamples)
    return times_drawn @ speaker_counts


def measure_overlap(
    first: np.ndarray,
    second: np.ndarray,
    *,
    threshold: float = THRESHOLD,
    n_permutations: int = 1000,
    n_bootstrap: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """The three forms of overlap with interval and null.

    The interval is the symmetric bootstrap (Hall 1988) cut to 0..100. Sampling noise only ever lowers an overlap, so no
    bootstrap reaches 100, the truth of two like corpora; where the shuffles do not tell the corpora apart
    (p > 1 - level), full overlap cannot be excluded and the interval reaches up to it (the test, inverted).

    Args:
        first: counts of the first corpus, one row a speaker, int [S1, K].
        second: the same of the second corpus, int [S2, K].
        threshold: per cent, for the common clusters.
        n_permutations: draws of the null.
        n_bootstrap: draws of the interval.
        level: coverage of the interval, and of the null's central range.

    Returns:
        One row a form: form, value, low, high, null_mean, null_low, null_high, p_value (share of shuffles whose
        overlap is as low as observed, with the usual +1), common_clusters, first_segments, second_segments, resampled
        ("speakers" or "segments"). Figures in per cent; NaN where a corpus has no segment.
    """
    rng = np.random.default_rng(seed)
    counts = np.stack([first.sum(axis=0), second.sum(axis=0)])
    by_speaker = min(np.count_nonzero(part.sum(axis=1)) for part in (first, second)) >= MINIMUM_SPEAKERS
    table = pd.DataFrame({"form": FORMS, "value": all_forms(counts, threshold)})
    if counts.sum(axis=1).min() > 0:
        parts = (first, second) if by_speaker else (counts[:1], counts[1:])
        resampled = np.stack([bootstrap_counts(part, n_bootstrap, rng) for part in parts], axis=1)
        low, high = _symmetric_interval(table["value"].to_numpy(), all_forms(resampled, threshold), level)
        null = all_forms(shuffled_counts(counts, n_permutations, rng), threshold)
        as_low = (null <= table["value"].to_numpy()[:, None] + 1e-9).sum(axis=1)
        p_value = (as_low + 1) / (n_permutations + 1)
        full_overlap = np.array([100, 100 / max(common_clusters(counts, threshold).sum(), 1), 100])
        table["low"], table["high"] = low, np.where(p_value > 1 - level, np.maximum(high, full_overlap), high)
        table["null_mean"] = null.mean(axis=1)
        table["null_low"], table["null_high"] = np.quantile(null, [(1 - level) / 2, (1 + level) / 2], axis=1)
        table["p_value"] = p_value
    else:
        table[["low", "high", "null_mean", "null_low", "null_high", "p_value"]] = np.nan
    table["common_clusters"] = int(common_clusters(counts, threshold).sum())
    table["first_segments"], table["second_segments"] = (int(total) for total in counts.sum(axis=1))
    table["resampled"] = "speakers" if by_speaker else "segments"
    return table


def _symmetric_interval(value: np.ndarray, resampled: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """value +- the `level` quantile of |resampled - value|, cut to 0..100. Shapes [3], [3, R]."""
    reach = np.nanquantile(np.abs(resampled - value[:, None]), level, axis=1)
    return np.clip(value - reach, 0, 100), np.clip(value + reach, 0, 100)


@dataclass(frozen=True)
class GestureCounts:
    """Segments counted by vowel, emotion, speaker and cluster: all that the overlap tables need.

    counts is int64 [V, E, S, K]; `is_second` [S] says to which of the two corpora a speaker belongs. Segments without
    an emotion are counted under the empty word "".
    """

    counts: np.ndarray
    vowels: list[str]
    emotions: list[str]
    is_second: np.ndarray
    corpora: tuple[str, str]

    def of(self, vowel: str = ALL, emotion: str = ALL) -> tuple[np.ndarray, np.ndarray]:
        """Counts by speaker of the first and the second corpus, int [S1, K] and [S2, K]."""
        block = self.counts
        block = block.sum(axis=0) if vowel == ALL else block[self.vowels.index(vowel)]
        block = block.sum(axis=0) if emotion == ALL else block[self.emotions.index(emotion)]
        return block[~self.is_second], block[self.is_second]

    def by_corpus(self, vowel: str = ALL, emotion: str = ALL) -> np.ndarray:
        """Counts of both corpora, int [2, K]."""
        return np.stack([part.sum(axis=0) for part in self.of(vowel, emotion)])


def count_gestures(
    gestures: np.ndarray,
    corpora: np.ndarray,
    pair: tuple[str, str],
    speakers: np.ndarray,
    vowels: np.ndarray,
    emotions: np.ndarray | None,
    n_clusters: int,
) -> GestureCounts:
    """Count segments once for all tables.

    Args:
        gestures: cluster of each segment, int [N]; negative = not assigned, left out.
        corpora: corpus of each segment, str [N]; those of neither corpus of the pair are left out.
        pair: the first and the second corpus.
        speakers: str [N], unique across corpora.
        vowels: str [N], IPA.
        emotions: str or null [N], or None where the corpora have none.
        n_clusters: K.

    Raises:
        ValueError: a gesture at or above K, or one corpus named twice.
    """
    if pair[0] == pair[1]:
        raise ValueError(f"overlap compares two corpora, got {pair[0]!r} twice")
    gestures = np.asarray(gestures)
    if len(gestures) and gestures.max() >= n_clusters:
        raise ValueError(f"gesture {gestures.max()} in a model of {n_clusters} clusters")
    corpora = np.asarray(corpora)
    kept = (gestures >= 0) & ((corpora == pair[0]) | (corpora == pair[1]))
    if emotions is None:
        emotions = np.full(len(gestures), "")
    vowel_codes, vowel_names = in_order(np.asarray(vowels)[kept], tuple(PUBLISHED_AVERAGES))
    emotion_codes, emotion_names = in_order(pd.Series(np.asarray(emotions)[kept]).fillna("").to_numpy(), CLASSES)
    speaker_codes, speaker_names = pd.factorize(np.asarray(speakers)[kept])
    shape = (len(vowel_names), len(emotion_names), len(speaker_names), n_clusters)
    cells = (
        np.ravel_multi_index((vowel_codes, emotion_codes, speaker_codes, gestures[kept]), shape) if kept.any() else []
    )
    counts = np.bincount(np.asarray(cells, dtype=np.int64), minlength=int(np.prod(shape))).reshape(shape)
    is_second = np.zeros(len(speaker_names), dtype=bool)
    is_second[speaker_codes] = corpora[kept] == pair[1]
    return GestureCounts(counts, vowel_names, emotion_names, is_second, pair)


def in_order(values: np.ndarray, first: tuple[str, ...]) -> tuple[np.ndarray, list[str]]:
    """Values as numbers: codes int [N], and names of which those in `first` come first, the others by the alphabet.

    A missing value has the code -1.

    >>> in_order(np.array(["fear", "anger", None, "neutral"], dtype=object), ("neutral", "anger"))
    (array([ 2,  1, -1,  0]), ['neutral', 'anger', 'fear'])
    """
    codes, names = pd.factorize(values)
    ordered = sorted(names, key=lambda name: (first.index(name), "") if name in first else (len(first), name))
    place = [ordered.index(name) for name in names]
    return np.array([*place, -1])[codes], ordered


def overlap_table(
    counts: GestureCounts,
    *,
    threshold: float = THRESHOLD,
    n_permutations: int = 1000,
    n_bootstrap: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Overlap of every vowel and emotion, and of all pooled, in the three forms.

    Returns:
        The columns of `measure_overlap` behind `vowel` and `emotion` (each also "all"), one row a
        vowel x emotion x form. Rows by emotion appear only for emotions that both corpora carry.
    """
    shared = [name for name in counts.emotions if name and counts.by_corpus(emotion=name).sum(axis=1).min() > 0]
    rows = []
    for vowel in [*counts.vowels, ALL]:
        for emotion in [*shared, ALL]:
            measured = measure_overlap(
                *counts.of(vowel, emotion),
                threshold=threshold,
                n_permutations=n_permutations,
                n_bootstrap=n_bootstrap,
                level=level,
                seed=seed,
            )
            measured.insert(0, "emotion", emotion)
            measured.insert(0, "vowel", vowel)
            rows.append(measured)
    return pd.concat(rows, ignore_index=True)


def vowel_cluster_table(counts: GestureCounts, threshold: float = THRESHOLD) -> pd.DataFrame:
    """The paper's vowel x cluster table: ratio of each cluster in per cent, average of those kept, published average.

    Returns:
        One row a vowel (and "all"): vowel, one column a cluster named "0".."K-1" (NaN = empty in both corpora),
        average (over entries of at least `threshold`), published_average (NaN where the paper has none).
    """
    names = [*counts.vowels, ALL]
    by_vowel = np.stack([counts.by_corpus(vowel) for vowel in names])
    table = pd.DataFrame(cluster_ratios(by_vowel), columns=[str(cluster) for cluster in range(by_vowel.shape[-1])])
    table.insert(0, "vowel", names)
    table["average"] = ratio(by_vowel, threshold)
    table["published_average"] = [PUBLISHED_AVERAGES.get(name, np.nan) for name in names]
    return table


def vowel_emotion_table(overlap: pd.DataFrame, form: str = "ratio") -> pd.DataFrame:
    """The paper's vowel x emotion table, from `overlap_table`.

    Returns:
        One row a vowel: vowel, one column an emotion, all, published_average (the paper's, all emotions).
    """
    chosen = overlap[overlap["form"] == form]
    order = list(dict.fromkeys(chosen["emotion"]))
    table = chosen.pivot(index="vowel", columns="emotion", values="value").reindex(columns=order)
    table = table.reindex(list(dict.fromkeys(chosen["vowel"]))).reset_index().rename_axis(columns=None)
    table["published_average"] = [PUBLISHED_AVERAGES.get(name, np.nan) for name in table["vowel"]]
    return table
