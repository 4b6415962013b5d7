"""RAVDESS: 24 actors, two statements, eight emotions, audio and audio-visual (Livingstone & Russo, PLoS ONE 2018).

File names: `modality-channel-emotion-intensity-statement-repetition-actor`, such as `03-01-05-02-01-01-12.wav`.
The emotion is the one the actor was asked for (label rule "intended"). Calm stays a word of its own: it was
recorded as a second baseline beside neutral, and putting the two together would triple the neutral class of one corpus
only.
"""

import itertools
import re
from collections import Counter

from agser_core.corpora.clip import Clip, Corpus, Problem
from agser_core.corpora.listing import AUDIO, VIDEO, files_below, stem, suffix
from agser_core.errors import AgserError, ConfigError
from agser_core.storage import Location

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
MODALITIES = ("any", "audio", "audio_visual")

_NAME = re.compile(r"(0[123])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")
_AUDIO_VISUAL, _VIDEO_ONLY, _AUDIO_ONLY = "01", "02", "03"
_SONG = "02"


def read(root: str, modality: str = "any") -> Corpus:
    """Read the speech clips below `root` (`Actor_NN/*.wav|flac|mp4`, at any depth).

    modality: "audio" takes the audio-only files, "audio_visual" the videos with sound, "any" each performance once, as
    video where there is one. Videos without sound and songs are counted and left out.
    """
    if modality not in MODALITIES:
        raise ConfigError(f"RAVDESS modality {modality!r}: choose one of {', '.join(MODALITIES)}")
    wanted = {"any": (_AUDIO_VISUAL, _AUDIO_ONLY), "audio": (_AUDIO_ONLY,), "audio_visual": (_AUDIO_VISUAL,)}[modality]
    performances: dict[str, tuple[str, Location]] = {}
    problems: list[Problem] = []
    left_out: Counter[str] = Counter()
    for file in files_below(root, "Actor_01, Actor_02, ... of RAVDESS"):
        if suffix(file) not in AUDIO | VIDEO:
            continue
        name = _NAME.fullmatch(stem(file))
        if name is None or (name[1] == _AUDIO_ONLY) != (suffix(file) in AUDIO):
            problems.append(
                Problem(
                    file.uri,
                    "the file name is not RAVDESS' seven fields, or its modality field does not fit its suffix",
                    "give it back its published name, such as 03-01-05-02-01-01-12.wav, or move it elsewhere",
                )
            )
        elif name[2] == _SONG:
            left_out["songs"] += 1
        elif name[1] == _VIDEO_ONLY:
            left_out["videos without sound"] += 1
        elif name[1] in wanted:
            performance = stem(file)[3:]
            if performance in performances:
                left_out["second files of one performance"] += 1
            if performance not in performances or name[1] < performances[performance][0]:
                performances[performance] = (name[1], file)
    if not performances:
        raise AgserError(
            f"no RAVDESS speech clips below {root} (modality {modality!r}): give the folder that holds Actor_01, ..."
        )
    clips = [_clip(kind, file) for _, (kind, file) in sorted(performances.items())]
    return Corpus("ravdess", clips, problems, _missing(performances), dict(left_out))


def _clip(kind: str, file: Location) -> Clip:
    _, _, emotion, _, statement, _, actor = stem(file).split("-")
    return Clip(
        clip_id=stem(file),
        corpus="ravdess",
        speaker=f"ravdess-{actor}",
        gender="male" if int(actor) % 2 else "female",
        language="en",
        emotion=EMOTIONS[emotion],
        label_rule="intended",
        transcript=STATEMENTS[statement],
        audio_uri=file.uri,
        video_uri=file.uri if kind == _AUDIO_VISUAL else None,
    )


def _missing(performances: dict) -> list[str]:
    """Published performances (60 an actor) of the actors that are here; neutral has no strong intensity."""
    actors = sorted({performance[-2:] for performance in performances})
    codes = itertools.product(EMOTIONS, ("01", "02"), STATEMENTS, ("01", "02"), actors)
    published = ["-".join(("01", *code)) for code in codes if code[:2] != ("01", "02")]
    return sorted(set(published) - performances.keys(), key=lambda name: (name[-2:], name))
