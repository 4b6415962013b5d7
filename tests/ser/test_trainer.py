"""The trainer on planted corpora of a hundred clips and a small network."""

import copy
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from agser_core.errors import AgserError, ConfigError
from agser_core.evaluation.planted import Sizes, planted_pair
from agser_core.ser import metrics
from agser_core.ser.anchors import METHODS
from agser_core.ser.prediction import load_network, predict, run
from agser_core.ser.settings import AnchorSettings, NetworkSettings, TrainSettings
from agser_core.ser.trainer import fit

SIZES = Sizes((90, 4), (40, 2), (90, 4), (60, 3))
NETWORK = NetworkSettings(width=16, heads=2, feed_forward=24, classifier=8, transformer_layers=1, dropout=0.1)


def settings(method: str = "ag", epochs: int = 3, form: str = "triplet", **fields) -> TrainSettings:
    return TrainSettings(method=method, epochs=epochs, network=NETWORK, anchor=AnchorSettings(form=form), **fields)


def parts(pair):
    source_train = pair.source.take(pair.source_partition == "train")
    source_dev = pair.source.take(pair.source_partition == "dev")
    return source_train, source_dev, pair.target.take(pair.target_partition == "train").without_labels()


def losses(result) -> list[float]:
    return [figures["loss"] for figures in result.history]


def test_the_source_task_is_learned(small_pair):
    train, dev, target = parts(small_pair)
    result = fit(train, dev, target, settings("none", epochs=20, learning_rate=5e-3), seed=0)
    probabilities = predict(result.weights, result.settings, train)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    assert metrics.uar(metrics.confusion(train.emotion, probabilities.argmax(1), 4)) > 0.9
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]


@pytest.mark.parametrize("method", ["none", "ag+la", *METHODS])
def test_every_method_trains_and_logs_its_guards(small_pair, method):
    result = fit(*parts(small_pair), settings(method, epochs=2), seed=0)
    figures = result.history[-1]
    assert len(result.history) == 2 and np.isfinite(figures["loss"]) and figures["effective_rank_source"] >= 1
    if method != "none":
        assert figures["anchor_loss"] > 0 and 0 <= figures["gap"] <= 2
    if "active_share" in figures:
        assert figures["anchors"] > 10 and 0 < figures["active_share"] <= 1


def test_steps_without_a_trusted_pseudo_label_log_what_the_others_do(small_pair):
    history = fit(*parts(small_pair), settings("pseudo_labels", batch_size=4), seed=0).history
    assert all(np.isfinite(figures["anchor_loss"]) and 0 < figures["pseudo_labelled"] < 1 for figures in history)


def test_the_form_and_the_key_change_the_fit(small_pair):
    found = {
        (method, form): losses(fit(*parts(small_pair), settings(method, 1, form), seed=0))[0]
        for method in ("ag", "pa")
        for form in ("triplet", "prototype", "attention")
    }
    assert len(set(found.values())) == 6


def test_same_seed_same_bytes_and_another_seed_not(small_pair):
    first, again, other = (fit(*parts(small_pair), settings(), seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)
    assert losses(first) == losses(again) != losses(other)


def test_a_resumed_fit_walks_the_same_path(small_pair):
    states = {}

    def keep(epoch, figures, state):
        states[epoch] = copy.deepcopy(state)

    whole = fit(*parts(small_pair), settings(epochs=5), seed=0, on_epoch=keep)
    for epoch in (0, 2, 4):
        torch.manual_seed(1234)  # nothing may depend on the global generator
        resumed = fit(*parts(small_pair), settings(epochs=5), seed=0, state=states[epoch])
        assert losses(resumed) == losses(whole) and resumed.chosen_epoch == whole.chosen_epoch
        assert all(torch.equal(resumed.weights[name], whole.weights[name]) for name in whole.weights)


def test_a_state_survives_saving(small_pair, tmp_path):
    def save(epoch, figures, state):
        torch.save(state, tmp_path / f"{epoch}.pt")

    whole = fit(*parts(small_pair), settings(epochs=3), seed=0, on_epoch=save)
    state = torch.load(tmp_path / "1.pt", weights_only=True)
    assert losses(fit(*parts(small_pair), settings(epochs=3), seed=0, state=state)) == losses(whole)
    with pytest.raises(ConfigError, match="other settings"):
        fit(*parts(small_pair), settings("pa"), seed=0, state=state)


SPREAD = [
    ("ag", "triplet"),
    ("dann+sapa", "prototype"),
]  # methods with and without parameters and epoch starts of their own


def _work(worker: int, workers: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=worker, world_size=workers)
    clips = parts(planted_pair("info", 0, SIZES))
    for method, form in SPREAD:
        result = fit(*clips, settings(method, 2, form), seed=0, worker=worker, workers=workers)
        torch.save((result.weights, losses(result)), os.path.join(folder, f"{method}.{worker}.pt"))
    torch.distributed.destroy_process_group()


def test_two_workers_walk_the_path_of_one(small_pair, tmp_path):
    """To 1e-5, but for the bias of attention's keys: it cancels, so its gradient is rounding noise."""
    torch.multiprocessing.start_processes(_work, args=(2, str(tmp_path)), nprocs=2, start_method="spawn", join=True)
    keys = slice(NETWORK.width, 2 * NETWORK.width)
    for method, form in SPREAD:
        alone = fit(*parts(small_pair), settings(method, 2, form), seed=0)
        for worker in (0, 1):
            weights, found = torch.load(tmp_path / f"{method}.{worker}.pt")
            assert found == pytest.approx(losses(alone), abs=1e-5)
            bias = "transformer.0.query_key_value.bias"
            weights[bias][keys] = alone.weights[bias][keys]
            assert all(torch.allclose(weights[name], alone.weights[name], atol=1e-5) for name in weights)


def test_training_can_start_at_the_discriminant_of_the_source(small_pair):
    train, dev, target = parts(small_pair)
    network = NETWORK.model_copy(update={"shrinkage": 0.5, "input_dropout": 0.5})
    states = {}
    started = fit(
        train,
        dev,
        target,
        settings("pseudo_labels", epochs=4).model_copy(update={"network": network}),
        seed=0,
        on_epoch=lambda epoch, figures, state: states.update({epoch: copy.deepcopy(state)}),
    )
    drawn = fit(train, dev, target, settings("pseudo_labels", epochs=4), seed=0)
    assert started.history[0]["emotion_loss"] < drawn.history[0]["emotion_loss"]
    assert started.history[-1]["pseudo_labelled"] == pytest.approx(0.5, abs=0.1)
    resumed = fit(train, dev, target, started.settings, seed=0, state=states[1])
    assert losses(resumed) == losses(started)


def test_target_labels_are_refused(small_pair):
    train, dev, _ = parts(small_pair)
    with pytest.raises(ConfigError, match="without_labels"):
        fit(train, dev, small_pair.target, settings(), seed=0)


def test_a_hinge_that_is_dead_from_the_start_is_said(small_pair):
    fields = settings().model_copy(
        update={"anchor": AnchorSettings(form="triplet", margin=0.0, weights="uniform"), "learning_rate": 1e-9}
    )
    train, dev, target = parts(small_pair)
    # segments that all are their key's own axis: nothing is nearer than the own key
    keys = np.eye(64, dtype=np.float32)[np.maximum(train.gesture, 0)][:, None] * 8
    target_keys = np.eye(64, dtype=np.float32)[np.maximum(target.gesture, 0)][:, None] * 8
    train = replace(train, vectors=keys, rows=np.arange(len(keys)))
    target = replace(target, vectors=target_keys, rows=np.arange(len(target_keys)))
    result = fit(train, dev, target, fields, seed=0)
    assert any("dead from the first epoch" in warning for warning in result.warnings)


def test_random_keys_are_said_to_be_inaudible(small_pair):
    result = fit(*parts(small_pair), settings("random_clusters"), seed=0)
    assert any("can't be heard" in warning for warning in result.warnings)


def test_early_stopping_and_the_kept_epoch(small_pair):
    for keep, best in (("dev_uar", max), ("dev_loss", min)):
        result = fit(*parts(small_pair), settings("none", epochs=12, keep=keep, patience=2, learning_rate=1e-2), seed=0)
        values = [figures[keep] for figures in result.history]
        assert values[result.chosen_epoch] == best(values)
        assert len(values) in (12, result.chosen_epoch + 3)
    assert fit(*parts(small_pair), settings("none", epochs=3, keep="last"), seed=0).chosen_epoch == 2


def test_bfloat16_trains(small_pair):
    result = fit(*parts(small_pair), settings(precision="bfloat16"), seed=0)
    full = fit(*parts(small_pair), settings(), seed=0)
    assert losses(result) == pytest.approx(losses(full), rel=0.05) and losses(result) != losses(full)


def test_embeddings_are_those_of_the_anchors(small_pair):
    train, dev, target = parts(small_pair)
    result = fit(train, dev, target, settings(epochs=1), seed=0)
    found = run(load_network(result.weights, result.settings), dev)
    assert found.clips.shape == (len(dev), 16) and found.phones.shape == (len(dev.phone), 16)


def test_methods_that_cannot_work_say_why(small_pair):
    train, dev, target = parts(small_pair)
    with pytest.raises(ValueError, match="did you mean 'hard_ag'"):
        fit(train, dev, target, settings("hardag"), seed=0)
    faceless = replace(
        target, gesture=np.full(len(target.gesture), -1, np.int32), has_mouth=np.zeros(len(target.gesture), bool)
    )
    for method in ("ag", "hard_ag"):
        with pytest.raises(ConfigError, match="target 0; gestures need video"):
            fit(train, dev, faceless, settings(method), seed=0)


def test_a_loss_that_is_no_number_ends_the_fit(small_pair):
    with pytest.raises(AgserError, match="the loss is no number any more in epoch 1.*lower train.learning_rate"):
        fit(*parts(small_pair), settings(learning_rate=1e30, epochs=2), 0)


def test_weights_that_the_last_step_spoils_are_not_kept(small_pair):
    """One step in all: its loss is a number, what it leaves is not."""
    fields = {"learning_rate": 1e30, "epochs": 1, "batch_size": 128, "keep": "last"}
    with pytest.raises(AgserError, match="the loss is no number any more on source dev after epoch 1"):
        fit(*parts(small_pair), settings(**fields), 0)
