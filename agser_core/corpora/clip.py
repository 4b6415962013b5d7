"""What every adapter returns: clips, the files that can't be used, and the published files that are not there."""

from dataclasses import dataclass, field

CLASSES = ("neutral", "anger", "happiness", "sadness")
"""The four classes of the task, in the order of every label index, table and figure."""

_SYNONYMS = {
    "anger": "angry",
    "happiness": "happy joy joyful happily",
    "sadness": "sad",
    "fear": "fearful anxiety afraid",
    "disgust": "disgusted",
    "surprise": "surprised",
    "boredom": "bored",
    "contempt": "contemptuous",
}
_WORD_OF = {word: emotion for emotion, words in _SYNONYMS.items() for word in words.split()}


def emotion_word(text: str | None) -> str | None:
    """The project's word for an emotion as corpora write it: "Angry" and "anger" are "anger", "joy" is "happiness".

    A word without a synonym here stays as it is, in lower case; empty text and "none" are None.
    """
    word = (text or "").strip().lower()
    return None if word in ("", "none", "nan") else _WORD_OF.get(word, word)


def gender_word(text: str | None) -> str | None:
    """`female`, `male` or None from the ways corpora write it (F, Female, m, male, unknown)."""
    return {"f": "female", "female": "female", "m": "male", "male": "male"}.get((text or "").strip().lower())


@dataclass(frozen=True, slots=True)
class Clip:
    """One utterance: a row of the clips table before extraction. URIs are absolute paths or s3://."""

    clip_id: str  # unique within the corpus
    corpus: str
    speaker: str  # unique across corpora: begins with the corpus' name
    audio_uri: str  # any container with an audio stream
    language: str | None = None  # ISO 639-1
    gender: str | None = None  # female, male
    emotion: str | None = None  # one of CLASSES or another word; None = no label or no agreement
    label_rule: str | None = None  # where the emotion comes from: intended, audio_visual, voice, ...
    transcript: str | None = None
    video_uri: str | None = None
    phones_uri: str | None = None  # TextGrid, or the corpus' own phone label file
    fold: str | None = None  # the corpus' own fold or partition


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that can't be used, or only in part: which, why, and what the user can do."""

    uri: str
    reason: str
    remedy: str = ""


@dataclass
class Corpus:
    """What a folder holds.

    problems: files there are but that can't be used. missing: names of files that the published corpus has and this
    folder lacks, which is no fault of a corpus that was meant to be partial. notes: counts and choices worth printing.
    """

    name: str
    clips: list[Clip]
    problems: list[Problem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: dict = field(default_factory=dict)
