"""The encoder's top layers trained with the head: where they start, what they learn, on any number of workers."""

import copy
import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from spoken_corpus import spoken_corpus

from agser_core.errors import AgserError, ConfigError
from agser_core.phones.interval import Phone
from agser_core.ser import metrics
from agser_core.ser.batches import make_batch
from agser_core.ser.dataset import SpeechData
from agser_core.ser.frames import Frames, frame_groups, top_layers_of, top_vectors
from agser_core.ser.from_tables import with_frames
from agser_core.ser.prediction import predict, run
from agser_core.ser.settings import AnchorSettings, NetworkSettings, TrainSettings
from agser_core.ser.trainer import Training, fit
from agser_core.speech import load_encoder, pool
from agser_core.speech.pooling import frames_of

KINDS = ["wav2vec2", "wav2vec2-group", "xls-r", "hubert", "wavlm", "wavlm-stable"]
NETWORK = NetworkSettings(width=16, heads=2, feed_forward=24, classifier=8, transformer_layers=1, dropout=0.1)


def settings(method: str = "none", epochs: int = 2, **fields) -> TrainSettings:
    fields = {"fine_tune": True, "encoder_learning_rate": 1e-4, "batch_size": 8, **fields}
    return TrainSettings(method=method, epochs=epochs, network=NETWORK, anchor=AnchorSettings(form="triplet"), **fields)


def spoken_parts(folder: str) -> tuple[SpeechData, SpeechData, SpeechData]:
    """Source train and dev, target train."""
    source = spoken_corpus(folder, "alder", 1).normalised("corpus")
    target = spoken_corpus(folder, "birches", 1).normalised("speaker")
    return source.take(np.arange(8)), source.take(np.arange(8, 12)), target.without_labels()


@pytest.fixture(scope="module")
def parts(tiny_model):
    return spoken_parts(tiny_model("wavlm"))


def losses(result) -> list[float]:
    return [figures["loss"] for figures in result.history]


@pytest.mark.parametrize(
    ("kind", "layers", "frame_layer"),
    [(kind, None, 1) for kind in KINDS]
    + [(kind, *cut) for kind in ("xls-r", "wavlm") for cut in ((None, 0), ([2, 0, 1], -2), ([0, 1], 0))],
)
def test_before_the_first_step_the_layers_give_the_stored_vectors(tiny_model, kind, layers, frame_layer):
    corpora = [spoken_corpus(tiny_model(kind), name, frame_layer, layers) for name in ("alder", "birches")]
    top = top_layers_of(settings(), *corpora)
    for normalise, tolerance in (("none", 4e-3), ("speaker", 4e-3)):
        here, there = (data.normalised(normalise) for data in corpora)
        batch = make_batch([(here, np.array([7, 0, 3, 11])), (there, np.arange(12))], tuned=top.places)
        assert len(batch.groups) > 4
        found, stored = top_vectors(top, batch.groups), batch.vectors[:, list(top.places)]
        spread = 1 if normalise == "none" else 1 / min(data.scale[:, list(top.places)].min() for data in (here, there))
        assert found.shape == stored.shape and stored.std() > 0.3
        assert torch.allclose(found, stored, atol=tolerance * spread)


def test_frames_are_pooled_as_extraction_pools_them():
    """With a layer that gives back what enters it; phones share frames, or reach beyond the last."""

    class Nothing:
        places = (0,)

        def __call__(self, frames, valid):
            return frames[:, :, None]

    draw = np.random.default_rng(0)
    clips = [draw.standard_normal((count, 3)).astype(np.float16) for count in (50, 2, 31)]
    phones = [
        [Phone("T", 0.231, 0.232), Phone("AA", 0.232, 0.233), Phone("S", 0.3, 0.81), Phone("B", 0.99, 1.4)],
        [Phone("AA", 0.0, 0.04)],
        [Phone("AA", 0.01, 0.07), Phone("B", 0.07, 0.62)],
    ]
    counts = np.array([4, 1, 2])
    data = data_of(
        clips, counts, np.concatenate([frames_of(own, len(clip), 50) for own, clip in zip(phones, clips, strict=True)])
    )
    expected = [pool(clip[:, None].astype(np.float32), 50, own) for clip, own in zip(clips, phones, strict=True)]
    found = top_vectors(Nothing(), frame_groups(data, np.array([2, 0, 1]), 0, (0,)))
    np.testing.assert_allclose(found, np.concatenate([expected[clip] for clip in (2, 0, 1)]), atol=1e-6)


def data_of(clips: list[np.ndarray], phones: np.ndarray, spans: np.ndarray, folder: str = "") -> SpeechData:
    """Clips of frames [n, D] that enter layer 2 of 2, with `phones` phones each; phone vectors are still to be set."""
    lengths, total = np.array([len(clip) for clip in clips]), int(phones.sum())
    return SpeechData(
        corpus="planted",
        vectors=np.zeros((total, 1, clips[0].shape[1]), np.float32),
        offsets=np.concatenate([[0], np.cumsum(phones)]),
        phone=np.zeros(total, np.int16),
        is_vowel=np.ones(total, bool),
        has_mouth=np.zeros(total, bool),
        gesture=np.full(total, -1, np.int32),
        membership=np.zeros((total, 0), np.float32),
        clip_id=np.array([f"clip-{number}" for number in range(len(clips))]),
        speaker=np.array([f"speaker-{number % 3}" for number in range(len(clips))]),
        emotion=(np.arange(len(clips)) % 4).astype(np.int8),
        frames=Frames(np.concatenate(clips), np.cumsum(lengths) - lengths, lengths, spans, folder, (2,), 1),
    )


@pytest.fixture(scope="module")
def blind_model(tiny_model, tmp_path_factory) -> str:
    """An encoder whose last layer passes on what it hears: attention and feed-forward add nothing."""
    import transformers

    model = transformers.Wav2Vec2Model.from_pretrained(tiny_model("wav2vec2"))
    last = model.encoder.layers[1]
    for linear in (last.attention.out_proj, last.feed_forward.output_dense):
        torch.nn.init.zeros_(linear.weight)
    folder = str(tmp_path_factory.mktemp("blind"))
    model.save_pretrained(folder)
    transformers.AutoFeatureExtractor.from_pretrained(tiny_model("wav2vec2")).save_pretrained(folder)
    return folder


def hidden_emotions(folder: str, clips: int, seed: int) -> SpeechData:
    """Frames that come in pairs, z + u and z - u, with u in one of four directions by emotion.

    No mean over phones tells anything of u, nor does it after layer norm, z being orthogonal to all four; a layer that
    bends what it hears can.
    """
    dimension, draw = 32, np.random.default_rng(seed)
    basis = np.linalg.qr(np.column_stack([np.ones(dimension), np.random.default_rng(1).normal(size=(dimension, 4))]))[0]
    heard = []
    for clip in range(clips):
        z = draw.normal(size=(6, 1, dimension))
        z -= z @ basis @ basis.T
        pairs = z + 3 * np.array([1, -1])[:, None] * basis[:, 1 + clip % 4]
        heard.append(pairs.reshape(12, dimension).astype(np.float16))
    spans = np.tile([[0, 4], [4, 6], [6, 12]], (clips, 1))
    data = data_of(heard, np.full(clips, 3), spans, folder)
    top = top_layers_of(settings(), data)
    with torch.no_grad():
        vectors = top_vectors(top, frame_groups(data, np.arange(clips), 0, top.places)).numpy()
    return replace(data, vectors=vectors)


def test_trained_layers_hear_what_no_head_can_hear_in_the_stored_vectors(blind_model):
    train, dev, test = (hidden_emotions(blind_model, count, seed) for seed, count in enumerate((160, 40, 80)))
    found = {}
    for fine_tune in (False, True):
        wanted = settings(
            epochs=12, fine_tune=fine_tune, encoder_learning_rate=1e-2, learning_rate=3e-3, batch_size=16, keep="last"
        )
        result = fit(train, dev, test.without_labels(), wanted, seed=0)
        chosen = predict(result.weights, result.settings, test).argmax(1)
        found[fine_tune] = metrics.uar(metrics.confusion(test.emotion, chosen, 4))
    assert found[False] < 0.45 and found[True] > 0.9


@pytest.mark.parametrize("method", ["none", "pa", "coral+dann"])
def test_every_layer_above_is_trained_and_no_other(parts, method):
    result = fit(*parts, settings(method, epochs=1), seed=0)
    before = top_layers_of(settings(), parts[0]).state_dict()
    after = {name.removeprefix("top."): tensor for name, tensor in result.weights.items() if name.startswith("top.")}
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    kept = set(before) - moved
    # the position bias is layer 0's, which is frozen
    assert kept == {"layers.0.attention.rel_attn_embed.weight"} and np.isfinite(losses(result)).all()


def test_prediction_is_by_the_trained_layers(parts):
    train, dev, target = parts
    training = Training(train, dev, target, settings(epochs=1, keep="last"), seed=0)
    training.next_epoch()
    result = training.result()
    expected = run(training.network.eval(), dev).probabilities
    assert np.array_equal(predict(result.weights, result.settings, dev), expected)
    untrained = {**result.weights, **{f"top.{n}": t for n, t in top_layers_of(settings(), dev).state_dict().items()}}
    assert not np.allclose(predict(untrained, result.settings, dev), expected, atol=1e-6)


def test_a_resumed_fit_walks_the_same_path(parts, tmp_path):
    states = {}

    def keep(epoch, figures, state):
        states[epoch] = copy.deepcopy(state)
        torch.save(state, tmp_path / f"{epoch}.pt")

    whole = fit(*parts, settings("pa", epochs=4), seed=0, on_epoch=keep)
    moments = [state["exp_avg"].abs().sum() for state in states[1]["optimiser"]["state"].values()]
    assert len(states[1]["optimiser"]["param_groups"]) == 2 and min(moments) > 0
    for state in (states[0], states[2], torch.load(tmp_path / "1.pt", weights_only=True)):
        torch.manual_seed(1234)
        resumed = fit(*parts, settings("pa", epochs=4), seed=0, state=state)
        assert losses(resumed) == losses(whole) and resumed.chosen_epoch == whole.chosen_epoch
        assert all(torch.equal(resumed.weights[name], whole.weights[name]) for name in whole.weights)


def _work(worker: int, workers: int, folder: str, model: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=worker, world_size=workers)
    result = fit(*spoken_parts(model), settings("pa"), seed=0, worker=worker, workers=workers)
    torch.save((result.weights, losses(result)), os.path.join(folder, f"{worker}.pt"))
    torch.distributed.destroy_process_group()


def test_two_workers_walk_the_path_of_one(parts, tiny_model, tmp_path):
    """To 1e-5, but for biases of attention's keys: they cancel, so their gradient is rounding noise."""
    work = (2, str(tmp_path), tiny_model("wavlm"))
    torch.multiprocessing.start_processes(_work, args=work, nprocs=2, start_method="spawn", join=True)
    alone = fit(*parts, settings("pa"), seed=0)
    for worker in (0, 1):
        weights, found = torch.load(tmp_path / f"{worker}.pt")
        assert found == pytest.approx(losses(alone), abs=1e-5)
        keys = slice(NETWORK.width, 2 * NETWORK.width)
        weights["transformer.0.query_key_value.bias"][keys] = alone.weights["transformer.0.query_key_value.bias"][keys]
        compared = [name for name in weights if not name.endswith("k_proj.bias")]
        assert all(torch.allclose(weights[name], alone.weights[name], atol=1e-5) for name in compared)


@pytest.mark.parametrize("kind", ["wav2vec2", "wavlm"])
def test_bfloat16_trains(tiny_model, kind):
    clips = spoken_parts(tiny_model(kind))
    full, short = (fit(*clips, settings(precision=precision), seed=0) for precision in ("float32", "bfloat16"))
    assert losses(short) == pytest.approx(losses(full), rel=0.05) and losses(short) != losses(full)


def test_without_fine_tuning_stored_frames_change_nothing(parts):
    bare = [replace(data, frames=None) for data in parts]
    first, second = (fit(*clips, settings(fine_tune=False), seed=0) for clips in (parts, bare))
    assert losses(first) == losses(second) and not any(name.startswith("top.") for name in first.weights)


def test_what_cannot_be_trained_is_said(parts, tiny_model):
    train, dev, target = parts
    with pytest.raises(ConfigError, match="birches: train.fine_tune needs.*extract.speech.frame_layer"):
        fit(train, dev, replace(target, frames=None), settings(), seed=0)
    with pytest.raises(ConfigError, match="embedded encoder has no layers to fine-tune"):
        load_encoder(frame_layer=1)
    with pytest.raises(ConfigError, match="Whisper can't be fine-tuned"):
        load_encoder(tiny_model("whisper"), frame_layer=1)
    for frame_layer, layers in ((2, None), (-1, None), (3, None), (-4, None), (1, [0, 1])):
        with pytest.raises(ConfigError, match=r"frame_layer is -?\d, but of the chosen layers.*one must lie above it"):
            load_encoder(tiny_model("hubert"), layers, "cpu", frame_layer)


def test_frames_of_other_clips_or_phones_are_refused(tiny_model):
    folder = tiny_model("hubert")
    data = spoken_corpus(folder, "alder", 1)
    table = pa.table(
        {
            "clip_id": data.clip_id,
            "n_frames": pa.array([1] * len(data), pa.int32()),
            "frames": pa.array([[0.0] * 32] * len(data), pa.list_(pa.float16())),
            "first": [[0] * length for length in data.lengths],
            "stop": [[1] * length for length in data.lengths],
        }
    )
    assert with_frames(data, table, folder, None, 1).frames.values.shape == (12, 32)
    with pytest.raises(ConfigError, match="lacks 1 of 12 clips, such as alder-0; extract again"):
        with_frames(data, table.slice(1), folder, None, 1)
    fewer = table.set_column(3, "first", pa.array([[0]] * len(data)))
    with pytest.raises(ConfigError, match="different phones"):
        with_frames(data, fewer, folder, None, 1)


def test_a_fit_that_diverges_names_the_rate_of_the_encoder(parts):
    with pytest.raises(AgserError, match="no number any more.*or lower train.encoder_learning_rate"):
        fit(*parts, settings(encoder_learning_rate=1e30), seed=0)
