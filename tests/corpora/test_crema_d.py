"""CREMA-D: label rules on the corpus' own tables, folds, and media that are missing or known to be bad."""

import csv
from collections import Counter

import pytest

from agser_core import corpora
from agser_core.corpora import crema_d
from agser_core.errors import AgserError, ConfigError

VOTES = '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"\n'
NAMES = {
    "1001_DFA_ANG_XX": ("N", "A"),
    "1040_IEO_HAP_LO": ("A:N", "H"),
    "1076_MTI_SAD_XX": ("S", "S"),
    "1064_TIE_SAD_XX": ("N", "S"),
    "1091_WSI_NEU_XX": ("D", "D:N"),
}
PEOPLE = '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","x","y"\n1040,42,"Female","x","y"\n'


@pytest.fixture
def tree(make_tree):
    rows = [f'"{i}","{name}","{v}","1","N","1","{m}","1"\n' for i, (name, (v, m)) in enumerate(NAMES.items())]
    media = [f"AudioWAV/{name}.wav" for name in NAMES if not name.startswith("1091")]
    media += [f"VideoFlash/{name}.flv" for name in NAMES if not name.startswith("1091")]
    media += ["AudioMP3/1001_DFA_ANG_XX.mp3", "AudioWAV/1001_XXX_ANG_XX.wav"]
    return make_tree(
        {"processedResults/summaryTable.csv": VOTES + "".join(rows), "VideoDemographics.csv": PEOPLE}
        | dict.fromkeys(media, "")
    )


def test_clips_of_a_tree(tree):
    corpus = corpora.read("crema_d", tree)
    clips = {clip.clip_id: clip for clip in corpus.clips}
    assert sorted(clips) == ["1001_DFA_ANG_XX", "1040_IEO_HAP_LO", "1064_TIE_SAD_XX"]
    first = clips["1001_DFA_ANG_XX"]
    assert (first.speaker, first.gender, first.fold) == ("crema_d-1001", "male", "1")
    assert first.transcript == "Don't forget a jacket." and first.label_rule == "intended"
    assert first.audio_uri.endswith(".wav") and first.video_uri.endswith(".flv")
    assert clips["1064_TIE_SAD_XX"].video_uri is None, "its published video is broken"
    assert [clip.fold for clip in clips.values()] == ["1", "3", "4"]
    assert corpus.missing == ["1091_WSI_NEU_XX.wav"]
    assert {problem.uri.rpartition("/")[2] for problem in corpus.problems} == {
        "1001_XXX_ANG_XX.wav",
        "1064_TIE_SAD_XX.flv",
        "1076_MTI_SAD_XX.wav",
    }


@pytest.mark.parametrize(
    ("rule", "emotions"),
    [
        ("intended", ["anger", "happiness", "sadness"]),
        ("audio_visual", ["anger", "happiness", "sadness"]),
        ("voice", ["neutral", None, "neutral"]),
    ],
)
def test_label_rules_of_a_tree(tree, rule, emotions):
    corpus = corpora.read("crema_d", tree, label_rule=rule)
    assert [clip.emotion for clip in corpus.clips] == emotions
    assert {clip.label_rule for clip in corpus.clips} == {rule}


def test_an_unknown_rule_is_refused(tree):
    with pytest.raises(ConfigError, match="label rule 'video'"):
        corpora.read("crema_d", tree, label_rule="video")


def test_git_lfs_pointers_are_recognised(tree, make_tree):
    make_tree({"AudioWAV/1001_DFA_ANG_XX.wav": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"})
    with pytest.raises(AgserError, match="git lfs pull"):
        corpora.read("crema_d", tree)


@pytest.mark.parametrize(
    ("rule", "counts"),
    [
        ("intended", (1087, 1271, 1271, 1271)),
        ("audio_visual", (1972, 1019, 1219, 589)),
        ("voice", (3897, 986, 353, 370)),
    ],
)
def test_published_counts_from_the_real_tables(real_data, make_tree, rule, counts):
    """Neutral, anger, happiness, sadness of all 7,442 clips; the media are empty files with the published names."""
    tables = real_data / "crema_d"
    names = [line.split(",")[1].strip('"') for line in (tables / "SentenceFilenames.csv").read_text().split()[1:]]
    root = make_tree(
        {
            "summaryTable.csv": (tables / "processedResults" / "summaryTable.csv").read_text(),
            "VideoDemographics.csv": (tables / "VideoDemographics.csv").read_text(),
            "AudioWAV/1001_DFA_ANG_XX.wav": "",
        }
    )
    with open(f"{root}/summaryTable.csv", newline="") as votes:
        labels = crema_d.labels(list(csv.DictReader(votes)), rule)
    assert len(labels) == 7442 and set(labels) == set(names)
    found = Counter(labels.values())
    assert tuple(found[emotion] for emotion in corpora.CLASSES) == counts
    corpus = corpora.read("crema_d", root, label_rule=rule)
    assert len(corpus.missing) == 7441 and corpus.notes["published clips"] == 7442


def test_folds_hold_all_91_actors(real_data):
    rows = (real_data / "crema_d" / "VideoDemographics.csv").read_text().split("\n")[1:]
    actors = sorted(int(row.split(",")[0]) for row in rows if row)
    assert len(actors) == 91
    sizes = [sum(first <= actor <= last for actor in actors) for first, last in crema_d.FOLDS.values()]
    assert sizes == [18, 18, 18, 18, 19]
