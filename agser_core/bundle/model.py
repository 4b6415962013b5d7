"""A loaded bundle: from a waveform to a label with probabilities, embedding, and how much each phone counted."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from agser_core.bundle.files import WEIGHTS, BundleFacts, EncoderFacts, differences, read_bundle
from agser_core.bundle.sound import as_waveform
from agser_core.bundle.windows import speech_windows
from agser_core.errors import AgserError
from agser_core.fingerprint import code_version
from agser_core.media import SAMPLING_RATE
from agser_core.phones.interval import Phone
from agser_core.ser.network import Batch, EmotionNetwork, Output
from agser_core.ser.prediction import load_network
from agser_core.speech import Encoder, load_encoder, pool
from agser_core.speech.pooling import as_stored
from agser_core.storage import Location

NETWORK = "network."
_TOP = "top."  # of the network's tensors those of the encoder's fine-tuned layers
ENCODER_CODE = ("speech", "media")
ALIGNED, WINDOWS = "aligned", "windows"


@dataclass(frozen=True)
class Prediction:
    """What a model says of one clip."""

    label: str
    probabilities: dict[str, float]  # of every class, sums to 1
    phones: str  # "aligned": phones with known times; "windows": pseudo-phones, for want of a transcript
    emphasis: list[tuple[Phone, float]]  # share of each phone in the clip's vector, sums to 1
    embedding: np.ndarray  # float32 [width], the clip's vector
    warning: str | None = None


class Statistics(NamedTuple):
    """Of phone vectors: z = (vector - centre) / scale, both float32 [layers, dimension]."""

    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> Statistics:
        """Mean and deviation of vectors [n, layers, dimension]; deviations under 1e-5 become 1."""
        vectors = vectors.astype(np.float64)
        deviation = vectors.std(axis=0)
        return cls(vectors.mean(axis=0).astype(np.float32), np.where(deviation < 1e-5, 1, deviation).astype(np.float32))


@dataclass(frozen=True)
class Model:
    """A bundle in memory. A clip's prediction depends on that clip alone: clips pass the network one by one."""

    facts: BundleFacts
    network: EmotionNetwork
    encoder: Encoder
    statistics: dict[str, Statistics]  # of the input normalisation, for aligned phones and for windows; or none
    differences: tuple[str, ...] = ()  # what is not as it was at the export

    @property
    def classes(self) -> list[str]:
        return self.facts.classes

    def predict(
        self,
        waveform: np.ndarray,
        sampling_rate: int,
        *,
        transcript: str | None = None,
        language: str = "en",
        phones: Sequence[Phone] | None = None,
    ) -> Prediction:
        """Predict the emotion of one utterance.

        waveform: float in [-1, 1] (or integers), [n] or [n, channels], any rate, at most 60 s. phones: their times
        where they are known; else transcript and language, from which they are aligned; else pseudo-phones (see
        `Prediction.phones`). Raises ClipError with reason and remedy for a clip that can't be predicted.
        """
        return self.predict_clean(*as_waveform(waveform, sampling_rate), transcript, language, phones)

    def predict_clean(
        self,
        waveform: np.ndarray,
        warning: str | None = None,
        transcript: str | None = None,
        language: str = "en",
        phones: Sequence[Phone] | None = None,
    ) -> Prediction:
        """The same of a waveform that `bundle.sound` has checked: float32 [n] at 16 kHz."""
        spoken, how = self._phones(waveform, transcript, language, phones)
        vectors = self.normalised(self.vectors(waveform, spoken), how)
        output = self._forward(vectors)
        named = dict(zip(self.classes, output.logits[0].softmax(0).tolist(), strict=True))
        with torch.inference_mode():
            weights = self.network.attention(output.phones).squeeze(-1).softmax(0)  # as the network pools them
        emphasis = list(zip(spoken, weights.tolist(), strict=True))
        return Prediction(max(named, key=named.get), named, how, emphasis, output.clips[0].numpy(), warning)

    def enrolled(self, waveforms: Sequence[np.ndarray]) -> Model:
        """This model with the input statistics of other speech, such as more clips of one speaker or recording room.

        waveforms: float32 [n] at 16 kHz, in all some seconds; no labels, no transcripts. Raises AgserError for a model
        that does not normalise its inputs, or whose encoder is fine-tuned.
        """
        if self.facts.encoder.frame_layer is not None:
            raise AgserError(
                "this model's encoder is fine-tuned, and its inputs are normalised by statistics of the encoder as it "
                "was before: other speech can't be enrolled. Predict without enrolment"
            )
        if not self.statistics:
            raise AgserError("this model was trained with train.normalise=none: there are no statistics to replace")
        spoken = [self.vectors(waveform, speech_windows(waveform, self.facts.window)) for waveform in waveforms]
        if not spoken:
            raise AgserError("no clip to take statistics from")
        own, trained = Statistics.of(np.concatenate(spoken)), self.statistics
        # aligned phones of other speech aren't known here: what windows tell of it is carried over to them
        shift = (own.centre - trained[WINDOWS].centre) / trained[WINDOWS].scale
        aligned = Statistics(
            trained[ALIGNED].centre + shift * trained[ALIGNED].scale,
            trained[ALIGNED].scale * own.scale / trained[WINDOWS].scale,
        )
        return replace(self, statistics={WINDOWS: own, ALIGNED: aligned})

    def vectors(self, waveform: np.ndarray, phones: Sequence[Phone]) -> np.ndarray:
        """Phone vectors as extraction stores them, float32 [phones, layers, dimension] rounded to float16.

        Raises ClipError where the encoder gives what float16 can't hold.
        """
        (frames,) = self.encoder.encode([waveform])
        return as_stored(pool(frames, self.encoder.frame_rate, phones), self.facts.vectors).astype(np.float32)

    def _phones(
        self, waveform: np.ndarray, transcript: str | None = None, language: str = "en", phones=None
    ) -> tuple[list[Phone], str]:
        if phones:
            return list(phones), ALIGNED
        if transcript:
            return self._aligner.align(waveform, SAMPLING_RATE, transcript, language=language).phones, ALIGNED
        return speech_windows(waveform, self.facts.window), WINDOWS

    @functools.cached_property
    def _aligner(self):
        from agser_core.phones.aligner import Aligner

        return Aligner()

    def normalised(self, vectors: np.ndarray, phones: str = ALIGNED) -> np.ndarray:
        """What the network takes: float32 [n, layers, dimension]. phones: ALIGNED or WINDOWS, whose means differ."""
        if not self.statistics:
            return vectors
        centre, scale = self.statistics[phones]
        return (vectors - centre) / scale

    def shares(self, vectors: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, float32 [classes], of one clip's normalised vectors."""
        return self._forward(vectors).logits[0].softmax(0).numpy()

    @torch.inference_mode()
    def _forward(self, vectors: np.ndarray) -> Output:
        return self.network(one_clip(torch.from_numpy(vectors)))


def one_clip(vectors: torch.Tensor) -> Batch:
    """A batch of a single clip: float [phones, layers, dimension]."""
    count = vectors.shape[0]  # not len(), which an ONNX export would freeze
    return Batch(vectors, torch.zeros(count, dtype=torch.int64), torch.arange(count), n_clips=1)


def head_of(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a fit (`FitResult.weights`) without those of the encoder's fine-tuned layers."""
    return {name: tensor for name, tensor in weights.items() if not name.startswith(_TOP)}


def load_tuned_encoder(
    facts: EncoderFacts, weights: dict[str, torch.Tensor], name: str | None = None, device: str = "auto"
) -> Encoder:
    """The encoder that a model listens through, with the fine-tuned layers of a fit's weights where it has some.

    name: where its pretrained weights lie, if elsewhere than `facts` says. Raises AgserError where a tensor is missing
    or has another shape.
    """
    encoder = load_encoder(name or facts.name, layers=facts.layers, device=device, frame_layer=facts.frame_layer)
    if facts.frame_layer is not None:
        top = encoder.top_layers()
        tuned = {name.removeprefix(_TOP): tensor for name, tensor in weights.items() if name.startswith(_TOP)}
        _check_tensors("the fine-tuned tensor", top.state_dict(), tuned, f"the fine-tuned layers of {encoder.name!r}")
        top.load_state_dict(tuned)
    return encoder


def load_model(path: str, *, encoder: str | None = None, like: str | None = None, device: str = "auto") -> Model:
    """Load a bundle from a local folder or `s3://`; no code of it is run.

    encoder: where the encoder's weights lie on this machine, if not where they lay at training. like: the corpus whose
    training statistics normalise the input, source or target; the target where None. device: of the encoder.
    Raises AgserError for a bundle that is incomplete, changed, of another format, or contradicts itself.
    """
    folder = Location.parse(path)
    facts, files = read_bundle(folder)
    try:
        tensors = load_tensors(files[WEIGHTS])
    except (SafetensorError, KeyError) as error:
        raise AgserError(f"{folder.uri}: {WEIGHTS} is no safetensors file: {error}. Export the model again") from error
    weights = {name.removeprefix(NETWORK): tensor for name, tensor in tensors.items() if name.startswith(NETWORK)}
    _check_weights(folder, facts, weights)
    chosen = like or facts.target
    if chosen not in (facts.source, facts.target):
        raise AgserError(f"{folder.uri} has statistics of {facts.source} and {facts.target}, not of {chosen!r}")
    statistics = {} if facts.normalise == "none" else _statistics(folder, tensors, chosen)
    loaded = load_tuned_encoder(facts.encoder, weights, encoder, device)
    if (loaded.n_layers, loaded.dimension) != facts.encoder.shape:
        raise AgserError(
            f"the encoder {loaded.name!r} gives {loaded.n_layers} x {loaded.dimension} numbers a phone, the bundle was "
            f"made with {facts.encoder.shape[0]} x {facts.encoder.shape[1]} of {facts.encoder.name!r}: give that one"
        )
    return Model(
        facts,
        load_network(head_of(weights), facts.settings),
        loaded,
        statistics,
        tuple(differences(facts, code_version(*ENCODER_CODE))),
    )


def _statistics(folder: Location, tensors: dict[str, torch.Tensor], corpus: str) -> dict[str, Statistics]:
    names = {kind: [statistics_name(corpus, kind, part) for part in Statistics._fields] for kind in (ALIGNED, WINDOWS)}
    missing = [name for parts in names.values() for name in parts if name not in tensors]
    if missing:
        raise AgserError(f"{folder.uri}: {WEIGHTS} lacks {missing[0]}: export the model again")
    return {kind: Statistics(*(tensors[name].numpy() for name in parts)) for kind, parts in names.items()}


def statistics_name(corpus: str, phones: str, part: str) -> str:
    """The name of a tensor of statistics. phones: ALIGNED or WINDOWS; part: a field of `Statistics`."""
    return f"statistics.{corpus}.{phones}.{part}"


def _check_weights(folder: Location, facts: BundleFacts, weights: dict[str, torch.Tensor]) -> None:
    layers, dimension = facts.encoder.shape
    expected = EmotionNetwork(layers, dimension, len(facts.classes), facts.settings.network).state_dict()
    classes = f"{len(facts.classes)} classes ({', '.join(facts.classes)}) and the network's settings"
    _check_tensors(f"{folder.uri}: the tensor", expected, weights, classes)


def _check_tensors(what: str, expected: dict[str, torch.Tensor], given: dict[str, torch.Tensor], needing: str) -> None:
    for name, tensor in expected.items():
        found = given.get(name)
        if found is None or found.shape != tensor.shape:
            has = "is missing" if found is None else f"has the shape {list(found.shape)}"
            raise AgserError(f"{what} {name} {has}; {needing} need {list(tensor.shape)}. Export the model again")
