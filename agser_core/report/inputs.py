"""What a report is made of. Every field may be missing: the page then says that it was not run.

Tables are pandas frames with the columns named here; further columns are shown as they are. `collect.py` makes the
tables that the stages don't write themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Atlas:
    """The gestures as moving mouths, and who makes them. Made by `collect.atlas`.

    Attributes:
        mean: mean movement [K, P, 24], inter-pupil units, y downwards (`gestures.sanity.cluster_shapes`).
        deviation: standard deviation over members [K, P, 24].
        table: one row a gesture: gesture, members, common (bool) and ratio (per cent) where there are two corpora,
            share_<corpus> (0..1 of the corpus' segments).
        phones: gesture, phone (IPA), share (0..1 of the gesture's members), largest first within a gesture.
        emotions: gesture, emotion, share, or None where no corpus carries emotions.
    """

    mean: np.ndarray
    deviation: np.ndarray
    table: pd.DataFrame
    phones: pd.DataFrame
    emotions: pd.DataFrame | None = None


@dataclass(frozen=True)
class ClipView:
    """One clip of the explorer. Times in seconds from the clip's start. Made by `collect.clip_view`.

    Attributes:
        wave_low, wave_high: least and greatest sample of each of B equal stretches, [B], in -1..1.
        phones: label (IPA or ARPABET), start, end.
        opening_times, opening: lip opening of each video frame, inter-pupil units, NaN where no face was found.
        gestures: gesture, start, end of the segments that have one.
    """

    clip_id: str
    corpus: str
    duration: float
    wave_low: np.ndarray
    wave_high: np.ndarray
    phones: pd.DataFrame
    opening_times: np.ndarray
    opening: np.ndarray
    gestures: pd.DataFrame
    emotion: str | None = None
    transcript: str | None = None


@dataclass
class ReportInputs:
    """All that the page shows, section by section.

    Attributes:
        name: of the experiment.
        created: time of the report, ISO 8601.
        notes: sentences for the summary that only the caller can know, such as "The corpora are generated."

        corpora: a row a corpus: corpus, clips, excluded, speakers, hours, languages, label_rule, clips by emotion
            (`collect.corpora_table`).
        exclusions: corpus, stage, error_class, reason, clips, example (`collect.exclusions_table`).
        problems: files the adapters could not use: corpus, uri, reason, remedy.
        tracking: a row a corpus: quality of tracking and alignment (`collect.tracking_table`).

        elbow: clusters, inertia, silhouette, chosen, as the cluster stage writes.
        atlas: of `collect.atlas`.
        overlap, vowel_clusters, vowel_emotions: of `gestures.overlap`, comparing the corpora `pair`; threshold (per
            cent) is that of common clusters. level: of the intervals and nulls of overlap and association, 0..1.
        sanity: of `gestures.sanity.sanity_curves`, of the vowel `sanity_vowel`.
        association, acoustic_clusters: of `gestures.association`.
        clips: a few clips to look into.

        results: of `evaluation.summary.summarise`; UARs in 0..1.
        confusion: of `evaluation.summary.confusion_table`.
        styles, style_edges: of `ser.styles.style_analysis`: speakers by emotion, their communities and neighbours.
        baseline: the method that differences are taken to.

        encoder, encoder_pretrained: name, and whether its weights were pretrained.
        normalisation: of the phone vectors: none, corpus, speaker.
        seeds: of the fits.
        leak_checks: check, passed (bool), detail.
        config: the experiment as YAML text.
        fingerprints: stage, fingerprint, created.
        versions: package -> version.
        costs: stage, wall_seconds, peak_memory_bytes, rows (`collect.costs_table`).
        truth: for generated corpora: quantity, value, unit, wanted, n.
    """

    name: str
    created: str
    notes: list[str] = field(default_factory=list)

    corpora: pd.DataFrame | None = None
    exclusions: pd.DataFrame | None = None
    problems: pd.DataFrame | None = None
    tracking: pd.DataFrame | None = None

    elbow: pd.DataFrame | None = None
    atlas: Atlas | None = None
    pair: tuple[str, str] | None = None
    threshold: float = 25.0
    level: float = 0.95
    overlap: pd.DataFrame | None = None
    vowel_clusters: pd.DataFrame | None = None
    vowel_emotions: pd.DataFrame | None = None
    sanity: pd.DataFrame | None = None
    sanity_vowel: str | None = None
    association: pd.DataFrame | None = None
    acoustic_clusters: pd.DataFrame | None = None
    clips: list[ClipView] = field(default_factory=list)

    results: pd.DataFrame | None = None
    confusion: pd.DataFrame | None = None
    styles: pd.DataFrame | None = None
    style_edges: pd.DataFrame | None = None
    baseline: str = "none"

    encoder: str | None = None
    encoder_pretrained: bool | None = None
    normalisation: str | None = None
    seeds: list[int] = field(default_factory=list)
    leak_checks: pd.DataFrame | None = None
    config: str | None = None
    fingerprints: pd.DataFrame | None = None
    versions: dict[str, str] = field(default_factory=dict)
    costs: pd.DataFrame | None = None
    truth: pd.DataFrame | None = None
