"""The leak checks of the report: they fail where a speaker is where none may be."""

from types import SimpleNamespace

import pandas as pd
import pytest

from agser_core.experiment import SplitSettings
from agser_core.report import assemble

SPEAKERS = ("a", "b", "c", "d")


class Corpus:
    """Eight clips of four speakers; parts: the partition of each speaker's first and second clip."""

    def __init__(self, name: str, **parts: str):
        self.name, ids = name, [f"{speaker}{number}" for speaker in SPEAKERS for number in (1, 2)]
        self.clips = pd.DataFrame({"clip_id": ids, "speaker": [clip[0] for clip in ids]})
        usual = dict(zip(SPEAKERS, ("train", "train", "dev", "test"), strict=True))
        self.parts = pd.Series([parts.get(clip, usual[clip[0]]) for clip in ids], index=ids)

    def partition(self, split: SplitSettings, fold: int) -> pd.Series:
        return self.parts


def checks(monkeypatch, corpora: list[Corpus], fitted: list[str], by: str = "speakers") -> list[bool]:
    clusters = SimpleNamespace(is_complete=lambda: True, manifest=lambda: {"fitted_speakers": [fitted]})
    monkeypatch.setattr(assemble, "cluster_output", lambda experiment: clusters)
    experiment = SimpleNamespace(split=SplitSettings(by=by), cluster=SimpleNamespace(transductive=False))
    return assemble._leak_checks(experiment, corpora)["passed"].tolist()


FITTED = ["here/a", "here/b", "there/a", "there/b"]


@pytest.mark.parametrize(
    "parts, by, fitted, passed",
    [
        ({}, "speakers", FITTED, [True, True, True]),
        ({"a2": "test"}, "speakers", FITTED, [False, True, False]),  # a speaks in train and test, and was fitted on
        ({"c1": "train"}, "speakers", FITTED, [False, True, True]),
        ({"d1": "left out", "d2": "left out"}, "speakers", FITTED, [False, True, True]),  # nobody may be lost
        ({"d1": "left out", "d2": "left out"}, "corpus", FITTED, [True, True, True]),  # but by folds of the corpus
        ({}, "speakers", [*FITTED, "here/d"], [True, True, False]),
        ({}, "speakers", [*FITTED, "elsewhere/d"], [True, True, True]),  # another corpus' speaker of that name
    ],
)
def test_a_speaker_where_none_may_be_is_found(monkeypatch, parts, by, fitted, passed):
    assert checks(monkeypatch, [Corpus("here", **parts), Corpus("there")], fitted, by) == passed
