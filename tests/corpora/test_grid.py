"""GRID: talkers, sentences spelt by file names, align files."""

from agser_core import corpora
from agser_core.corpora.grid import sentence, word_alignment

ALIGN = "0 15500 sil\n15500 21250 bin\n21250 27750 blue\n27750 32250 by\n32250 35500 f\n35500 44500 seven\n"


def test_a_tree_of_talkers(make_tree):
    root = make_tree(
        {
            "s4/video/mpg_6000/bbbf7s.mpg": "",
            "s4/align/bbbf7s.align": ALIGN + "44500 51000 soon\n51000 74500 sil\n",
            "s10/video/pwizzn.mpg": "",
            "s10/pwizzn.wav": "",
            "s10/align/lgbe1a.align": ALIGN,
            "s10/video/pwiw0n.mpg": "",
            "elsewhere/bbaf2n.mpg": "",
        }
    )
    corpus = corpora.read("grid", root)
    first, second = corpus.clips
    assert (first.clip_id, first.speaker, first.gender) == ("s4-bbbf7s", "grid-s4", "female")
    assert first.transcript == "bin blue by f seven soon" and first.emotion is None and first.phones_uri is None
    assert first.audio_uri == first.video_uri
    assert (second.clip_id, second.gender) == ("s10-pwizzn", "male")
    assert second.transcript == "place white in z zero now" and second.audio_uri.endswith("pwizzn.wav")
    assert word_alignment(second).uri.endswith("s10/align/pwizzn.align")
    assert {problem.uri.rpartition("/")[2] for problem in corpus.problems} == {"pwiw0n.mpg", "bbaf2n.mpg"}
    assert corpus.missing == ["s10/lgbe1a.mpg"]


def test_sentence_grammar():
    assert sentence("pwizzn") == "place white in z zero now"
    assert sentence("srwv9a") == "set red with v nine again"


def test_the_real_talker(real_data):
    corpus = corpora.read("grid", str(real_data / "grid_s1"))
    assert not corpus.problems and not corpus.missing and len(corpus.clips) >= 60
    for clip in corpus.clips:
        assert clip.speaker == "grid-s1" and clip.emotion is None
        assert clip.transcript == sentence(clip.clip_id.removeprefix("s1-")), "the talker said what the name spells"
        assert word_alignment(clip).exists()
