"""GRID: 34 talkers, 1000 six-word commands each, no emotion (Cooke et al., JASA 2006).

Layout: a folder for each talker (`s1` ... `s34`) with `video/*.mpg`, `align/*.align` and, in the audio release,
`*.wav`. The file name spells the sentence: `bbaf2n` is "bin blue at f two now". The align files hold word times in
1/25000 s.
"""

import re

from agser_core.corpora.clip import Clip, Corpus, Problem
from agser_core.corpora.listing import AUDIO, VIDEO, files_below, stem, suffix
from agser_core.errors import AgserError
from agser_core.storage import Location

_WORDS = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},
    dict(zip("z123456789", "zero one two three four five six seven eight nine".split(), strict=True)),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)
_NAME = re.compile("".join(f"[{''.join(words)}]" for words in _WORDS))
_TALKER = re.compile(r"(?:^|_)s([1-9]|[12]\d|3[0-4])(?=$|[_./])")
_FEMALE = frozenset({4, 7, 11, 15, 16, 18, 20, 21, 22, 23, 24, 25, 29, 31, 33, 34})
_SILENCE = frozenset({"sil", "sp"})


def read(root: str) -> Corpus:
    """Read the clips below `root`: one talker's folder, or a folder of talkers.

    The transcript is what the align file says, or the sentence that the file name spells where there is none.
    """
    files = files_below(root, "GRID's talkers (s1/video, s1/align, ...) or one of them")
    aligns = {(_talker(file), stem(file)): file for file in files if suffix(file) == ".align"}
    media: dict[tuple[int | None, str], list[Location]] = {}
    problems = []
    for file in files:
        if suffix(file) not in AUDIO | VIDEO:
            continue
        talker = _talker(file)
        if talker is None:
            problems.append(Problem(file.uri, "no talker folder (s1 ... s34) in its path", "keep GRID's folder names"))
        elif not _NAME.fullmatch(stem(file)):
            problems.append(Problem(file.uri, "the file name spells no GRID sentence", "give it its published name"))
        else:
            media.setdefault((talker, stem(file)), []).append(file)
    if not media:
        raise AgserError(f"no GRID clips below {root}: give the folder that holds s1, s2, ... or one of them")
    clips = [_clip(talker, name, found, aligns, problems) for (talker, name), found in sorted(media.items())]
    missing = [f"s{talker}/{name}.mpg" for talker, name in sorted(aligns.keys() - media.keys(), key=str)]
    return Corpus("grid", clips, problems, missing)


def sentence(name: str) -> str:
    """The sentence that a file name spells.

    >>> sentence("bbaf2n")
    'bin blue at f two now'
    """
    return " ".join(words[letter] for words, letter in zip(_WORDS, name, strict=True))


def word_alignment(clip: Clip) -> Location:
    """Where a clip's word times lie (unit 1/25000 s): in `align/` beside the `video` or `audio` folder of its file."""
    media = Location(clip.video_uri or clip.audio_uri)
    talker, separator, _ = media.uri.rpartition("/video/" if clip.video_uri else "/audio/")
    return (Location(talker) if separator else media.parent).join("align", f"{stem(media)}.align")


def _clip(talker: int, name: str, files: list[Location], aligns: dict, problems: list[Problem]) -> Clip:
    video = next((file for file in files if suffix(file) in VIDEO), None)
    audio = next((file for file in files if suffix(file) in AUDIO), video)
    transcript = sentence(name)
    align = aligns.get((talker, name))
    if align is not None:
        words = [fields[2] for line in align.read_text().splitlines() if len(fields := line.split()) == 3]
        spoken = " ".join(word for word in words if word not in _SILENCE)
        if spoken:
            transcript = spoken
        else:
            problems.append(
                Problem(align.uri, "the align file holds no words", "its sentence is taken from the file name instead")
            )
    return Clip(
        clip_id=f"s{talker}-{name}",
        corpus="grid",
        speaker=f"grid-s{talker}",
        gender="female" if talker in _FEMALE else "male",
        language="en",
        transcript=transcript,
        audio_uri=audio.uri,
        video_uri=video.uri if video else None,
    )


def _talker(file: Location) -> int | None:
    """The talker's number: from the folder nearest the file that is named after one."""
    for part in reversed(file.parent.uri.split("/")):
        if found := _TALKER.search(part):
            return int(found[1])
    return None
