import doctest
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from agser_core.errors import ConfigError
from agser_core.ser import dataset
from agser_core.ser.from_tables import from_tables


def test_examples_of_the_docstrings():
    assert doctest.testmod(dataset).failed == 0


def test_take_agrees_with_a_loop_over_clips(small_pair):
    data = small_pair.source
    clips = np.array([7, 0, 7, 31])
    taken = data.take(clips)
    expected = np.concatenate([np.arange(data.offsets[clip], data.offsets[clip + 1]) for clip in clips])
    assert np.array_equal(taken.gesture, data.gesture[expected])
    assert np.array_equal(taken.read(np.arange(len(expected))), data.read(expected))
    assert taken.speaker.tolist() == data.speaker[clips].tolist()
    assert taken.vectors is data.vectors


def test_take_of_a_take(small_pair):
    twice = small_pair.source.take(np.arange(10, 30)).take(np.array([5, 2]))
    once = small_pair.source.take(np.array([15, 12]))
    assert np.array_equal(twice.read(np.arange(len(twice.phone))), once.read(np.arange(len(once.phone))))


def test_normalisation_by_corpus_uses_the_statistics_it_is_given(small_pair):
    data = small_pair.source
    train, rest = data.take(small_pair.source_partition == "train"), data.take(small_pair.source_partition == "dev")
    mean, deviation = train.read(np.arange(len(train.phone))).mean(0), train.read(np.arange(len(train.phone))).std(0)
    phones = np.arange(len(rest.phone))
    found = rest.normalised("corpus", statistics_of=train).read(phones)
    assert np.allclose(found, (rest.read(phones) - mean) / deviation, atol=1e-4)


def test_normalisation_by_speaker_leaves_every_speaker_with_mean_0_and_deviation_1(small_pair):
    data = small_pair.target.normalised("speaker")
    for speaker in np.unique(data.speaker):
        own = data.take(data.speaker == speaker)
        vectors = own.read(np.arange(len(own.phone)))
        assert np.abs(vectors.mean(0)).max() < 1e-4 and np.abs(vectors.std(0) - 1).max() < 1e-3


def test_statistics_far_from_zero_are_accurate(small_pair):
    data = replace(small_pair.source, vectors=small_pair.source.vectors + 1e4)
    _, deviation = dataset.moments(data)
    assert np.allclose(deviation, dataset.moments(small_pair.source)[1], rtol=1e-2)


def test_a_dead_dimension_does_not_explode(small_pair):
    vectors = small_pair.source.vectors.copy()
    vectors[..., 3] = 2.0
    found = replace(small_pair.source, vectors=vectors).normalised("corpus").read(np.arange(5))
    assert np.all(found[..., 3] == 0)


def test_one_vs_rest_and_without_labels(small_pair):
    data = small_pair.source
    assert (data.without_labels().emotion == -1).all() and (data.emotion >= 0).any()
    binary = data.one_vs_rest("anger")
    assert np.array_equal(binary.emotion == 1, data.emotion == 1) and binary.classes == ("rest", "anger")


def tables():
    clips = pd.DataFrame(
        {
            "clip_id": ["b", "a", "silent"],
            "corpus": "c",
            "speaker": ["s1", "s2", "s1"],
            "emotion": ["anger", None, "sadness"],
        }
    )
    segments = pd.DataFrame(
        {
            "clip_id": ["a", "b", "b", "silent", "b"],
            "position": [0, 1, 0, 0, 2],
            "phone": ["IY", "AA", "K", "AA", "IY"],
            "is_vowel": [True, True, False, True, True],
            "n_frames": [5, 0, 3, 3, 4],
        }
    )
    vectors = pa.table(
        {
            "clip_id": ["b", "a", "b", "b"],
            "position": pa.array([2, 0, 0, 1], pa.int32()),
            "vector": pa.array([[2.0] * 6, [10.0] * 6, [0.0] * 6, [1.0] * 6], pa.list_(pa.float32())),
        }
    )
    gestures = pd.DataFrame(
        {"clip_id": ["b", "a"], "position": [2, 0], "gesture": [1, 0], "membership": [[0.2, 0.8], [0.6, 0.4]]}
    )
    return clips, segments, vectors, gestures


def test_tables_become_arrays_in_clip_and_position_order():
    data = from_tables(*tables(), shape=(2, 3))
    assert data.clip_id.tolist() == ["b", "a"] and data.offsets.tolist() == [0, 3, 4]
    assert data.read(np.arange(4))[:, 1, 2].tolist() == [0, 1, 2, 10]
    assert data.gesture.tolist() == [-1, -1, 1, 0] and data.has_mouth.tolist() == [True, False, True, True]
    assert np.allclose(data.membership, [[0, 0], [0, 0], [0.2, 0.8], [0.6, 0.4]])
    assert data.emotion.tolist() == [1, -1] and data.phone[2] == data.phone[3] != data.phone[1]


def test_vectors_of_one_chunk_are_not_copied():
    clips, segments, vectors, _ = tables()
    data = from_tables(clips, segments, vectors, None, shape=(2, 3))
    buffer = vectors["vector"].chunk(0).flatten().buffers()[1]
    assert data.vectors.__array_interface__["data"][0] == buffer.address
    assert (data.gesture == -1).all() and data.membership.shape == (4, 0)


def test_wrong_shape_and_two_corpora_are_refused():
    clips, segments, vectors, gestures = tables()
    with pytest.raises(ConfigError, match="manifest"):
        from_tables(clips, segments, vectors, gestures, shape=(3, 3))
    with pytest.raises(ConfigError, match="one corpus"):
        from_tables(clips.assign(corpus=["x", "y", "x"]), segments, vectors, gestures, shape=(2, 3))
