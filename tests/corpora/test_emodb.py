"""EMO-DB: file names, label files, and the real clips."""

from collections import Counter

from agser_core import corpora


def test_names_and_label_files(make_tree):
    root = make_tree(
        [
            "wav/03a01Fa.wav",
            "wav/16b10Wb.wav",
            "wav/notes.wav",
            "lablaut/03a01Faxx.lablaut",
            "lablaut/08a02Naxx.lablaut",
        ]
    )
    corpus = corpora.read("emodb", root)
    first, second = corpus.clips
    assert (first.clip_id, first.speaker, first.gender, first.language) == ("03a01Fa", "emodb-03", "male", "de")
    assert (first.emotion, first.label_rule) == ("happiness", "intended")
    assert first.transcript == "Der Lappen liegt auf dem Eisschrank."
    assert first.phones_uri.endswith("03a01Faxx.lablaut")
    assert (second.emotion, second.gender, second.phones_uri) == ("anger", "female", None)
    assert [problem.uri.rpartition("/")[2] for problem in corpus.problems] == ["notes.wav"]
    assert corpus.missing == ["08a02Na.wav"]


def test_the_real_clips(real_data):
    corpus = corpora.read("emodb", str(real_data / "emodb"))
    assert not corpus.problems and not corpus.missing
    assert all(clip.phones_uri for clip in corpus.clips)
    genders = {clip.speaker: clip.gender for clip in corpus.clips}
    if len(corpus.clips) == 535:  # Burkhardt et al. 2005: the published counts
        counts = Counter(clip.emotion for clip in corpus.clips)
        published = {
            "anger": 127,
            "boredom": 81,
            "disgust": 46,
            "fear": 69,
            "happiness": 71,
            "sadness": 62,
            "neutral": 79,
        }
        assert counts == published
        assert Counter(genders.values()) == {"female": 5, "male": 5}
