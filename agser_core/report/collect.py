"""From the stages' tables (Arrow schemas of `agser_core.tables`, as pandas frames) to what the report shows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from agser_core.gestures.sanity import cluster_shapes
from agser_core.gestures.selection import THRESHOLD, cluster_ratios, common_clusters
from agser_core.ragged import Ragged
from agser_core.report.inputs import Atlas, ClipView

#: Points of the waveform drawn in the clip explorer.
WAVE_STRETCHES = 500


def corpora_table(clips: pd.DataFrame, errors: pd.DataFrame) -> pd.DataFrame:
    """One row a corpus: what came in and what was left out.

    Args:
        clips: the table clips after extraction, all corpora.
        errors: the table errors.

    Returns:
        corpus, clips, excluded, speakers, women, men, hours, languages, label_rule, and a column of clips for each
        emotion and for "no label".
    """
    rows = []
    failed = errors.drop_duplicates(["corpus", "clip_id"]).groupby("corpus").size()
    for corpus, part in clips.groupby("corpus", sort=False):
        people = part.drop_duplicates("speaker")
        rows.append(
            {
                "corpus": corpus,
                "clips": len(part),
                "excluded": int(failed.get(corpus, 0)),
                "speakers": len(people),
                "women": int((people["gender"] == "female").sum()),
                "men": int((people["gender"] == "male").sum()),
                "hours": float(part["duration"].sum()) / 3600,
                "languages": ", ".join(sorted(part["language"].dropna().unique())),
                "label_rule": ", ".join(sorted(part["label_rule"].dropna().unique())) or "no labels",
                **part["emotion"].fillna("no label").value_counts(sort=False).to_dict(),
            }
        )
    for corpus in failed.index.difference(clips["corpus"].unique()):
        rows.append({"corpus": corpus, "clips": 0, "excluded": int(failed[corpus]), "speakers": 0, "hours": 0.0})
    table = pd.DataFrame(rows)
    counted = [name for name in table if pd.api.types.is_float_dtype(table[name]) and name != "hours"]
    return table.fillna(dict.fromkeys(counted, 0)).astype(dict.fromkeys(counted, int))


def exclusions_table(errors: pd.DataFrame) -> pd.DataFrame:
    """Clips left out, by reason, most frequent first: corpus, stage, error_class, reason, remedy, clips, example."""
    keys = ["corpus", "stage", "error_class", "reason", "remedy"]
    grouped = errors.fillna({"remedy": ""}).groupby(keys, sort=False, dropna=False)["clip_id"]
    table = grouped.agg(clips="nunique", example="first").reset_index()
    return table.sort_values("clips", ascending=False, kind="stable", ignore_index=True)


def tracking_table(clips: pd.DataFrame, segments: pd.DataFrame) -> pd.DataFrame:
    """Quality of tracking and alignment, a row a corpus.

    Args:
        clips: the table clips after extraction.
        segments: the table segments; the mouth column is not needed.

    Returns:
        corpus, video_frames, tracked_share (of all video frames, 0..1), worst_clip (its tracked share), alignment
        (sources and clips), phones, vowels, vowels_with_mouth, vowel_ms (median duration), vowel_ms_5, vowel_ms_95,
        frames_per_vowel (median at 100 Hz), confidence (mean).
    """
    rows = []
    for corpus, part in clips.groupby("corpus", sort=False):
        filmed = part[part["video_frames"] > 0]
        phones = segments[segments["corpus"] == corpus]
        vowels = phones[phones["is_vowel"]]
        with_mouth = vowels[vowels["n_frames"] > 0]
        milliseconds = 1000 * (vowels["end"] - vowels["start"])
        frames = filmed["video_frames"].sum()
        sources = part["alignment_source"].value_counts()
        rows.append(
            {
                "corpus": corpus,
                "video_frames": int(frames),
                "tracked_share": (filmed["tracked_share"] * filmed["video_frames"]).sum() / frames
                if frames
                else np.nan,
                "worst_clip": filmed["tracked_share"].min() if len(filmed) else np.nan,
                "alignment": ", ".join(f"{name} ({count})" for name, count in sources.items()),
                "phones": len(phones),
                "vowels": len(vowels),
                "vowels_with_mouth": len(with_mouth),
                "vowel_ms": milliseconds.median(),
                "vowel_ms_5": milliseconds.quantile(0.05),
                "vowel_ms_95": milliseconds.quantile(0.95),
                "frames_per_vowel": with_mouth["n_frames"].median(),
                "confidence": with_mouth["confidence"].mean(),
            }
        )
    return pd.DataFrame(rows)


def atlas(
    mouths: Ragged,
    gestures: np.ndarray,
    corpora: np.ndarray,
    phones: np.ndarray,
    emotions: np.ndarray | None,
    n_clusters: int,
    pair: tuple[str, str] | None,
    threshold: float = THRESHOLD,
) -> Atlas:
    """The gesture atlas from the segments that have a mouth.

    Args:
        mouths: N segments [n_i, 24].
        gestures: int [N]; negative = not assigned.
        corpora: str [N].
        phones: str [N], IPA.
        emotions: str or null [N], or None where no corpus carries any.
        pair: the two corpora that common clusters and ratios compare, or None where there is one corpus.
    """
    gestures = np.asarray(gestures)
    mean, deviation, members = cluster_shapes(mouths, gestures, n_clusters)
    table = pd.DataFrame({"gesture": np.arange(n_clusters), "members": members})
    segments = pd.DataFrame({"gesture": gestures, "corpus": corpora, "phone": phones})[gestures >= 0]
    counts = pd.crosstab(segments["gesture"], segments["corpus"]).reindex(range(n_clusters), fill_value=0)
    for corpus in counts:
        table[f"share_{corpus}"] = (counts[corpus] / counts[corpus].sum()).to_numpy()
    if pair is not None:
        both = counts.reindex(columns=list(pair), fill_value=0).to_numpy().T
        table["ratio"], table["common"] = cluster_ratios(both), common_clusters(both, threshold)
    makers = _shares(segments["gesture"], segments["phone"]).rename(columns={"value": "phone"})
    if emotions is None:
        return Atlas(mean, deviation, table, makers)
    moods = pd.Series(np.asarray(emotions, dtype=object)[gestures >= 0], index=segments.index, name="emotion")
    return Atlas(
        mean, deviation, table, makers, _shares(segments["gesture"], moods).rename(columns={"value": "emotion"})
    )


def _shares(gestures: pd.Series, values: pd.Series) -> pd.DataFrame:
    """gesture, value, share of the gesture's members that have a value; largest first."""
    shares = values.groupby(gestures).value_counts(normalize=True).rename("share").reset_index()
    return shares.set_axis(["gesture", "value", "share"], axis=1)


def clip_view(
    clip: Mapping, waveform: np.ndarray, sampling_rate: int, segments: pd.DataFrame, gestures: pd.DataFrame
) -> ClipView:
    """One clip of the explorer.

    Args:
        clip: its row of the table clips, with times and opening.
        waveform: float [n] in -1..1.
        segments: its rows of the table segments.
        gestures: its rows of the table gestures (of one fold); may be empty.
    """
    stretches = np.array_split(np.asarray(waveform), min(WAVE_STRETCHES, max(len(waveform), 1)))
    ordered = segments.sort_values("position")
    named = ordered["ipa"].fillna(ordered["phone"])
    timed = ordered.merge(gestures[["position", "gesture"]], on="position")
    frames = [np.asarray(clip[name] if clip[name] is not None else [], dtype=float) for name in ("times", "opening")]
    return ClipView(
        clip_id=clip["clip_id"],
        corpus=clip["corpus"],
        duration=len(waveform) / sampling_rate,
        wave_low=np.array([part.min(initial=0) for part in stretches]),
        wave_high=np.array([part.max(initial=0) for part in stretches]),
        phones=ordered.assign(label=named)[["label", "start", "end"]].reset_index(drop=True),
        opening_times=frames[0],
        opening=frames[1],
        gestures=timed[timed["gesture"] >= 0][["gesture", "start", "end"]].reset_index(drop=True),
        emotion=_text_or_none(clip["emotion"]),
        transcript=_text_or_none(clip["transcript"]),
    )


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def costs_table(manifests: Mapping[str, Mapping]) -> pd.DataFrame:
    """stage, wall_seconds, peak_memory_bytes, rows (of all tables), in the order given.

    Args:
        manifests: what `StageOutput.manifest` returns, by the stage's name to show.
    """
    return pd.DataFrame(
        {
            "stage": stage,
            "wall_seconds": manifest["wall_seconds"],
            "peak_memory_bytes": manifest["peak_memory_bytes"],
            "rows": sum(entry["rows"] for entry in manifest["tables"].values()),
        }
        for stage, manifest in manifests.items()
    )


def fingerprints_table(manifests: Mapping[str, Mapping]) -> pd.DataFrame:
    """stage, fingerprint, created, python of each stage's output."""
    rows = [
        {"stage": stage, **{key: manifest[key] for key in ("fingerprint", "created", "python")}}
        for stage, manifest in manifests.items()
    ]
    return pd.DataFrame(rows)
