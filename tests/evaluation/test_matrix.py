import doctest
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from agser_core.errors import ConfigError
from agser_core.evaluation import matrix, published, summary
from agser_core.evaluation.leaks import check_target_labels
from agser_core.evaluation.matrix import Cell, cells, run_cell
from agser_core.ser import metrics
from agser_core.ser.settings import TrainSettings


@pytest.mark.parametrize("module", [matrix, summary])
def test_examples_of_the_docstrings(module):
    assert doctest.testmod(module).failed == 0


def test_cells_are_all_combinations_once():
    found = cells(["a", "b", "c"], ["none", "ag", "pa"], [0, 1], folds=[0, 1, 2])
    assert len(found) == len(set(found)) == 6 * 3 * 2 * 3 + 3 * 1 * 2 * 3
    assert {cell.method for cell in found if cell.within} == {"none"}
    assert len({cell.name for cell in found}) == len(found)


def test_unknown_directions_and_methods_are_refused():
    with pytest.raises(ConfigError, match="a->x"):
        cells(["a", "b"], ["none"], [0], directions=["a->x"])
    with pytest.raises(ConfigError, match="did you mean 'ag'"):
        cells(["a", "b"], ["agg"], [0])
    assert [cell.direction for cell in cells(["a", "b"], ["none"], [0], directions=["b->a"])] == ["b->a"]


@pytest.mark.parametrize("normalise", ["none", "corpus", "speaker"])
def test_a_cell_tests_on_target_test_clips_only(corpora, quick, normalise):
    data, partitions = corpora
    settings = quick.model_copy(update={"normalise": normalise})
    result = run_cell(Cell("alder", "birch", "ag", 3), data, partitions, settings)
    tested = data["birch"].clip_id[partitions["birch"] == "test"]
    assert result.predictions["clip_id"].tolist() == tested.tolist()
    assert (result.predictions["method"] == "ag").all() and (result.predictions["seed"] == 3).all()
    probabilities = result.predictions[[f"probability_{name}" for name in data["birch"].classes]].to_numpy()
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5) and len(result.history) == 2


def test_within_a_corpus_the_test_clips_are_its_own(corpora, quick):
    data, partitions = corpora
    result = run_cell(Cell("birch", "birch", "none", 0), data, partitions, quick)
    assert set(result.predictions["clip_id"]) == set(data["birch"].clip_id[partitions["birch"] == "test"])


def test_dev_speakers_can_be_trained_on_where_nothing_is_chosen_on_them(corpora, quick):
    data, partitions = corpora
    apart, together = (matrix.split(data["alder"], partitions["alder"], "corpus", joined) for joined in (False, True))
    both = set(apart["train"].clip_id) | set(apart["dev"].clip_id)
    assert set(together["train"].clip_id) == both and len(together["train"]) == len(both)
    assert set(together["test"].clip_id) == set(apart["test"].clip_id)
    assert not set(together["train"].speaker) & set(together["test"].speaker)
    settings = TrainSettings(**{**quick.model_dump(), "keep": "last", "train_on_dev": True})
    weights = [
        run_cell(Cell("alder", "birch", "none", 0), data, partitions, chosen).fit.weights["project.weight"]
        for chosen in (settings, settings.model_copy(update={"train_on_dev": False}))
    ]
    assert not torch.equal(*weights)
    for fault in ({"keep": "dev_uar"}, {"patience": 2}):
        with pytest.raises(ValueError, match="train_on_dev needs keep=last"):
            TrainSettings(**{**settings.model_dump(), **fault})


@pytest.mark.parametrize("corpus, part", [("alder", "train"), ("alder", "dev"), ("birch", "train"), ("birch", "test")])
def test_a_partition_that_a_fit_needs_and_that_is_empty_is_named(corpora, quick, corpus, part):
    data, partitions = corpora
    emptied = {**partitions, corpus: np.where(partitions[corpus] == part, "left out", partitions[corpus])}
    with pytest.raises(ConfigError, match=f"the partition {part} is empty"):
        matrix.fit_parts(data, emptied, "alder", "birch", quick)


def test_a_binary_task_has_two_classes(corpora, quick):
    result = run_cell(Cell("alder", "birch", "pa", 0, task="anger"), *corpora, quick)
    assert set(result.predictions["emotion"]) == {"rest", "anger"} and "probability_anger" in result.predictions


@pytest.mark.parametrize("method", ["none", "ag", "random_clusters"])
def test_shuffled_target_labels_change_nothing_that_is_learned(corpora, quick, method):
    assert check_target_labels(Cell("alder", "birch", method, 0), *corpora, quick).passed


def test_the_leak_check_sees_a_leak(corpora, quick):
    """Source labels do change the fit: were the target's labels read, the check would notice."""
    data, partitions = corpora
    first = run_cell(Cell("alder", "birch", "ag", 0), data, partitions, quick)
    dealt = replace(data["alder"], emotion=np.random.default_rng(0).permutation(data["alder"].emotion))
    second = run_cell(Cell("alder", "birch", "ag", 0), {**data, "alder": dealt}, partitions, quick)
    assert not torch.equal(first.fit.weights["classify.weight"], second.fit.weights["classify.weight"])


def test_target_test_vectors_change_no_weight(corpora, quick):
    """Not even the features of target test clips reach training."""
    data, partitions = corpora
    birch, test = data["birch"], np.repeat(partitions["birch"] == "test", data["birch"].lengths)
    loud = replace(birch, vectors=np.where(test[:, None, None], 9.0, birch.vectors).astype(np.float32))
    first, second = (
        run_cell(Cell("alder", "birch", "ag", 0), {**data, "birch": corpus}, partitions, quick)
        for corpus in (birch, loud)
    )
    assert all(torch.equal(weights, second.fit.weights[name]) for name, weights in first.fit.weights.items())


def test_a_speaker_in_two_partitions_is_refused(corpora, quick):
    data, partitions = corpora
    mixed = partitions["birch"].copy()
    mixed[np.flatnonzero(mixed == "train")[0]] = "test"
    with pytest.raises(ConfigError, match="speakers in both train and test: target-"):
        run_cell(Cell("alder", "birch", "none", 0), data, {**partitions, "birch": mixed}, quick)


def predictions(right: dict[str, float], speakers: int = 8, seeds: int = 3, clips: int = 40) -> pd.DataFrame:
    """Made-up predictions: each method right with a given probability, else a random class."""
    generator = np.random.default_rng(0)
    names, rows = np.array(["neutral", "anger", "happiness", "sadness"]), []
    truth = generator.integers(4, size=speakers * clips)
    for method, probability in right.items():
        for seed in range(seeds):
            guess = np.where(generator.random(len(truth)) < probability, truth, generator.integers(4, size=len(truth)))
            shares = np.full((len(truth), 4), 0.1)
            shares[np.arange(len(truth)), guess] = 0.7
            rows.append(
                pd.DataFrame(
                    {
                        "speaker": np.repeat(np.arange(speakers), clips).astype(str),
                        "emotion": names[truth],
                        "predicted": names[guess],
                        **{f"probability_{name}": shares[:, index] for index, name in enumerate(names)},
                        "direction": "a->b",
                        "task": "all",
                        "method": method,
                        "seed": seed,
                        "fold": 0,
                    }
                )
            )
    return pd.concat(rows)


def test_summary_finds_a_difference_that_is_there_and_none_that_is_not():
    table = predictions({"none": 0.4, "ag": 0.6, "pa": 0.4})
    found = summary.summarise(table, draws=1000).set_index("method")
    by_hand = [
        metrics.uar(
            metrics.confusion(
                *(
                    part[name].map(dict(zip(["neutral", "anger", "happiness", "sadness"], range(4), strict=True)))
                    for name in ("emotion", "predicted")
                ),
                4,
            )
        )
        for _, part in table[table["method"] == "ag"].groupby("seed")
    ]
    assert found.loc["ag", "uar_mean"] == pytest.approx(np.mean(by_hand))
    assert found.loc["ag", "uar_sd"] == pytest.approx(np.std(by_hand, ddof=1))
    assert found.loc["ag", "difference_low"] > 0 and found.loc["ag", "p_holm"] < 0.05
    assert (
        found.loc["pa", "difference_low"] < 0 < found.loc["pa", "difference_high"] and found.loc["pa", "p_holm"] > 0.05
    )
    assert found.loc["ag", "uar_low"] < found.loc["ag", "uar_mean"] < found.loc["ag", "uar_high"]
    assert np.isnan(found.loc["none", "p"]) and found.loc["none", "speakers"] == 8
    assert found.loc["ag", "p_holm"] == pytest.approx(2 * found.loc["ag", "p"])


def test_the_paired_interval_is_narrower_than_the_methods_own():
    """Same speakers drawn for both: what speakers have in common cancels."""
    generator = np.random.default_rng(1)
    ease = generator.uniform(0.3, 0.9, size=10)
    counts = {}
    for name, gain in (("none", 0.0), ("ag", 0.05)):
        right = np.round(100 * np.clip(ease + gain, 0, 1))
        counts[name] = np.zeros((1, 10, 4, 4), dtype=int)
        counts[name][0, :, range(4), range(4)] = right
        counts[name][0, :, range(4), [1, 2, 3, 0]] = 100 - right
    drawn = summary.draw_units(10, 1000, 0)
    found = summary.paired_difference(counts["ag"], counts["none"], drawn, 0.95)
    own = summary._interval("uar", summary._bootstrap(counts["none"], drawn), 0.95)
    assert found["difference"] == pytest.approx(0.05, abs=1e-9)
    assert found["difference_high"] - found["difference_low"] < 0.1 * (own["uar_high"] - own["uar_low"])


def test_the_p_of_a_difference_is_two_sided():
    """Ten speakers, the one method right more often of each of them: no draw of speakers turns the sign."""
    counts = {}
    for name, right in (("better", 90), ("worse", 60)):
        counts[name] = np.zeros((1, 10, 4, 4), dtype=int)
        counts[name][0, :, range(4), range(4)] = right
        counts[name][0, :, range(4), [1, 2, 3, 0]] = 100 - right
    drawn = summary.draw_units(10, 999, 0)
    gain, loss = (summary.paired_difference(*pair, drawn, 0.95) for pair in (counts.values(), [*counts.values()][::-1]))
    assert gain["difference"] == pytest.approx(0.3) == -loss["difference"]
    assert gain["p"] == loss["p"] == pytest.approx(2 / 1000)
    assert summary.paired_difference(counts["worse"], counts["worse"], drawn, 0.95)["p"] == 1


def test_confusion_table_counts_every_prediction():
    table = predictions({"none": 0.4})
    assert summary.confusion_table(table)["clips"].sum() == len(table)


def test_published_numbers_bear_their_mark_and_source():
    table = published.published_results()
    assert (table["status"] == "published").all() and table["source"].str.contains("arXiv").all()
    assert table.set_index(["direction", "method"]).loc[("crema_d->msp_improv", "ag"), "uar"] == 57.37


def test_few_speakers_are_not_resampled_but_their_clips_are():
    rng = np.random.default_rng(0)
    clips = 40
    truth = np.array(["neutral", "anger"])[np.arange(clips) % 2]
    guess = np.where(rng.random(clips) < 0.8, truth, truth[::-1])
    frame = pd.DataFrame(
        {
            "direction": "a->b", "task": "all", "method": "none", "seed": 0, "fold": 0,
            "clip_id": [f"c{number}" for number in range(clips)], "speaker": np.where(np.arange(clips) < 20, "x", "y"),
            "emotion": truth, "predicted": guess, "probability_neutral": 0.5, "probability_anger": 0.5,
        }
    )  # fmt: skip
    (few,) = summary.summarise(frame, draws=500).to_dict("records")
    assert few["resampled"] == "clips" and few["speakers"] == 2
    assert few["uar_high"] - few["uar_low"] > 0.1  # two speakers of like recall would give next to nothing
    (many,) = summary.summarise(frame.assign(speaker=[f"s{n % 8}" for n in range(clips)]), draws=500).to_dict("records")
    assert many["resampled"] == "speakers" and many["speakers"] == 8
