"""MSP-IMPROV: 12 actors in 6 dyads, 8,438 turns (Busso et al., IEEE Trans. Affective Computing 8, 2017).

Layout: `session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav` (and `.avi`), below the root or below `Audio/`
and `Video/`; consensus labels in `Evalution.txt` (the release spells it so), which names the turns `UTD-IMPROV-...avi`.
Fields of a name: sentence and target emotion, actor (gender and session), scenario (P natural interaction, R other
improvised, S target improvised, T target read), turn. Transcripts are read where they lie as `<turn>.txt`, phone times
as `<turn>.TextGrid`.
"""

import re
from collections import Counter

from agser_core.corpora.clip import Clip, Corpus, Problem
from agser_core.corpora.listing import AUDIO, VIDEO, by_stem, files_below, stem, suffix
from agser_core.errors import AgserError

EMOTIONS = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness", "O": "other", "X": None}
ROTATIONS = (
    (("1", "2", "3", "4"), ("5",), ("6",)),
    (("1", "2", "3", "6"), ("4",), ("5",)),
    (("1", "2", "5", "6"), ("3",), ("4",)),
    (("1", "4", "5", "6"), ("2",), ("3",)),
    (("3", "4", "5", "6"), ("1",), ("2",)),
    (("2", "3", "4", "5"), ("6",), ("1",)),
)
"""(train, dev, test) dyads of the six published rotations. A clip's `fold` is its dyad."""
SCENARIOS = {"P": "natural", "R": "other improvised", "S": "target improvised", "T": "target read"}
PUBLISHED = {"anger": 792, "happiness": 2644, "neutral": 3477, "sadness": 885}
PUBLISHED_CLIPS = 8438

_NAME = re.compile(r"(?:MSP|UTD)-IMPROV-(S\d\d[AHNS]-([FM])(0[1-6])-([PRST])-[FM]{2}\d+)")
_LINE = re.compile(_NAME.pattern + r"\.\w+\s*;\s*([A-Z])\s*;")


def read(root: str) -> Corpus:
    """Read the turns below `root` that have a consensus label; no agreement (X) gives a clip without emotion."""
    files = files_below(root, "session1, ..., session6 and Evalution.txt of MSP-IMPROV")
    table = next((file for file in files if file.name in ("Evalution.txt", "Evaluation.txt")), None)
    if table is None:
        raise AgserError(f"no Evalution.txt below {root}: copy MSP-IMPROV's label file there")
    turns = {line[1]: line for line in map(_LINE.match, table.read_text().splitlines()) if line}
    if not turns:
        raise AgserError(
            f"{table.uri} holds no line like 'UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:...': is it the label file?"
        )
    found = {
        kind: {name[1]: file for key, file in by_stem(files, suffixes).items() if (name := _NAME.fullmatch(key))}
        for kind, suffixes in (("audio", AUDIO), ("video", VIDEO), ("text", {".txt"}), ("phones", {".textgrid"}))
    }
    problems, missing, clips = [], [], []
    for file in files:
        if suffix(file) in AUDIO | VIDEO:
            name = _NAME.fullmatch(stem(file))
            if name is None:
                problems.append(Problem(file.uri, "the file name is not MSP-IMPROV's", "give it its published name"))
            elif name[1] not in turns:
                problems.append(Problem(file.uri, f"{table.name} has no label for it", "complete the label file"))
    for turn, line in sorted(turns.items()):
        video = found["video"].get(turn)
        audio = found["audio"].get(turn) or video
        if audio is None:
            missing.append(f"MSP-IMPROV-{turn}.wav")
            continue
        text, phones = found["text"].get(turn), found["phones"].get(turn)
        _, gender, dyad, _, letter = line.groups()
        if letter not in EMOTIONS:
            problems.append(
                Problem(audio.uri, f"{table.name} gives it the unknown label {letter!r}", "correct the line")
            )
        clips.append(
            Clip(
                clip_id=f"MSP-IMPROV-{turn}",
                corpus="msp_improv",
                speaker=f"msp_improv-{gender}{dyad}",
                gender="female" if gender == "F" else "male",
                language="en",
                emotion=EMOTIONS.get(letter),
                label_rule="consensus",
                transcript=text.read_text().strip() or None if text else None,
                audio_uri=audio.uri,
                video_uri=video.uri if video else None,
                phones_uri=phones.uri if phones else None,
                fold=str(int(dyad)),
            )
        )
    if not clips:
        raise AgserError(
            f"no MSP-IMPROV media below {root}: give the folder that holds session1, ... or Audio and Video"
        )
    return Corpus("msp_improv", clips, problems, missing, _notes(clips))


def _notes(clips: list[Clip]) -> dict:
    """Turns of each scenario; and, where the corpus is whole, the class counts that differ from the published ones."""
    scenarios = Counter(SCENARIOS[clip.clip_id.split("-")[4]] for clip in clips)
    notes = {"published clips": PUBLISHED_CLIPS, **scenarios}
    if len(clips) == PUBLISHED_CLIPS:
        counts = Counter(clip.emotion for clip in clips)
        for emotion, published in PUBLISHED.items():
            if counts[emotion] != published:
                notes[f"{emotion} differs from the published {published}"] = counts[emotion]
    return notes
