"""Gestures joined with their segments, clips and movements, from the stages' tables."""

import pyarrow as pa

from agser_core.extracted import ExtractedCorpus
from agser_core.gestures.analysis import gesture_segments
from agser_core.gestures.segments import mouth_source
from agser_core.outputs import StageOutput
from agser_core.tables import CLIPS, GESTURES, SEGMENTS, from_rows


def output(tmp_path, stage: str, tables: dict[str, pa.Table], **facts) -> StageOutput:
    out = StageOutput.of(str(tmp_path), stage, {})
    for name, table in tables.items():
        out.write_table(name, table)
    out.commit(**facts)
    return out


def test_a_clip_that_the_split_leaves_out_has_no_gesture(tmp_path):
    """MSP-Podcast's second test set is in the tables and in no partition."""
    clips = [{"clip_id": name, "corpus": "c", "speaker": f"c-{name}", "emotion": "anger"} for name in "ab"]
    segments = [
        {"clip_id": name, "corpus": "c", "position": 0, "ipa": "i", "phone": "IY", "n_frames": 2, "mouth": [0.5] * 48}
        for name in "ab"
    ]
    gesture = {"fold": 0, "clip_id": "a", "corpus": "c", "position": 0, "gesture": 1, "membership": [0.1, 0.8, 0.1]}
    extracted = output(
        tmp_path, "extract/c", {"clips": from_rows(clips, CLIPS), "segments": from_rows(segments, SEGMENTS)}
    )
    clusters = output(tmp_path, "cluster", {"gestures": from_rows([gesture], GESTURES)}, n_clusters=3)
    found = gesture_segments([ExtractedCorpus("c", extracted)], clusters)
    assert found.table[["clip_id", "gesture"]].values.tolist() == [["a", 1], ["b", -1]]
    assert found.table["gesture"].dtype == int and len(found.mouths) == 2
    assert found.n_clusters == 3  # of the model, though nobody makes the last one


def test_speakers_of_two_corpora_are_kept_apart(tmp_path):
    """A speaker 01 of one corpus who was tested is not the 01 of another whom the gestures were fitted on."""
    corpora = []
    for name in "cd":
        clip = {"clip_id": "a", "corpus": name, "speaker": "01", "emotion": "anger"}
        segment = {"clip_id": "a", "corpus": name, "position": 0, "ipa": "i", "phone": "IY"}
        segment |= {"n_frames": 2, "mouth": [0.5] * 48}
        tables = {"clips": from_rows([clip], CLIPS), "segments": from_rows([segment], SEGMENTS)}
        corpora.append(ExtractedCorpus(name, output(tmp_path, f"extract/{name}", tables)))
    assert mouth_source(corpora, None, 0).speakers == {"all": {"c/01", "d/01"}}
