"""A corpus' own folds as the split: which rotations they make, published ones, and corpora that have none."""

import pyarrow as pa
import pytest

from agser_core import corpora
from agser_core.corpora import crema_d, msp_improv
from agser_core.corpora.splits import LEFT_OUT, own_rotations
from agser_core.errors import AgserError, ConfigError
from agser_core.experiment import Experiment, SplitSettings
from agser_core.extracted import extracted_corpora

OWN = SplitSettings(by="corpus", folds=5)


def corpus_of(folds_of_speakers: dict[str, str | None], adapter: str, output):
    """An extracted corpus of two clips a speaker, each of that fold."""
    experiment = Experiment(name="x", output=str(output), corpora={"c": {"adapter": adapter, "path": "p"}})
    corpus = extracted_corpora(experiment)["c"]
    rows = [
        {"clip_id": f"{name}-{i}", "speaker": name, "fold": fold, "emotion": "anger", "gender": None}
        for name, fold in folds_of_speakers.items()
        for i in range(2)
    ]
    corpus.output.write_table("clips", pa.Table.from_pylist(rows))
    corpus.output.commit()
    return corpus


def partitions(corpus, fold: int) -> dict[str, str]:
    found = corpus.partition(OWN, fold)
    return {name: found[f"{name}-0"] for name in dict.fromkeys(corpus.clips["speaker"])}


def test_crema_d_rotates_over_its_groups_of_actors(tmp_path):
    actors = {str(first): fold for fold, (first, _) in crema_d.FOLDS.items()}
    corpus = corpus_of(actors, "crema_d", tmp_path)
    first = partitions(corpus, 0)
    assert first == {"1001": "test", "1019": "dev", "1037": "train", "1055": "train", "1073": "train"}
    tested = [name for fold in range(5) for name, part in partitions(corpus, fold).items() if part == "test"]
    assert sorted(tested) == sorted(actors)
    with pytest.raises(ConfigError, match=r"'c' can't be split: its own folds make 5 rotation\(s\), fold 5"):
        corpus.partition(OWN, 5)


def test_msp_improv_takes_the_published_rotations(tmp_path):
    corpus = corpus_of({f"F{dyad}": str(dyad) for dyad in range(1, 7)}, "msp_improv", tmp_path)
    for fold, (train, dev, test) in enumerate(msp_improv.ROTATIONS):
        found = partitions(corpus, fold)
        assert [name[1] for name, part in found.items() if part == "train"] == sorted(train)
        assert (found[f"F{dev[0]}"], found[f"F{test[0]}"]) == ("dev", "test")


def test_msp_podcast_takes_its_partitions_and_leaves_the_second_test_set_out(tmp_path):
    folds = {"a": "Train", "b": "Development", "c": "Test1", "d": "Test2"}
    corpus = corpus_of(folds, "msp_podcast", tmp_path)
    assert partitions(corpus, 0) == {"a": "train", "b": "dev", "c": "test", "d": LEFT_OUT}
    with pytest.raises(ConfigError, match="make 1 rotation"):
        corpus.partition(OWN, 1)


def test_a_corpus_without_folds_says_what_to_do(tmp_path):
    corpus = corpus_of({"a": None, "b": None, "c": None}, "ravdess", tmp_path)
    with pytest.raises(ConfigError, match="'c' can't be split: it has no folds of its own; set split.by=speakers"):
        corpus.partition(OWN, 0)


def test_a_speaker_in_two_folds_is_refused(tmp_path):
    corpus = corpus_of({"a": "1", "b": "2", "c": "3"}, "manifest", tmp_path)
    corpus.clips.loc[0, "fold"] = "2"
    with pytest.raises(AgserError, match="speaker 'a' is in"):
        corpus.partition(OWN, 0)


def test_names_that_are_only_partly_partitions_are_refused():
    with pytest.raises(ConfigError, match="test, train are no train, dev and test"):
        own_rotations(["train", "test"])
    assert own_rotations(["validation", "training", "test"]) == [(["training"], ["validation"], ["test"])]


def test_every_published_rotation_names_folds_that_the_adapter_gives():
    assert corpora.published_rotations("msp_improv") == msp_improv.ROTATIONS
    assert corpora.published_rotations("crema_d") is None
