"""MSP-IMPROV, MSP-Podcast and BIIC-Podcast on made-up trees with the releases' layout and file grammar."""

import pytest

from agser_core import corpora
from agser_core.corpora import msp_improv
from agser_core.corpora.splits import assert_disjoint, by_folds
from agser_core.errors import AgserError

EVALUATION = """UTD-IMPROV-S01A-F01-S-FM01.avi; A; A:3.000000; V:3.500000; D:3.000000 ; N:4.000000;
WORKER0001; Angry; Angry,Frustrated; A:3.000000; V:2.000000; D:3.000000; N:3.000000;

UTD-IMPROV-S02H-M02-R-MF02.avi; H; A:3.000000; V:NaN; D:3.000000 ; N:4.000000;
UTD-IMPROV-S03N-F03-P-FM10.avi; X; A:3.000000; V:3.500000; D:3.000000 ; N:4.000000;
UTD-IMPROV-S04S-M06-T-FM01.avi; S; A:3.000000; V:3.500000; D:3.000000 ; N:4.000000;
UTD-IMPROV-S05N-F04-P-FM11.avi; Q; A:3.000000; V:3.500000; D:3.000000 ; N:4.000000;
"""


@pytest.mark.parametrize("label_file", ["Evalution.txt", "Evaluation.txt"])
def test_msp_improv(make_tree, label_file):
    root = make_tree(
        {
            label_file: EVALUATION,
            "session1/S01A/S/MSP-IMPROV-S01A-F01-S-FM01.wav": "",
            "session1/S01A/S/MSP-IMPROV-S01A-F01-S-FM01.avi": "",
            "Transcripts/MSP-IMPROV-S01A-F01-S-FM01.txt": "how can I not\n",
            "Audio/session2/S02H/R/MSP-IMPROV-S02H-M02-R-MF02.wav": "",
            "session3/S03N/P/UTD-IMPROV-S03N-F03-P-FM10.avi": "",
            "session4/S05N/P/MSP-IMPROV-S05N-F04-P-FM11.wav": "",
            "session4/S05N/P/MSP-IMPROV-S05N-F04-P-FM12.wav": "",
            "session4/S05N/P/recording.wav": "",
        }
    )
    corpus = corpora.read("msp_improv", root)
    first, second, third, fourth = corpus.clips
    assert (first.clip_id, first.speaker) == ("MSP-IMPROV-S01A-F01-S-FM01", "msp_improv-F01")
    assert (first.gender, first.fold) == ("female", "1")
    assert (first.emotion, first.label_rule, first.transcript) == ("anger", "consensus", "how can I not")
    assert first.audio_uri.endswith(".wav") and first.video_uri.endswith(".avi")
    assert (second.emotion, second.gender, second.video_uri) == ("happiness", "male", None)
    assert third.emotion is None and third.audio_uri == third.video_uri
    assert fourth.emotion is None
    assert corpus.missing == ["MSP-IMPROV-S04S-M06-T-FM01.wav"]
    assert {problem.uri.rpartition("-")[2] for problem in corpus.problems} >= {"FM11.wav", "FM12.wav"}
    assert any(problem.uri.endswith("recording.wav") for problem in corpus.problems)
    assert corpus.notes["natural"] == 2 and corpus.notes["target improvised"] == 1


def test_msp_improv_rotations_hold_every_dyad_once():
    dyads = set("123456")
    for train, dev, test in msp_improv.ROTATIONS:
        assert {*train, *dev, *test} == dyads and len(train) + len(dev) + len(test) == 6
    assert sorted(test for _, _, (test,) in msp_improv.ROTATIONS) == sorted(dyads)
    assert sorted(dev for _, (dev,), _ in msp_improv.ROTATIONS) == sorted(dyads)


LABELS = """FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1
MSP-PODCAST_0001_0009.wav,A,5.2,2.0,5.6,Unknown,Female,Train
MSP-PODCAST_0002_0001.wav,X,4.1,4.7,4.0,Unknown,Unknown,Train
MSP-PODCAST_0002_0002.wav,H,4.1,4.7,4.0,30,Male,Development
MSP-PODCAST_0002_0003.wav,C,4.1,4.7,4.0,31,Female,Train
"""


def podcast_tree(make_tree, extra=()):
    return make_tree(
        {
            "Labels/labels_consensus.csv": LABELS,
            "Audios/MSP-PODCAST_0001_0008.wav": "",
            "Audios/MSP-PODCAST_0001_0009.wav": "",
            "Audios/MSP-PODCAST_0002_0001.wav": "",
            "Audios/MSP-PODCAST_0002_0002.wav": "",
            "Transcripts/MSP-PODCAST_0001_0008.txt": "so we went there\n",
            "ForceAligned/MSP-PODCAST_0001_0008.TextGrid": "",
        }
        | dict.fromkeys(extra, "")
    )


def test_msp_podcast(make_tree):
    corpus = corpora.read("msp_podcast", podcast_tree(make_tree, ["Audios/MSP-PODCAST_0009_0001.wav"]))
    first, second, third, fourth = corpus.clips
    assert (first.speaker, first.gender, first.fold) == ("msp_podcast-30", "male", "Test1")
    assert (first.emotion, first.label_rule, first.language) == ("neutral", "consensus", "en")
    assert first.transcript == "so we went there" and first.phones_uri.endswith(".TextGrid") and first.video_uri is None
    assert second.speaker == "msp_podcast-unknown-MSP-PODCAST_0001", "unknown speakers of two recordings are two"
    assert third.speaker == "msp_podcast-unknown-MSP-PODCAST_0002" and third.emotion is None
    assert corpus.missing == ["MSP-PODCAST_0002_0003.wav"]
    assert [problem.uri.rpartition("/")[2] for problem in corpus.problems] == ["MSP-PODCAST_0009_0001.wav"]
    assert corpus.notes == {"clips of unknown speakers": 2, "speakers shared by Development and Test1": 1}
    with pytest.raises(AgserError, match="'msp_podcast-30'"):
        by_folds(corpus.clips, ["Train"], ["Development"], ["Test1"])


def test_biic_podcast_has_the_same_layout_in_mandarin(make_tree):
    corpus = corpora.read("biic_podcast", podcast_tree(make_tree), transcripts=False)
    assert {clip.language for clip in corpus.clips} == {"zh"} and corpus.clips[0].speaker == "biic_podcast-30"
    assert corpus.clips[0].transcript is None
    assert_disjoint({"all": corpus.clips})


def test_a_table_without_the_partition_is_refused(make_tree):
    root = make_tree({"Labels/labels_consensus.csv": "FileName,EmoClass,SpkrID\na.wav,N,1\n", "Audios/a.wav": ""})
    with pytest.raises(AgserError, match="no column 'Split_Set'"):
        corpora.read("msp_podcast", root)
