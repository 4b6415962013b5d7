"""A loaded bundle predicts what its weights say, of every clip by itself."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drawn_bundle import SIZES, made_facts, made_tensors

import agser_core
from agser_core.bundle.files import EncoderFacts
from agser_core.bundle.model import ALIGNED, NETWORK, WINDOWS, load_tuned_encoder
from agser_core.bundle.windows import speech_windows
from agser_core.errors import AgserError, ClipError
from agser_core.phones.interval import Phone
from agser_core.ser.dataset import SpeechData
from agser_core.ser.frames import Frames
from agser_core.ser.network import EmotionNetwork
from agser_core.ser.prediction import predict
from agser_core.ser.settings import TrainSettings
from agser_core.speech import load_encoder, pool
from agser_core.speech.pooling import frames_of

PHONES = [Phone("AA", 0.4, 0.7), Phone("S", 0.7, 0.9), Phone("IY", 1.1, 1.35), Phone("M", 1.4, 1.7)]


def speech_data(vectors: np.ndarray) -> SpeechData:
    """One clip for the project's own prediction."""
    count = len(vectors)
    none = np.zeros(count, bool)
    return SpeechData(
        corpus="birch",
        vectors=vectors,
        offsets=np.array([0, count]),
        phone=np.zeros(count, np.int16),
        is_vowel=none,
        has_mouth=none,
        gesture=np.full(count, -1, np.int32),
        membership=np.zeros((count, 0), np.float32),
        clip_id=np.array(["one"]),
        speaker=np.array(["anna"]),
        emotion=np.array([-1], np.int8),
    )


def test_round_trip_gives_the_probabilities_of_training_code(write, speech):
    model, tensors, encoder = agser_core.load_model(write()), made_tensors(), load_encoder()
    (frames,) = encoder.encode([speech])
    vectors = pool(frames, encoder.frame_rate, PHONES).astype(np.float16).astype(np.float32)
    centre, scale = (tensors[f"statistics.birch.aligned.{part}"].numpy() for part in ("centre", "scale"))
    weights = {name.removeprefix(NETWORK): tensor for name, tensor in tensors.items() if name.startswith(NETWORK)}
    expected = predict(weights, made_facts()["settings"], speech_data((vectors - centre) / scale))[0]
    found = model.predict(speech, 16000, phones=PHONES)
    assert list(found.probabilities.values()) == pytest.approx(expected, abs=1e-6)
    assert found.label == model.classes[int(expected.argmax())] and found.phones == ALIGNED
    assert found.embedding.shape == (16,)


def test_emphasis_is_the_weight_of_each_phone_in_the_embedding(write, speech):
    model = agser_core.load_model(write())
    found = model.predict(speech, 16000, phones=PHONES)
    vectors = model.normalised(model.vectors(speech, PHONES))
    with torch.no_grad():
        phones = model._forward(vectors).phones.numpy()
    weights = np.array([share for _, share in found.emphasis])
    assert [phone for phone, _ in found.emphasis] == PHONES and weights.sum() == pytest.approx(1)
    assert weights @ phones == pytest.approx(found.embedding, abs=1e-6)


def test_without_transcript_windows_stand_for_phones_and_have_their_own_statistics(write, speech):
    model = agser_core.load_model(write())
    found = model.predict(speech, 16000)
    windows = [phone for phone, _ in found.emphasis]
    assert found.phones == WINDOWS and windows == speech_windows(speech, 0.09)
    as_if_aligned = model.predict(speech, 16000, phones=windows)
    assert as_if_aligned.probabilities != found.probabilities


def test_windows_leave_pauses_out_and_are_never_none(speech):
    windows = speech_windows(speech, 0.1)
    assert windows[0].start >= 0.3 and windows[-1].end <= 2.7
    assert 0.4 < sum(w.end - w.start for w in windows) / 2.2 < 1
    assert len(speech_windows(speech[:800], 0.1)) == 1


def test_a_prediction_does_not_depend_on_those_before(write, speech):
    model = agser_core.load_model(write())
    first = model.predict(speech, 16000)
    model.predict(speech[:16000], 16000)
    again = model.predict(speech, 16000)
    assert again.probabilities == first.probabilities and (again.embedding == first.embedding).all()


def test_other_rates_channels_and_types_mean_the_same_speech(write, speech):
    model = agser_core.load_model(write())
    plain = model.predict(speech, 16000)
    stereo = model.predict(np.stack([speech, speech], axis=1), 16000)
    integers = model.predict((speech * 32768).astype(np.int16), 16000)
    assert stereo.probabilities == pytest.approx(plain.probabilities, abs=1e-6)
    assert integers.probabilities == pytest.approx(plain.probabilities, abs=0.02)
    assert plain.warning is None and "8000 Hz" in model.predict(speech[::2], 8000).warning


@pytest.mark.parametrize(
    "samples, rate, words",
    [
        (np.zeros(0), 16000, "no sample"),
        (np.zeros(16000), 16000, "silent"),
        (np.full(16000, np.nan), 16000, "not numbers"),
        (np.full(16000, 900.0), 16000, "full scale"),
        (np.ones(16000 * 601, np.float32), 16000, "601 s"),
        (np.ones(100), 16000, "too short"),
        (np.ones((4, 4, 4)), 16000, "no waveform"),
        (np.ones(16000), 0, "sampling rate"),
    ],
)
def test_what_can_not_be_predicted_says_why(write, samples, rate, words):
    with pytest.raises(ClipError, match=words):
        agser_core.load_model(write()).predict(samples, rate)


def test_statistics_of_either_corpus_or_of_enrolled_clips(write, speech):
    path = write()
    target, source = agser_core.load_model(path), agser_core.load_model(path, like="alder")
    plain = target.predict(speech, 16000).probabilities
    assert source.predict(speech, 16000).probabilities != plain
    own = target.enrolled([speech, speech[8000:40000]])
    assert (
        own.predict(speech, 16000).probabilities
        == source.enrolled([speech, speech[8000:40000]]).predict(speech, 16000).probabilities
    )
    with pytest.raises(AgserError, match="statistics of alder and birch"):
        agser_core.load_model(path, like="ravdess")


def test_a_model_without_normalisation_has_nothing_to_enrol(write, speech):
    network = {name: tensor for name, tensor in made_tensors().items() if name.startswith(NETWORK)}
    model = agser_core.load_model(write(network, normalise="none"))
    assert model.predict(speech, 16000).label in model.classes
    with pytest.raises(AgserError, match="train.normalise=none"):
        model.enrolled([speech])


@pytest.fixture
def tuned(tiny_model):
    """Facts and weights of a model whose encoder's second layer was moved, as a fit leaves them."""
    name = tiny_model("wavlm")
    encoder = EncoderFacts(name=name, pretrained=True, layers=[0, 2], frame_layer=1, shape=(2, 32), code="")
    facts = {"encoder": encoder, "normalise": "none", "settings": TrainSettings(network=SIZES, fine_tune=True)}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        top = load_encoder(name, [0, 2], "cpu", 1).top_layers()
        weights = EmotionNetwork(2, 32, len(made_facts()["classes"]), SIZES, top).state_dict()
        for layer, tensor in weights.items():
            if layer.startswith("top.") and "rel_attn_embed" not in layer:
                tensor += 0.1 * torch.randn(tensor.shape)
    return facts, weights


def test_a_fine_tuned_encoder_is_what_a_bundle_hears_with(tuned, write, speech):
    facts, weights = tuned
    path = write({NETWORK + name: tensor for name, tensor in weights.items()}, **facts)
    found = agser_core.load_model(path, device="cpu").predict(speech, 16000, phones=PHONES)

    frozen = load_encoder(facts["encoder"].name, [0, 2], "cpu", 1)
    ((vectors, frames),) = frozen.encode_with_frames([speech])
    data = speech_data(pool(vectors, frozen.frame_rate, PHONES))
    spans, length = frames_of(PHONES, len(frames), frozen.frame_rate), np.array([len(frames)])
    stored = Frames(frames.astype(np.float16), np.array([0]), length, spans, frozen.name, (0, 2), 1)
    expected = predict(weights, facts["settings"], replace(data, frames=stored))[0]
    assert list(found.probabilities.values()) == pytest.approx(expected, abs=2e-3)  # frames and vectors are float16
    before = {**weights, **{f"top.{name}": tensor for name, tensor in frozen.top_layers().state_dict().items()}}
    assert np.abs(predict(before, facts["settings"], replace(data, frames=stored))[0] - expected).max() > 0.02
    with pytest.raises(AgserError, match="fine-tuned.*can't be enrolled"):
        agser_core.load_model(path, device="cpu").enrolled([speech])


def test_a_bundle_without_its_tuned_layers_is_refused(tuned, write):
    facts, weights = tuned
    name = "top.layers.0.feed_forward.output_dense.weight"
    for changed, words in (({}, "is missing"), ({NETWORK + name: torch.zeros(3)}, r"has the shape \[3\]")):
        rest = {NETWORK + other: tensor for other, tensor in weights.items() if other != name}
        with pytest.raises(AgserError, match=f"output_dense.weight {words}; the fine-tuned layers.*Export"):
            agser_core.load_model(write({**rest, **changed}, **facts), device="cpu")


def test_onnx_encoder_is_the_tuned_one(tuned, speech):
    runtime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    from agser_core.bundle.onnx import encoder_bytes

    facts, weights = tuned
    encoder = load_tuned_encoder(facts["encoder"], weights, device="cpu")
    (frames,) = runtime.InferenceSession(encoder_bytes(encoder)).run(None, {"waveform": speech})
    assert frames == pytest.approx(encoder.encode([speech])[0], abs=1e-4)
    frozen = load_encoder(encoder.name, [0, 2], "cpu").encode([speech])[0]
    assert np.abs(frames - frozen)[:, 0].max() < 1e-4 < 0.1 < np.abs(frames - frozen)[:, 1].max()


def test_nothing_heavy_is_loaded_that_is_not_used(write, speech, tmp_path):
    import soundfile

    soundfile.write(tmp_path / "clip.wav", speech, 16000)
    code = (
        "import sys; from pipelines.cli import main\n"
        f"try: main(['predict', {write()!r}, {str(tmp_path / 'clip.wav')!r}])\n"
        "except SystemExit as end: assert end.code in (0, None), end.code\n"
        "print(sorted(set(sys.modules) & {'ray', 'transformers', 'mediapipe', 'pandas', 'sklearn', 'cv2', 'av', "
        "'matplotlib', 'onnx', 'pocketsphinx'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_onnx_head_agrees(write, speech):
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    from agser_core.bundle.onnx import head_bytes

    model = agser_core.load_model(write())
    session = runtime.InferenceSession(head_bytes(model.network))
    for seconds in (0.05, 0.3, 3.0):  # several numbers of phones, one among them
        piece = speech[8000 : 8000 + round(seconds * 16000)]
        vectors = model.normalised(model.vectors(piece, speech_windows(piece, 0.09)), WINDOWS)
        probabilities, embedding = session.run(None, {"vectors": vectors})
        found = model.predict(piece, 16000)
        assert probabilities == pytest.approx(list(found.probabilities.values()), abs=1e-4)
        assert embedding == pytest.approx(found.embedding, abs=1e-4)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm"])
def test_onnx_encoder_agrees(tiny_model, speech, kind):
    runtime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    from agser_core.bundle.onnx import encoder_bytes

    encoder = load_encoder(tiny_model(kind), layers=[2, 0], device="cpu")
    session = runtime.InferenceSession(encoder_bytes(encoder))
    for seconds in (0.05, 0.7, 3.0):
        piece = speech[: round(seconds * 16000)]
        (frames,) = session.run(None, {"waveform": piece})
        assert frames == pytest.approx(encoder.encode([piece])[0], abs=1e-4)


@pytest.mark.parametrize("kind, words", [("embedded", "NumPy"), ("whisper", "spectrogram")])
def test_an_encoder_without_onnx_form_says_so(tiny_model, kind, words):
    from agser_core.bundle.onnx import encoder_bytes

    with pytest.raises(AgserError, match=words):
        encoder_bytes(load_encoder(kind if kind == "embedded" else tiny_model(kind)))


def test_weights_beyond_what_an_onnx_file_holds_are_refused():
    from agser_core.bundle.onnx import encoder_bytes

    giant = torch.nn.Linear(30_000, 30_000, device="meta")  # takes no memory
    encoder = SimpleNamespace(pretrained=True, name="giant", graph=lambda: giant)
    with pytest.raises(AgserError, match="giant.*3.6 GB.*encoder_onnx=false"):
        encoder_bytes(encoder)


def test_what_float16_cannot_hold_is_the_clips_error(write, speech, monkeypatch):
    model = agser_core.load_model(write())
    honest = model.encoder.encode
    monkeypatch.setattr(model.encoder, "encode", lambda waveforms: [1e6 * frames for frames in honest(waveforms)])
    with pytest.raises(ClipError, match="beyond the 65504 of float16, in place 0 of the 1 layers"):
        model.predict(speech, 16000)
