"""Speaker vectors: unit length, and nearest neighbours of one speaker on generated and real voices."""

import numpy as np

from agser_core.speech.speaker import speaker_statistics, unit_vectors


def test_unit_length_and_alike_voices_together(glide):
    clips = [glide(0.8, 100, 130), glide(0.8, 105, 140, seed=1), glide(0.8, 220, 260), glide(0.8, 230, 255, seed=1)]
    vectors = unit_vectors(np.array([speaker_statistics(clip) for clip in clips]))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    likeness = vectors @ vectors.T - 2 * np.eye(4)
    assert likeness.argmax(axis=1).tolist() == [1, 0, 3, 2], "low voices together, high voices together"


def test_columns_and_clips_without_information():
    vectors = unit_vectors(np.array([[1.0, 5.0], [3.0, 5.0], [2.0, 5.0]]))
    np.testing.assert_allclose(vectors, [[-1, 0], [1, 0], [0, 0]])


def test_silence_has_statistics():
    assert np.isfinite(speaker_statistics(np.zeros(8000, dtype=np.float32))).all()


def test_the_nearest_real_clip_is_mostly_of_the_same_speaker(real_data):
    import soundfile

    files = sorted((real_data / "emodb" / "wav").glob("*N?.*"))  # neutral clips, several sentences a speaker
    statistics = np.array([speaker_statistics(soundfile.read(file, dtype="float32")[0]) for file in files])
    vectors = unit_vectors(statistics)
    nearest = (vectors @ vectors.T - 2 * np.eye(len(files))).argmax(axis=1)
    speakers = np.array([file.name[:2] for file in files])
    assert len(files) >= 50 and np.mean(speakers[nearest] == speakers) > 0.7
