"""The layout that the two podcast corpora share: a consensus label table beside a folder of audio.

Labels/labels_consensus.csv   FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
Audios/<FileName>
Transcripts/<name>.txt, ForceAligned/<name>.TextGrid   where the release has them
"""

import csv
import io
from collections import Counter

from agser_core.corpora.clip import Clip, Corpus, Problem, gender_word
from agser_core.corpora.listing import AUDIO, by_stem, files_below
from agser_core.errors import AgserError
from agser_core.storage import Location

EMOTIONS = {
    "A": "anger",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
    "U": "surprise",
    "F": "fear",
    "D": "disgust",
    "C": "contempt",
    "O": "other",
    "X": None,  # no agreement
}
_TABLES = ("labels_consensus.csv", "labels_concensus.csv")  # older releases spell it with a c
_COLUMNS = ("FileName", "EmoClass", "SpkrID", "Split_Set")


def read_podcast(root: str, corpus: str, language: str, transcripts: bool = True) -> Corpus:
    """Read the clips of the consensus table. The fold is the official partition (Train, Development, Test1, ...).

    A speaker whom the release does not know gets one identity per recording (the file name up to its last part), so
    that no unknown speaker is mistaken for another; the notes count them. transcripts: False leaves the texts unread.
    """
    files = files_below(root, f"Labels and Audios of {corpus}")
    table = next((file for file in files if file.name in _TABLES), None)
    if table is None:
        raise AgserError(f"no {_TABLES[0]} below {root}: copy the corpus' Labels folder there")
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8-sig"), newline="")))
    for column in _COLUMNS:
        if not rows or column not in rows[0]:
            raise AgserError(f"{table.uri} has no column {column!r}: is it the consensus table of {corpus}?")
    audio = by_stem(files, AUDIO)
    texts = by_stem([file for file in files if "Transcripts" in file.uri.split("/")], {".txt"}) if transcripts else {}
    phones = by_stem(files, {".textgrid"})
    clips, problems, missing, unknown = [], [], [], 0
    for row in rows:
        name = row["FileName"].rpartition(".")[0] or row["FileName"]
        if name not in audio:
            missing.append(row["FileName"])
            continue
        speaker = row["SpkrID"].strip()
        if speaker.lower() in ("", "unknown"):
            speaker, unknown = f"unknown-{name.rpartition('_')[0]}", unknown + 1
        code = row["EmoClass"].strip()
        if code not in EMOTIONS:
            problems.append(Problem(audio[name].uri, f"{table.name} gives it the unknown label {code!r}", "correct it"))
        clips.append(
            Clip(
                clip_id=name,
                corpus=corpus,
                speaker=f"{corpus}-{speaker}",
                gender=gender_word(row.get("Gender")),
                language=language,
                emotion=EMOTIONS.get(code),
                label_rule="consensus",
                transcript=_text(texts.get(name)),
                audio_uri=audio[name].uri,
                phones_uri=phones[name].uri if name in phones else None,
                fold=row["Split_Set"].strip() or None,
            )
        )
    if not clips:
        raise AgserError(f"no audio of {corpus} below {root}: copy the corpus' Audios folder there")
    unlabelled = sorted(audio.keys() - {row["FileName"].rpartition(".")[0] for row in rows})
    problems += [
        Problem(audio[name].uri, f"{table.name} has no row for it", "it is left out; see whether the table is complete")
        for name in unlabelled
    ]
    notes = {"clips of unknown speakers": unknown, **_shared_speakers(clips)}
    return Corpus(corpus, clips, problems, missing, notes)


def _text(file: Location | None) -> str | None:
    return file.read_text().strip() or None if file else None


def _shared_speakers(clips: list[Clip]) -> dict:
    """Speakers that the official partitions share, by pair of partitions: a split by these folds would be refused."""
    partitions: dict[str, set[str]] = {}
    for clip in clips:
        partitions.setdefault(clip.speaker, set()).add(clip.fold or "none")
    pairs = Counter(" and ".join(sorted(found)) for found in partitions.values() if len(found) > 1)
    return {f"speakers shared by {pair}": count for pair, count in sorted(pairs.items())}
