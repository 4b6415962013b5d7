"""What is said by whom in the sample corpora: pure and the same for the same arguments. Nothing is rendered here."""

from dataclasses import dataclass

import numpy as np

from agser_core.corpora.clip import CLASSES
from agser_core.corpora.sample.speech import Channel
from agser_core.errors import ConfigError


@dataclass(frozen=True)
class Style:
    """What makes a corpus different from another.

    acting: how strongly emotions show in the speech. other_share: how often a vowel takes not its usual but its other
    gesture. words_a_minute: of plain speech.
    """

    sentences: tuple[str, ...]
    voices: dict[str, tuple[str, ...]]  # gender -> eSpeak voices
    channel: Channel
    picture: tuple[int, int]  # width, height
    frame_rate: int
    acting: float
    other_share: float
    words_a_minute: float


# All words are in the aligner's dictionary, and each four sentences hold the six vowels several times. The voices have
# no echo, so that the closures of stops can be told from the sound.
STYLES = {
    "alder": Style(
        sentences=(
            "she met a calm happy crew",
            "my father saw the moon at ten",
            "a sad queen fed two black dogs",
            "please tell the calm teacher soon",
            "the bad fox met a sheep",
            "the heavy drop fell on the roof",
            "the box had a blue bead",
            "she sees a pond at noon",
        ),
        voices={"female": ("en-us+f1", "en-us+Annie", "en-us+steph"), "male": ("en-us+m3", "en-us+m1", "en-us+m7")},
        channel=Channel(48000, 60, 10000, 0.12, -16, level=-22, noise=-62, hum=0.1),
        picture=(480, 360),
        frame_rate=30,
        acting=1.0,
        other_share=0.15,
        words_a_minute=140,
    ),
    "birch": Style(
        sentences=(
            "the calm crew had ten beads",
            "the fox ran past the red roof",
            "ten happy geese ran to the pond",
            "the doctor had the blue key",
            "father said the moon was red",
            "a cool breeze shook the palm",
            "we met a man at the zoo",
            "he left a lamp on the beach",
        ),
        voices={
            "female": ("en-us+belinda", "en-us+aunty", "en-us+steph2"),
            "male": ("en-us+m4", "en-us+m6", "en-us+m8"),
        },
        channel=Channel(44100, 150, 5500, 0.3, -10, level=-28, noise=-54, hum=0.4),
        picture=(640, 480),
        frame_rate=25,
        acting=1.0,
        other_share=0.3,
        words_a_minute=132,
    ),
}
GENDERS = ("female", "male")


@dataclass(frozen=True)
class Person:
    """A speaker's face and voice.

    pitch: eSpeak's 0 .. 99. pitch_range, level, tilt: as in `speech.Manner`. pace: words a minute. vigour: factor on
    the opening of the lips.
    """

    speaker: str
    gender: str
    face_seed: int
    voice: str
    pitch: float
    pitch_range: float
    pace: float
    level: float
    tilt: float
    vigour: float


@dataclass(frozen=True)
class ClipSpec:
    """All that a clip follows from. Small, picklable, comparable. corpus: a key of STYLES."""

    clip_id: str
    corpus: str
    person: Person
    emotion: str
    transcript: str
    fold: str
    seed: int


def plan(name: str, seed: int = 0, speakers: int = 6, sentences: int = 4) -> list[ClipSpec]:
    """The clips of one corpus: every speaker says every sentence in each of the four emotions.

    name: "alder" or "birch". speakers: half female, half male; each is a fold. sentences: 1 .. 8.
    """
    if name not in STYLES:
        raise ConfigError(f"there is no sample corpus {name!r}: they are {' and '.join(STYLES)}")
    style = STYLES[name]
    if not 1 <= sentences <= len(style.sentences):
        raise ConfigError(f"sentences is {sentences}: the sample corpora have 1 to {len(style.sentences)}")
    if speakers < 1:
        raise ConfigError(f"speakers is {speakers}: give 1 or more")
    corpus_number = list(STYLES).index(name)
    specs = []
    for speaker in range(speakers):
        rng = np.random.default_rng([seed, corpus_number, speaker])
        person = _invent(rng, name, style, speaker)
        for text_number, text in enumerate(style.sentences[:sentences]):
            for emotion in CLASSES:
                specs.append(
                    ClipSpec(
                        clip_id=f"{person.speaker}-{emotion}-{text_number + 1}",
                        corpus=name,
                        person=person,
                        emotion=emotion,
                        transcript=text,
                        fold=str(speaker + 1),
                        seed=int(rng.integers(2**31)),
                    )
                )
    return specs


def _invent(rng: np.random.Generator, name: str, style: Style, speaker: int) -> Person:
    gender = GENDERS[speaker % 2]
    voices = style.voices[gender]
    return Person(
        speaker=f"{name}-{speaker + 1:02d}",
        gender=gender,
        face_seed=int(rng.integers(2**31)),
        voice=voices[speaker // 2 % len(voices)],
        pitch=float(rng.normal(47, 6)),
        pitch_range=float(rng.normal(0, 6)),
        pace=float(style.words_a_minute * rng.normal(1, 0.03)),
        level=float(rng.normal(0, 1.5)),
        tilt=float(rng.normal(0, 0.5)),
        vigour=float(np.clip(rng.normal(1, 0.05), 0.9, 1.1)),
    )
