"""EMO-DB: 10 German speakers, 10 sentences, 7 acted emotions, 535 clips (Burkhardt et al., Interspeech 2005).

File names: `03a01Fa` is speaker 03, text a01, emotion F (Freude, happiness), version a. The emotion letters are German:
W Wut, L Langeweile, E Ekel, A Angst, F Freude, T Trauer, N neutral. Phone times by hand lie in `lablaut/`.
"""

import re

from agser_core.corpora.clip import Clip, Corpus, Problem
from agser_core.corpora.listing import AUDIO, by_stem, files_below, stem, suffix
from agser_core.errors import AgserError

EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
PUBLISHED_CLIPS = 535

_UNPUBLISHED = frozenset({"03a04Wa", "12a02Ta"})  # the corpus has labels of these clips, but not the clips
_FEMALE = frozenset({"08", "09", "13", "14", "16"})
_NAME = re.compile(rf"(03|08|09|1[0-6])({'|'.join(SENTENCES)})([{''.join(EMOTIONS)}])([a-z])")
_LABELS = re.compile(r"(.*?)(?:xx)?")  # label files are named 03a01Fa or 03a01Faxx


def read(root: str) -> Corpus:
    """Read the clips below `root` (`wav/` and, where there are hand labels, `lablaut/`)."""
    files = files_below(root, "wav and lablaut of EMO-DB")
    labels = {}
    for name, file in sorted(by_stem(files, {".lablaut"}).items()):
        labels[_LABELS.fullmatch(name)[1]] = file  # 14b09Ea has both; the one without xx holds no label, so xx wins
    clips, problems = [], []
    for file in files:
        if suffix(file) not in AUDIO:
            continue
        if not (name := _NAME.fullmatch(stem(file))):
            problems.append(
                Problem(file.uri, "the file name is not speaker, text, emotion, version", "name it like 03a01Fa.wav")
            )
            continue
        speaker, text, emotion, _ = name.groups()
        clips.append(
            Clip(
                clip_id=stem(file),
                corpus="emodb",
                speaker=f"emodb-{speaker}",
                gender="female" if speaker in _FEMALE else "male",
                language="de",
                emotion=EMOTIONS[emotion],
                label_rule="intended",
                transcript=SENTENCES[text],
                audio_uri=file.uri,
                phones_uri=labels[stem(file)].uri if stem(file) in labels else None,
            )
        )
    if not clips:
        raise AgserError(f"no EMO-DB clips below {root}: give the folder that holds wav and lablaut")
    present = {clip.clip_id for clip in clips}
    notes = {"published clips": PUBLISHED_CLIPS, "clips without phone labels": len(present - labels.keys())}
    missing = sorted(labels.keys() - present - _UNPUBLISHED)
    return Corpus("emodb", clips, problems, [f"{name}.wav" for name in missing], notes)
