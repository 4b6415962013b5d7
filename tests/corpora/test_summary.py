"""What `agser corpus` prints."""

from agser_core.corpora import Clip, Corpus, Problem, describe, describe_text


def test_counts_and_text():
    clips = [
        Clip("1", "x", "x-a", "/1.wav", "en", "female", "anger", "intended", "hello", fold="1"),
        Clip("2", "x", "x-a", "/2.mp4", "en", "female", "fear", "intended", None, "/2.mp4", fold="2"),
        Clip("3", "x", "x-b", "/3.wav"),
    ]
    problems = [Problem("/4.wav", "odd name", "rename it")]
    corpus = Corpus("x", clips, problems, [f"{i}.wav" for i in range(12)], {"songs": 2})
    facts = describe(corpus)
    assert facts["clips"] == 3 and facts["speakers"] == {"female": 1, "unknown": 1}
    assert list(facts["emotions"].items()) == [("anger", 1), ("fear", 1), ("no label", 1)]
    assert facts["languages"] == {"en": 2, "unknown": 1} and facts["folds"] == {"1": 1, "2": 1}
    assert (facts["with_video"], facts["with_transcript"], len(facts["missing"])) == (1, 1, 12)
    text = describe_text(corpus)
    assert "x: 3 clips of 2 speakers" in text and "/4.wav: odd name. rename it" in text
    assert "9.wav" in text and "11.wav" not in text and "... and 2 more" in text and "songs 2" in text
