"""Speaker-disjoint splits: refused when broken, balanced, and functions of speakers and seed alone."""

from collections import Counter

import pytest

from agser_core.corpora import Clip
from agser_core.corpora.splits import (
    assert_disjoint,
    by_folds,
    k_folds,
)
from agser_core.errors import AgserError, ConfigError


def clips_of(females: int, males: int, each: int = 3) -> list[Clip]:
    people = [(f"f{i}", "female") for i in range(females)] + [(f"m{i}", "male") for i in range(males)]
    return [
        Clip(f"{name}-{i}", "x", name, "", gender=gender, fold=name[1]) for name, gender in people for i in range(each)
    ]


def test_a_shared_speaker_is_named():
    clips = clips_of(2, 2)
    assert_disjoint({"train": clips[:6], "test": clips[6:]})
    with pytest.raises(AgserError, match="'f1' is in train and in test"):
        assert_disjoint({"train": clips[:5], "test": clips[5:]})


def test_by_folds():
    clips = clips_of(4, 4)
    parts = by_folds(clips, train=["0", "1"], dev=["2"], test=["3"])
    assert {name: sorted({clip.speaker for clip in part}) for name, part in parts.items()} == {
        "train": ["f0", "f1", "m0", "m1"],
        "dev": ["f2", "m2"],
        "test": ["f3", "m3"],
    }
    with pytest.raises(ConfigError, match="no clip is of fold '9'"):
        by_folds(clips, ["0"], ["1"], ["9"])
    with pytest.raises(ConfigError, match="fold '0' is named 2 times"):
        by_folds(clips, ["0"], ["1"], ["0"])


@pytest.mark.parametrize("females", [0, 1, 5, 6])
@pytest.mark.parametrize("males", [0, 4, 7])
@pytest.mark.parametrize("k", [2, 3, 5])
def test_k_folds_are_even_in_size_and_gender(females, males, k):
    clips = clips_of(females, males)
    if females + males < k:
        with pytest.raises(ConfigError):
            k_folds(clips, k)
        return
    folds = k_folds(clips, k, seed=3)
    sizes = Counter(folds.values())
    assert set(sizes) == set(range(k)) and max(sizes.values()) - min(sizes.values()) <= 1
    for gender in "fm":
        of_gender = Counter({fold: 0 for fold in range(k)})
        of_gender.update(fold for speaker, fold in folds.items() if speaker[0] == gender)
        assert max(of_gender.values()) - min(of_gender.values()) <= 1


def test_folds_depend_on_speakers_and_seed_alone():
    clips = clips_of(5, 5)
    folds = k_folds(clips, 5, seed=1)
    assert k_folds(clips[::-1], 5, seed=1) == folds == k_folds(clips[::3] + clips, 5, seed=1)
    assert k_folds(clips, 5, seed=2) != folds
