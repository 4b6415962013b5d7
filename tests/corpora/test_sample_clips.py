"""Sample clips as files: read by the pipeline's own parts, they give back what was planted."""

import numpy as np
import pytest

from agser_core import corpora
from agser_core.corpora.sample.generate import render, video_file, write_manifest
from agser_core.corpora.sample.performance import perform
from agser_core.corpora.sample.plan import plan
from agser_core.corpora.sample.truth import (
    boundary_errors,
    gesture_agreement,
    opening_correlations,
    planted_segments,
    read_truth,
    set_phones,
)
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.media import probe, read_audio
from agser_core.mouth.mediapipe_tracker import MediaPipeTracker
from agser_core.mouth.trajectory import opening, trajectory
from agser_core.phones.aligner import Aligner

NAMES = ("alder", "birch")


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Two speakers a corpus, one sentence in four emotions: 16 clips, tracked."""
    folder = tmp_path_factory.mktemp("sample")
    specs = [spec for name in NAMES for spec in plan(name, speakers=2, sentences=1)]
    for spec in specs:
        render(spec, str(folder))
    write_manifest(specs, str(folder))
    tracker = MediaPipeTracker()
    tracks = {spec.clip_id: tracker.track(folder / spec.corpus / video_file(spec)) for spec in specs}
    return folder, specs, tracks


def test_adapter_reads_what_was_written(sample):
    folder, specs, _ = sample
    for name in NAMES:
        corpus = corpora.read("sample", str(folder / name))
        assert not corpus.problems
        rows = {
            (
                clip.clip_id,
                clip.corpus,
                clip.speaker,
                clip.gender,
                clip.emotion,
                clip.fold,
                clip.transcript,
                clip.language,
            )
            for clip in corpus.clips
        }
        assert rows == {
            (s.clip_id, name, s.person.speaker, s.person.gender, s.emotion, s.fold, s.transcript, "en")
            for s in specs
            if s.corpus == name
        }
        card = (folder / name / "CARD.md").read_text(encoding="utf-8")
        assert "face of nobody" in card and "Licence" in card and f"{name}-01" in card


def test_same_plan_same_bytes(sample, tmp_path):
    folder, specs, _ = sample
    again = specs[-3]
    render(again, str(tmp_path))
    write_manifest(specs, str(tmp_path))
    files = [f"{again.corpus}/{video_file(again)}"]
    files += [
        f"{name}/{file}"
        for name in NAMES
        for file in ("clips.csv", "CARD.md", "truth/phones.parquet", "truth/lips.parquet")
    ]
    for file in files:
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes(), file


def test_sound_and_lips_keep_their_times_through_the_encoders(sample):
    from scipy.signal import correlate

    folder, specs, tracks = sample
    for spec in (specs[0], specs[-1]):
        path, performance = folder / spec.corpus / video_file(spec), perform(spec)
        decoded = read_audio(path, performance.sampling_rate)
        length = min(len(decoded), len(performance.waveform))
        likeness = correlate(decoded[:length], performance.waveform[:length], method="fft")
        delay = (likeness.argmax() - (length - 1)) / performance.sampling_rate
        assert abs(delay) < 0.001  # s
        assert abs(len(decoded) - len(performance.waveform)) < 1024 + 1  # the last frame of the encoder is full
        np.testing.assert_allclose(tracks[spec.clip_id].times, performance.times, atol=1e-6)
        information = probe(path)
        assert (information.width, information.frame_rate) == {"alder": (480, 30.0), "birch": (640, 25.0)}[spec.corpus]


def test_tracker_holds_the_face_and_follows_the_lips(sample):
    folder, _, tracks = sample
    found = np.concatenate([track.found for track in tracks.values()])
    assert found.mean() >= 0.99
    correlations = {}
    for name in NAMES:
        chosen = {clip: (track.times, opening(track)) for clip, track in tracks.items() if clip.startswith(name)}
        correlations |= opening_correlations(read_truth(str(folder / name)), chosen)
    assert len(correlations) == 16
    assert np.median(list(correlations.values())) >= 0.95 and min(correlations.values()) >= 0.85


def test_clusters_find_the_planted_gestures_across_corpora(sample):
    folder, _, tracks = sample
    planted = {}
    for name in NAMES:
        planted |= planted_segments(read_truth(str(folder / name)))
    pieces, places = [], []
    for clip, segments in planted.items():
        path = trajectory(tracks[clip])
        for start, end, _ in segments:
            pieces.append(path.cut(start, end))
            places.append((clip, start, end))
    assert all(piece is not None for piece in pieces)
    labels = SoftDTWKMeans(8, random_state=0).fit_predict(pieces)
    found = {}
    for (clip, start, end), label in zip(places, labels):
        found.setdefault(clip, []).append((start, end, int(label)))
    agreement = gesture_agreement(planted, found)
    assert agreement.matched == 1 and agreement.n == sum(map(len, planted.values())) >= 100
    assert agreement.adjusted_rand >= 0.8


def test_aligner_finds_the_set_phones(sample):
    folder, specs, _ = sample
    pairs = []
    for spec in specs:
        waveform = read_audio(folder / spec.corpus / video_file(spec))
        known = set_phones(read_truth(str(folder / spec.corpus)))[spec.clip_id]
        pairs.append((known, Aligner().align(waveform, 16000, spec.transcript).phones))
    errors = boundary_errors(pairs)
    assert errors.matched > 0.95 and errors.median <= 20 and errors.percentile_90 <= 70  # ms
