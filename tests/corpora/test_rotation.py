import pytest

from agser_core.corpora.clip import Clip
from agser_core.corpora.splits import rotation
from agser_core.errors import ConfigError

CLIPS = [
    Clip(f"{s}-{i}", "c", f"c-{s}", "a.wav", gender="female" if s % 2 else "male") for s in range(12) for i in range(3)
]


@pytest.mark.parametrize("groups, test_groups", [(3, 1), (5, 1), (6, 2), (6, 3), (12, 1)])
def test_every_speaker_is_tested_once_and_every_fold_has_all_partitions(groups, test_groups):
    tested = []
    for fold in range(groups // test_groups):
        partition = rotation(CLIPS, groups, test_groups, fold, seed=3)
        assert set(partition.values()) == {"train", "dev", "test"}
        tested += [speaker for speaker, name in partition.items() if name == "test"]
    assert sorted(tested) == sorted({clip.speaker for clip in CLIPS})


def test_what_can_not_be_is_refused():
    with pytest.raises(ConfigError, match="3 groups of speakers can't hold 2 for test"):
        rotation(CLIPS, 3, 2)
    with pytest.raises(ConfigError, match="fold 3 does not exist"):
        rotation(CLIPS, 6, 2, fold=3)
