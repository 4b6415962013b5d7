import numpy as np
import pandas as pd
import pytest
from made_up import clip_tables, mouth_movement

from agser_core.ragged import Ragged
from agser_core.report import collect


@pytest.fixture
def tables():
    return clip_tables(np.random.default_rng(0))


def test_corpora_are_counted_with_what_was_left_out(tables):
    clips, _, errors = tables
    again = pd.concat([errors, errors.iloc[:1].assign(step="align")])  # two errors of one clip are one clip
    table = collect.corpora_table(clips, again).set_index("corpus")
    assert table.loc["birch", ["clips", "excluded", "speakers", "women", "men"]].tolist() == [96, 2, 6, 3, 3]
    assert table.loc["alder", "excluded"] == 0
    assert table.loc["alder", "hours"] == pytest.approx(clips.loc[clips["corpus"] == "alder", "duration"].sum() / 3600)
    assert table[["neutral", "anger", "happiness", "sadness"]].sum(axis=1).tolist() == [96, 96]


def test_corpora_without_labels_and_corpora_that_failed_whole(tables):
    clips, _, errors = tables
    bare = clips.assign(emotion=None, label_rule=None)
    lost = pd.concat([errors, errors.assign(corpus="cedar")])
    table = collect.corpora_table(bare, lost).set_index("corpus")
    assert table.loc["alder", "no label"] == 96 and table.loc["alder", "label_rule"] == "no labels"
    assert table.loc["cedar", ["clips", "excluded"]].tolist() == [0, 2]


def test_exclusions_are_grouped_by_reason(tables):
    errors = tables[2]
    other = errors.iloc[:1].assign(reason="empty audio", remedy=None)
    table = collect.exclusions_table(pd.concat([other, errors]))
    assert table["clips"].tolist() == [2, 1]
    assert table["reason"].tolist() == ["no face in any of 60 frames", "empty audio"]


def test_tracking_weighs_clips_by_their_frames():
    clips = pd.DataFrame(
        {
            "corpus": ["a", "a", "b"],
            "video_frames": [100, 300, 0],
            "tracked_share": [0.5, 1.0, np.nan],
            "alignment_source": ["aligner", "textgrid", "aligner"],
        }
    )
    segments = pd.DataFrame(
        {
            "corpus": ["a", "a", "b"],
            "is_vowel": [True, True, True],
            "n_frames": [8, 0, 0],
            "start": [0.0, 0.2, 0.0],
            "end": [0.08, 0.3, 0.1],
            "confidence": [0.9, np.nan, np.nan],
        }
    )
    table = collect.tracking_table(clips, segments).set_index("corpus")
    assert table.loc["a", "tracked_share"] == pytest.approx((50 + 300) / 400)
    assert table.loc["a", "worst_clip"] == 0.5
    assert table.loc["a", ["vowels", "vowels_with_mouth"]].tolist() == [2, 1]
    assert table.loc["a", "vowel_ms"] == pytest.approx(90)
    assert np.isnan(table.loc["b", "tracked_share"])


def test_the_atlas_counts_who_makes_each_gesture():
    rng = np.random.default_rng(1)
    gestures = np.array([0, 0, 0, 1, 1, -1])
    mouths = Ragged.from_list([mouth_movement(max(gesture, 0), rng) for gesture in gestures])
    corpora = np.array(["a", "a", "b", "b", "b", "a"])
    phones = np.array(["i", "i", "u", "u", "u", "u"])
    emotions = np.array(["anger", None, "sadness", "anger", "anger", "anger"], dtype=object)
    atlas = collect.atlas(mouths, gestures, corpora, phones, emotions, 3, ("a", "b"))
    table = atlas.table.set_index("gesture")
    assert table["members"].tolist() == [3, 2, 0]
    assert table["share_a"].tolist() == [1, 0, 0] and table["share_b"].tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert table.loc[0, "ratio"] == pytest.approx(100 / 3) and table["common"].tolist() == [True, False, False]
    assert atlas.phones[atlas.phones["gesture"] == 0]["phone"].tolist() == ["i", "u"]
    assert atlas.phones[atlas.phones["gesture"] == 0]["share"].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert atlas.emotions[atlas.emotions["gesture"] == 0]["share"].sum() == pytest.approx(1)
    alone = collect.atlas(mouths, gestures, corpora, phones, None, 3, None)
    assert alone.emotions is None and "common" not in alone.table


def test_a_clip_keeps_its_peaks_and_only_assigned_gestures(tables):
    clips, segments, _ = tables
    clip = clips.iloc[0]
    own = segments[segments["clip_id"] == clip["clip_id"]]
    waveform = np.zeros(16_000)
    waveform[8_000], waveform[8_001] = 0.7, -0.6
    gestures = pd.DataFrame({"position": [1, 4], "gesture": [5, -1]})
    view = collect.clip_view(clip, waveform, 16_000, own, gestures)
    assert view.duration == 1 and len(view.wave_high) == collect.WAVE_STRETCHES
    assert view.wave_high.max() == 0.7 and view.wave_low.min() == -0.6
    assert view.gestures["gesture"].tolist() == [5]
    assert view.phones["label"].tolist()[:2] == ["L", "ɑ"]


def test_costs_come_from_the_manifests():
    manifest = {"wall_seconds": 2.0, "peak_memory_bytes": 5, "tables": {"a": {"rows": 3}, "b": {"rows": 4}}}
    table = collect.costs_table({"cluster": manifest})
    assert table.iloc[0].to_dict() == {"stage": "cluster", "wall_seconds": 2.0, "peak_memory_bytes": 5, "rows": 7}
