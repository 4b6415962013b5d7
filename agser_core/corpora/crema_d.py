"""CREMA-D: 91 actors, 12 sentences, 7,442 clips (Cao et al., IEEE Trans. Affective Computing 5, 2014).

Layout as published: `AudioWAV/1001_DFA_ANG_XX.wav`, `VideoFlash/*.flv`, `VideoDemographics.csv`,
`processedResults/summaryTable.csv`. The label rule moves results more than any method does, so it is an
option: what the actor was asked for, or the plurality vote of the raters who saw and heard the clip, or of those who
only heard it. A tied vote is no label.
"""

import csv
import io
import re
from collections import Counter

from agser_core.corpora.clip import Clip, Corpus, Problem, gender_word
from agser_core.corpora.listing import AUDIO, VIDEO, by_stem, files_below, stem, suffix
from agser_core.errors import AgserError, ConfigError
from agser_core.storage import Location

SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
EMOTIONS = {"A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
VOTES = {"audio_visual": "MultiModalVote", "voice": "VoiceVote"}
LABEL_RULES = ("intended", *VOTES)
FOLDS = {"1": (1001, 1018), "2": (1019, 1036), "3": (1037, 1054), "4": (1055, 1072), "5": (1073, 1091)}

_NAME = re.compile(rf"(\d{{4}})_({'|'.join(SENTENCES)})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX)")
_BAD_AUDIO = {"1076_MTI_SAD_XX": "the published recording holds no speech"}
_BAD_VIDEO = {
    "1076_MTI_NEU_XX": "the published video is cut short and silent",
    "1064_TIE_SAD_XX": "the published video has no duration",
    "1064_IEO_DIS_MD": "the published video holds a minute of all emotions",
}  # all four are named in the corpus' own README
_LFS_POINTER = b"version https://git-lfs"


def read(root: str, label_rule: str = "intended") -> Corpus:
    """Read the clips below `root`, the corpus' repository.

    label_rule: "intended" (the file name), "audio_visual" or "voice" (plurality vote; a tie gives no label).
    """
    if label_rule not in LABEL_RULES:
        raise ConfigError(f"CREMA-D label rule {label_rule!r}: choose one of {', '.join(LABEL_RULES)}")
    files = files_below(root, "AudioWAV, VideoFlash and processedResults of CREMA-D")
    emotions = labels(_table(files, "summaryTable.csv"), label_rule)
    genders = {row["ActorID"]: gender_word(row["Sex"]) for row in _table(files, "VideoDemographics.csv")}
    videos = by_stem(files, VIDEO)
    audios = by_stem(sorted(files, key=lambda file: suffix(file) != ".wav"), AUDIO)  # wav rather than the raters' mp3
    _refuse_pointers([*audios.values(), *videos.values()])
    problems = [
        Problem(file.uri, "the file name is not actor, sentence, emotion, level", "name it like 1001_DFA_ANG_XX.wav")
        for file in files
        if suffix(file) in AUDIO | VIDEO and not _NAME.fullmatch(stem(file))
    ]
    clips, missing = [], []
    for name, emotion in emotions.items():
        video, audio = videos.get(name), audios.get(name)
        if name in _BAD_VIDEO and video:
            problems.append(Problem(video.uri, _BAD_VIDEO[name], "its video is not used; its audio is"))
            video = None
        sound = audio or video
        if sound is None:
            missing.append(f"{name}.wav")
        elif name in _BAD_AUDIO:
            problems.append(Problem(sound.uri, _BAD_AUDIO[name], "the clip is left out"))
        else:
            actor, sentence, _, _ = name.split("_")
            clips.append(
                Clip(
                    clip_id=name,
                    corpus="crema_d",
                    speaker=f"crema_d-{actor}",
                    gender=genders.get(actor),
                    language="en",
                    emotion=emotion,
                    label_rule=label_rule,
                    transcript=SENTENCES[sentence],
                    audio_uri=sound.uri,
                    video_uri=video.uri if video else None,
                    fold=next(fold for fold, (first, last) in FOLDS.items() if first <= int(actor) <= last),
                )
            )
    if not clips:
        raise AgserError(f"no CREMA-D media below {root}: it should hold AudioWAV or VideoFlash beside the tables")
    ties = Counter(clip.emotion is None for clip in clips)[True]
    notes = {"published clips": len(emotions), "clips without label (tied votes)": ties}
    return Corpus("crema_d", sorted(clips, key=lambda clip: clip.clip_id), problems, missing, notes)


def labels(votes: list[dict], label_rule: str) -> dict[str, str | None]:
    """The emotion of every published clip under a label rule, in the order of the vote table; None for a tie ("A:N").

    votes: the rows of summaryTable.csv.
    """
    if label_rule == "intended":
        return {row["FileName"]: EMOTIONS[row["FileName"].split("_")[2][0]] for row in votes}
    return {row["FileName"]: EMOTIONS.get(row[VOTES[label_rule]]) for row in votes}


def _table(files: list[Location], name: str) -> list[dict]:
    table = next((file for file in files if file.name == name), None)
    if table is None:
        raise AgserError(f"CREMA-D's table {name} is not below the corpus folder: copy it there from the repository")
    return list(csv.DictReader(io.StringIO(table.read_text("utf-8-sig"), newline="")))


def _refuse_pointers(media: list[Location]) -> None:
    """A download without git-lfs holds text stubs in place of media: say so once rather than 7,442 times."""
    if media and media[0].size() < 1024 and media[0].read_bytes().startswith(_LFS_POINTER):
        raise AgserError(
            f"{media[0].uri} is a git-lfs pointer and no media: run `git lfs pull` in CREMA-D's repository"
        )
