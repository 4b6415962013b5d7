"""Train, dev and test without a shared speaker: pure functions of clips or of speakers and a seed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from agser_core.corpora.clip import Clip
from agser_core.errors import AgserError, ConfigError

PARTITIONS = ("train", "dev", "test")
LEFT_OUT = "left out"  # in place of a partition: a clip of a fold that takes no part
Rotation = tuple[Sequence[str], Sequence[str], Sequence[str]]
"""The folds that are train, dev and test."""

_PARTITION_OF = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "development": "dev",
    "validation": "dev",
    "val": "dev",
    "test": "test",
    "test1": "test",
}
"""Partitions by the names that corpora give them. Of several test sets the first is meant: MSP-Podcast's Test1."""


def assert_disjoint(partitions: Mapping[str, Iterable[Clip]]) -> None:
    """Raise AgserError, naming the speaker, if one speaks in two partitions."""
    home: dict[str, str] = {}
    for partition, clips in partitions.items():
        for clip in clips:
            other = home.setdefault(clip.speaker, partition)
            if other != partition:
                raise AgserError(
                    f"speaker {clip.speaker!r} is in {other} and in {partition} (clip {clip.clip_id!r}): "
                    "split by speaker, or correct the fold of that clip"
                )


def by_folds(
    clips: Sequence[Clip], train: Iterable[str], dev: Iterable[str], test: Iterable[str]
) -> dict[str, list[Clip]]:
    """Partitions from the corpus' own folds; clips of other folds are left out. Speakers are checked to be disjoint.

    Raises ConfigError for a fold that no clip has or that is named twice, AgserError for a shared speaker.
    """
    wanted = dict(zip(PARTITIONS, (list(train), list(dev), list(test)), strict=True))
    named = Counter(fold for folds in wanted.values() for fold in folds)
    there = {clip.fold for clip in clips}
    for fold, count in named.items():
        if fold not in there:
            known = ", ".join(sorted(map(str, there)))
            raise ConfigError(f"no clip is of fold {fold!r}: the corpus has {known}")
        if count > 1:
            raise ConfigError(f"fold {fold!r} is named {count} times")
    partitions = {name: [clip for clip in clips if clip.fold in folds] for name, folds in wanted.items()}
    assert_disjoint(partitions)
    return partitions


def own_rotations(folds: Iterable[str | None]) -> list[Rotation]:
    """The rotations that a corpus' own folds stand for.

    Folds named as partitions (train, development, test1, ...) are one rotation. Others, in order of their names, give
    as many rotations as there are folds: rotation f tests on fold f, takes the next as dev, and trains on the rest.
    Raises ConfigError where there are no folds, or too few.

    >>> own_rotations(["Train", "Development", "Test1", "Test2"])
    [(['Train'], ['Development'], ['Test1'])]
    >>> own_rotations(["1", "2", "3"])[2]
    (['2'], ['1'], ['3'])
    """
    names = sorted({fold for fold in folds if fold})
    if not names:
        raise ConfigError("it has no folds of its own")
    partitions = {part: [name for name in names if _PARTITION_OF.get(name.lower()) == part] for part in PARTITIONS}
    if all(partitions.values()):
        return [tuple(partitions[part] for part in PARTITIONS)]
    if any(partitions.values()) or len(names) < len(PARTITIONS):
        raise ConfigError(f"its folds {', '.join(names)} are no train, dev and test")
    turns = [names[turn:] + names[:turn] for turn in range(len(names))]
    return [(sorted(others), [dev], [test]) for test, dev, *others in turns]


def k_folds(clips: Iterable[Clip], k: int, seed: int = 0) -> dict[str, int]:
    """Each speaker's fold, 0 to k - 1: shuffled by the seed, dealt out so that folds are alike in size and gender.

    A function of the set of speakers and genders alone: neither order nor number of clips matters, so that a lost clip
    moves no speaker. Raises ConfigError for fewer speakers than folds.
    """
    speakers = _shuffled_speakers(clips, seed)
    if not 2 <= k <= len(speakers):
        raise ConfigError(f"{len(speakers)} speakers can't be dealt into {k} folds: choose 2 to {len(speakers)}")
    return {speaker: position % k for position, speaker in enumerate(speakers)}


def rotation(clips: Iterable[Clip], groups: int, test_groups: int = 1, fold: int = 0, seed: int = 0) -> dict[str, str]:
    """Each speaker's partition (train, dev, test) in one fold of a rotation over groups of speakers.

    The speakers are dealt into `groups` (see `k_folds`). Fold f tests on groups f * test_groups and following, takes
    the group after them as dev and trains on the rest, so that folds 0 .. groups // test_groups - 1 test each speaker
    once.
    Raises ConfigError where nothing is left to train on or the fold does not exist.
    """
    if test_groups + 2 > groups:
        raise ConfigError(
            f"{groups} groups of speakers can't hold {test_groups} for test, one for dev and some to train on"
        )
    if not 0 <= fold < groups // test_groups:
        raise ConfigError(
            f"fold {fold} does not exist: {groups} groups by {test_groups} make {groups // test_groups} folds"
        )
    place = {speaker: (group - fold * test_groups) % groups for speaker, group in k_folds(clips, groups, seed).items()}
    return {
        speaker: "test" if turn < test_groups else "dev" if turn == test_groups else "train"
        for speaker, turn in place.items()
    }


def _shuffled_speakers(clips: Iterable[Clip], seed: int) -> list[str]:
    """All speakers, one gender after the other, each gender shuffled by the seed: dealt out in turn, every fold gets
    its share of either gender."""
    genders = {clip.speaker: clip.gender or "" for clip in clips}
    generator = np.random.default_rng(seed)
    order = []
    for gender in sorted(set(genders.values())):
        order += list(generator.permutation(sorted(name for name in genders if genders[name] == gender)))
    return [str(speaker) for speaker in order]
