import difflib

import numpy as np
import pytest
from scipy.signal import resample_poly

from agser_core.errors import ClipError, ConfigError
from agser_core.media import read_audio
from agser_core.phones.aligner import Aligner
from agser_core.phones.espeak import Espeak
from agser_core.phones.grid import read_grid_words
from agser_core.phones.pronunciations import read_pronunciations, words_of

SENTENCES = [
    "kids are talking by the door",
    "we were all very happy to see the children again",
    "she had your dark suit in greasy wash water all year",
    "it is eleven o'clock and i am tired",
    "that is exactly what happened when the window broke",
    "please call me back when you get this message",
]
VOICES = [("en-us", 150), ("en-us+f3", 150), ("en-us+m5", 170)]


@pytest.fixture(scope="module")
def aligner():
    return Aligner()


def say(text, voice="en-us", rate=150):
    """Synthetic speech at 16 kHz and its own phone times."""
    pytest.importorskip("espeakng_loader", reason="needs the extra: pip install 'agser[sample]'")
    speech = Espeak().speak(text, voice, rate=rate)
    return resample_poly(speech.samples / 32768, 320, 441).astype(np.float32), speech.phones


def start_errors(spoken, phones):
    """How far the aligned phones begin from the spoken ones (s), over the phones that both have."""
    alike = {"AO": "AA", "IH": "AH", "ER": "AH", "R": "AH"}  # what dialect and reduction mix up
    names = [[alike.get(phone.label, phone.label) for phone in each] for each in (spoken, phones)]
    blocks = difflib.SequenceMatcher(None, *names, autojunk=False).get_matching_blocks()
    pairs = [(spoken[block.a + i], phones[block.b + i]) for block in blocks for i in range(block.size)]
    return [abs(found.start - true.start) for true, found in pairs]


def test_phones_of_synthetic_speech_lie_where_they_were_spoken(aligner):
    errors, spoken_count = [], 0
    for voice, rate in VOICES:
        for text in SENTENCES:
            waveform, spoken = say(text, voice, rate)
            phones = aligner.align(waveform, 16000, text).phones
            spoken_count += len(spoken)
            errors += start_errors(spoken, phones)
    assert len(errors) > 0.9 * spoken_count
    assert np.median(errors) <= 0.02 and np.quantile(errors, 0.9) <= 0.07


def test_an_alignment_is_in_order_and_inside_the_clip(aligner):
    waveform, _ = say("don't ask me to carry an oily rag like that")
    alignment = aligner.align(waveform, 16000, "Don't ask me to carry an oily rag like that!")
    times = np.array([(phone.start, phone.end) for phone in alignment.phones])
    assert (times[:, 1] > times[:, 0]).all() and (times[1:, 0] >= times[:-1, 1]).all()
    assert times.min() >= 0 and times.max() <= len(waveform) / 16000
    assert [word for word, _, _ in alignment.words] == "don't ask me to carry an oily rag like that".split()
    assert alignment.words[0][1] == times[0, 0] and alignment.words[-1][2] == times[-1, 1]


def test_schwa_is_told_from_stressed_ah(aligner):
    waveform, _ = say("the others come from above")
    stresses = [
        phone.stress
        for phone in aligner.align(waveform, 16000, "the others come from above").phones
        if phone.label == "AH"
    ]
    assert stresses == [0, 1, 1, 1, 0, 1]


def test_no_clip_feels_the_one_before(aligner):
    clips = [(say(text, *VOICES[index % 3])[0], text) for index, text in enumerate(SENTENCES)]
    alone = [Aligner().align(waveform, 16000, text) for waveform, text in clips]
    for index in np.random.default_rng(0).permutation([0, 1, 2, 3, 4, 5] * 2):
        assert aligner.align(clips[index][0], 16000, clips[index][1]) == alone[index]


def refuses(aligner, waveform, transcript, words, error_class, **options):
    with pytest.raises(ClipError, match=words) as caught:
        aligner.align(waveform, 16000, transcript, **options)
    assert caught.value.error_class == error_class and caught.value.remedy
    return caught.value


def test_clips_that_can_not_be_aligned(aligner):
    waveform, _ = say("we were all very happy")
    for nothing in (None, "", "  ...!"):
        refuses(aligner, waveform, nothing, "no transcript", "transcript")
    error = refuses(aligner, waveform, "we were zorblax and quufly happy", "zorblax, quufly", "transcript")
    assert "dictionary" in error.remedy and "TextGrid" in error.remedy
    refuses(aligner, waveform[:4000], SENTENCES[1], "10 words .* 0.25 s", "alignment")
    refuses(aligner, waveform[:0], "we were", "silent", "media")
    refuses(aligner, np.zeros(16000, np.float32), "we were", "silent", "media")
    refuses(aligner, waveform, "we were", "no voice 'qq'", "transcript", language="qq")
    assert aligner.align(waveform, 16000, "we were all very happy").words  # and goes on working
    with pytest.raises(ValueError, match="44100"):
        aligner.align(waveform, 44100, "we were")


def test_words_from_a_dictionary_of_ones_own(tmp_path):
    path = tmp_path / "own.dict"
    path.write_text(";;; made up\nZorblax  Z AO1 R B L AH0 K S\nthe D AH1 # as some say\nthe(2) D IY0\n")
    waveform, _ = say("the zorblax is happy")
    alignment = Aligner(path).align(waveform, 16000, "The zorblax is happy.")
    assert [word for word, _, _ in alignment.words] == ["the", "zorblax", "is", "happy"]
    labels = [(phone.label, phone.stress) for phone in alignment.phones]
    assert labels[0] == ("D", -1) and labels[1] in (("AH", 1), ("IY", 0))
    assert labels[2:9] == [("Z", -1), ("AO", 1), ("R", -1), ("B", -1), ("L", -1), ("AH", 0), ("K", -1)]


@pytest.mark.parametrize("text, words", [("zorblax\n", "line 1 .* no phones"), ("\nzorblax Z QQ\n", "line 2 .*'QQ'")])
def test_dictionaries_that_are_none(tmp_path, text, words):
    (tmp_path / "own.dict").write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_pronunciations(tmp_path / "own.dict")
    with pytest.raises(ConfigError, match="does not exist"):
        Aligner(tmp_path / "absent.dict")


def test_other_languages_go_through_espeak(aligner):
    errors = []
    for text in (
        "Der Lappen liegt auf dem Eisschrank",
        "Heute Abend könnte ich es ihm sagen",
        "Das will sie am Mittwoch abgeben",
        "In sieben Stunden wird es so weit sein",
    ):
        waveform, spoken = say(text, "de")
        alignment = aligner.align(waveform, 16000, text, language="de")
        assert [word for word, _, _ in alignment.words] == text.lower().split()
        errors += start_errors(spoken, alignment.phones)
    assert len(errors) > 80 and np.median(errors) <= 0.035
    english, _ = say("we die")
    phones = aligner.align(english, 16000, "we die").phones  # German "die" has not taken its place
    assert [phone.label for phone in phones] == ["W", "IY", "D", "AY"]


def test_words_of_a_transcript():
    assert words_of("It’s 'over' -- isn't it, my-friend?") == ["it's", "over", "isn't", "it", "my", "friend"]
    assert words_of("Könnte straße") == ["könnte", "straße"]


def test_real_words_of_grid(aligner, real_data):
    errors = []
    for path in sorted((real_data / "grid_s1" / "video").glob("*.mpg")):
        words = read_grid_words(real_data / "grid_s1" / "align" / f"{path.stem}.align")
        found = aligner.align(read_audio(path), 16000, " ".join(word for word, _, _ in words)).words
        errors += [abs(mine[1] - theirs[1]) for mine, theirs in zip(found, words, strict=True)]
    assert len(errors) == 360
    assert np.median(errors) <= 0.025 and np.quantile(errors, 0.9) <= 0.060


@pytest.mark.slow
def test_real_emotional_speech_is_aligned(aligner, real_data):
    """Every fourth of the 720 clips, shouted and sobbing ones too; those that fail, fail with a `ClipError`."""
    text = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
    files = sorted((real_data / "ravdess").glob("Actor_*/*.flac"))[::4]
    failures = 0
    for path in files:
        try:
            aligner.align(read_audio(path), 16000, text[path.stem.split("-")[4]])
        except ClipError:
            failures += 1
    assert len(files) == 180 and failures <= 2


def test_faint_speech_is_aligned_as_loud_speech_is(aligner):
    waveform, _ = say(SENTENCES[0])
    loud, faint = (aligner.align(waveform * level, 16000, SENTENCES[0]) for level in (0.5, 0.002))
    starts = [[phone.start for phone in alignment.phones] for alignment in (loud, faint)]
    np.testing.assert_allclose(*starts, atol=0.011)
