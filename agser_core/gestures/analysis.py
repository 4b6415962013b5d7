"""The analyses of the AG paper on two corpora, from the stages' tables: overlap, sanity, association with sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from agser_core.experiment import AnalyseSettings
from agser_core.extracted import ExtractedCorpus
from agser_core.gestures.association import acoustic_clusters, acoustic_clusters_per_gesture, association_table
from agser_core.gestures.overlap import count_gestures, overlap_table, vowel_cluster_table, vowel_emotion_table
from agser_core.gestures.sanity import choose_pair_of_clusters, sanity_curves
from agser_core.gestures.segments import mouth_source
from agser_core.outputs import StageOutput
from agser_core.ragged import Ragged
from agser_core.speech.pooling import varies_within_clips


@dataclass(frozen=True)
class GestureSegments:
    """Every segment that has a mouth, with what the analyses ask of it.

    table: clip_id, corpus, position, gesture (-1 in clips that the split leaves out), speaker, emotion (null = no
    label), ipa, phone. mouths: the movements in the same order. n_clusters: gestures of the model.
    """

    table: pd.DataFrame
    mouths: Ragged
    n_clusters: int


def gesture_segments(corpora: Sequence[ExtractedCorpus], clusters: StageOutput, fold: int = 0) -> GestureSegments:
    """Join gestures of one fold with their segments, clips and movements. clusters: the finished cluster stage."""
    gestures = clusters.table("gestures")
    source = mouth_source(corpora, None, fold)
    keys, mouths = source.keys(0, len(source)), source.read(0, len(source))
    gestures = gestures.select(["fold", "clip_id", "corpus", "position", "gesture"]).to_pandas()
    segments = pd.concat(
        [corpus.segments.select(["clip_id", "corpus", "position", "ipa", "phone"]).to_pandas() for corpus in corpora]
    )
    clips = pd.concat([corpus.clips[["clip_id", "corpus", "speaker", "emotion"]] for corpus in corpora])
    place = ["clip_id", "corpus", "position"]
    table = (
        keys.drop(columns="partition")
        .merge(gestures[gestures["fold"] == fold].drop(columns="fold"), on=place, how="left", validate="one_to_one")
        .merge(segments, on=place, how="left", validate="one_to_one")
        .merge(clips, on=["clip_id", "corpus"], how="left", validate="many_to_one")
    )
    table["gesture"] = table["gesture"].fillna(-1).astype(np.int64)
    return GestureSegments(table, mouths, clusters.manifest()["n_clusters"])


def analyse_pair(
    segments: GestureSegments, pair: tuple[str, str], settings: AnalyseSettings
) -> dict[str, pd.DataFrame]:
    """Overlap, its two tables by vowel, and the sanity curves of the most frequent vowel, for two corpora."""
    table = segments.table
    emotions = table["emotion"].to_numpy(object) if table["emotion"].notna().any() else None
    counts = count_gestures(
        table["gesture"].to_numpy(),
        table["corpus"].to_numpy(str),
        pair,
        (table["corpus"] + "/" + table["speaker"]).to_numpy(str),  # one corpus under two names has its speakers twice
        table["ipa"].to_numpy(str),
        emotions,
        segments.n_clusters,
    )
    overlap = overlap_table(
        counts, n_permutations=settings.permutations, n_bootstrap=settings.bootstrap, level=settings.confidence
    )
    by_vowel = {vowel: counts.by_corpus(vowel) for vowel in counts.vowels}
    vowel = max(by_vowel, key=lambda name: by_vowel[name].sum(axis=1).min())
    chosen = np.flatnonzero(table["ipa"] == vowel)
    curves = sanity_curves(
        segments.mouths.take(chosen),
        table["gesture"].to_numpy()[chosen],
        table["corpus"].to_numpy(str)[chosen],
        choose_pair_of_clusters(by_vowel[vowel]),
        pair,
    )
    return {
        "overlap": overlap,
        "vowel_clusters": vowel_cluster_table(counts),
        "vowel_emotions": vowel_emotion_table(overlap),
        "sanity": curves.assign(vowel=vowel),
    }


def analyse_sound(
    segments: GestureSegments, corpora: Sequence[ExtractedCorpus], settings: AnalyseSettings
) -> dict[str, pd.DataFrame]:
    """How far a gesture tells the sound: as many acoustic clusters as gestures, over vectors standardised by corpus."""
    labels = acoustic_clusters(_vectors(segments.table, corpora), segments.n_clusters)
    table = segments.table
    emotions = table["emotion"].to_numpy(object) if table["emotion"].notna().any() else None
    arguments = (table["gesture"].to_numpy(), labels, emotions, segments.n_clusters, segments.n_clusters)
    return {
        "association": association_table(*arguments, n_permutations=settings.permutations, level=settings.confidence),
        "acoustic_clusters": acoustic_clusters_per_gesture(*arguments),
    }


def _vectors(table: pd.DataFrame, corpora: Sequence[ExtractedCorpus]) -> np.ndarray:
    """Phone vectors of the segments, all layers averaged, standardised within each corpus: float32 [N, dimension];
    without the dimensions that are the same all over a clip."""
    vectors = None
    for corpus in corpora:
        phones, (layers, dimension) = corpus.phone_vectors(), corpus.manifest["vector_shape"]
        keys = phones.select(["clip_id", "position"]).to_pandas().assign(row=np.arange(phones.num_rows))
        own = np.flatnonzero(table["corpus"] == corpus.name)
        rows = table.iloc[own][["clip_id", "position"]].merge(keys, on=["clip_id", "position"], how="left")["row"]
        flat = phones["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        values = flat.reshape(-1, layers, dimension)[rows.to_numpy()].astype(np.float32).mean(axis=1)
        if vectors is None:
            vectors = np.empty((len(table), dimension), np.float32)
        deviation = values.std(axis=0)
        vectors[own] = (values - values.mean(axis=0)) / np.where(deviation > 1e-6, deviation, 1)
    return vectors[:, varies_within_clips(vectors, (table["corpus"] + "/" + table["clip_id"]).to_numpy(str))]
