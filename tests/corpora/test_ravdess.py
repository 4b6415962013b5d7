"""RAVDESS: file names, modalities, what is missing, and the real clips."""

from collections import Counter

import pytest

from agser_core import corpora
from agser_core.errors import ConfigError


def test_a_name_gives_emotion_statement_and_speaker(make_tree):
    (clip,) = corpora.read("ravdess", make_tree(["Actor_12/03-01-05-02-02-01-12.wav"])).clips
    assert clip.clip_id == "03-01-05-02-02-01-12"
    assert (clip.speaker, clip.gender, clip.language) == ("ravdess-12", "female", "en")
    assert (clip.emotion, clip.label_rule) == ("anger", "intended")
    assert clip.transcript == "Dogs are sitting by the door"
    assert clip.audio_uri.endswith("Actor_12/03-01-05-02-02-01-12.wav") and clip.video_uri is None


def test_calm_is_not_neutral(make_tree):
    names = ["Actor_01/03-01-01-01-01-01-01.wav", "Actor_01/03-01-02-01-01-01-01.wav"]
    assert [clip.emotion for clip in corpora.read("ravdess", make_tree(names)).clips] == ["neutral", "calm"]


def test_each_performance_comes_once(make_tree):
    root = make_tree(
        [
            "Actor_05/01-01-03-01-01-01-05.mp4",
            "Actor_05/02-01-03-01-01-01-05.mp4",
            "Actor_05/03-01-03-01-01-01-05.wav",
            "Actor_05/03-01-04-01-01-01-05.wav",
            "Actor_05/03-02-04-01-01-01-05.wav",
        ]
    )
    corpus = corpora.read("ravdess", root)
    assert [clip.clip_id for clip in corpus.clips] == ["01-01-03-01-01-01-05", "03-01-04-01-01-01-05"]
    assert corpus.clips[0].video_uri == corpus.clips[0].audio_uri
    assert corpus.notes == {"videos without sound": 1, "songs": 1, "second files of one performance": 1}
    assert len(corpora.read("ravdess", root, modality="audio").clips) == 2
    assert len(corpora.read("ravdess", root, modality="audio_visual").clips) == 1
    with pytest.raises(ConfigError, match="modality 'video'"):
        corpora.read("ravdess", root, modality="video")


def test_odd_names_are_problems_and_absent_performances_are_named(make_tree):
    root = make_tree(["Actor_01/03-01-01-01-01-01-01.wav", "Actor_01/03-01-09-01-01-01-01.wav", "Actor_01/copy.wav"])
    corpus = corpora.read("ravdess", root)
    assert sorted(problem.uri.rpartition("/")[2] for problem in corpus.problems) == [
        "03-01-09-01-01-01-01.wav",
        "copy.wav",
    ]
    assert all("name" in problem.reason and problem.remedy for problem in corpus.problems)
    assert len(corpus.missing) == 59 and "01-01-01-01-01-01" not in corpus.missing
    assert not any(name.startswith("01-01-02") for name in corpus.missing), "there is no strong neutral"


def test_the_real_clips(real_data):
    corpus = corpora.read("ravdess", str(real_data / "ravdess"), modality="audio")
    assert not corpus.problems and not corpus.missing
    counts = Counter(clip.emotion for clip in corpus.clips)
    assert len({clip.speaker for clip in corpus.clips}) == len(corpus.clips) / 60
    assert counts["neutral"] * 2 == counts["anger"] == counts["happiness"] == counts["sadness"] == counts["calm"]
    filmed = corpora.read("ravdess", str(real_data / "ravdess" / "video"))
    assert filmed.clips and all(clip.video_uri for clip in filmed.clips)
    assert len(filmed.missing) == 60 - len(filmed.clips)
