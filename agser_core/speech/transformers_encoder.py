"""Pretrained speech models of transformers as frozen encoders: wav2vec 2.0, XLS-R, HuBERT, WavLM, Whisper's encoder."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import transformers

from agser_core.errors import AgserError, ClipError, ConfigError
from agser_core.media import SAMPLING_RATE
from agser_core.speech.encoder import encoder_folder
from agser_core.speech.top_layers import TopLayers

MODEL_TYPES = ("wav2vec2", "hubert", "wavlm", "whisper")  # XLS-R is a wav2vec2
_BATCH_SECONDS = 60.0  # padded audio of one forward pass: bounds the memory
_NOT_USED_HERE = ("masked_spec_embed",)  # masks spans in pretraining only


class TransformersEncoder:
    """Hidden states of a pretrained model; see `Encoder`. Layer 0 is what enters the first Transformer layer."""

    pretrained = True

    def __init__(
        self,
        name_or_path: str,
        layers: Sequence[int] | None = None,
        device: str = "auto",
        frame_layer: int | None = None,
    ):
        self.name = name_or_path
        self._features, self._model = _load(encoder_folder(name_or_path) or name_or_path)
        config = self._model.config
        self._whisper = config.model_type == "whisper"
        if self._whisper:
            self._model = self._model.get_encoder()
            stride, available, self.dimension = 2 * self._features.hop_length, config.encoder_layers, config.d_model
            self._shortest = 1
        else:
            stride, available, self.dimension = (
                math.prod(config.conv_stride),
                config.num_hidden_layers,
                config.hidden_size,
            )
            self._shortest = _receptive_field(config.conv_kernel, config.conv_stride)
            # Without layer norm, the first convolution normalises over all time, padding included: clips of different
            # lengths can't share a batch without changing each other.
            self._pads = config.feat_extract_norm == "layer"
        self.frame_rate = SAMPLING_RATE / stride
        self._layers = _chosen(layers, available + 1, name_or_path)
        self.n_layers = len(self._layers)
        self._frame_layer = None if frame_layer is None else self._below_others(frame_layer, available)
        self._device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        self._model.eval().requires_grad_(False).to(self._device)

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Encoder.encode`. Clips are batched by length; on a GPU the model runs in bfloat16."""
        return self._states(waveforms, self._layers)

    def encode_with_frames(self, waveforms: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """What `encode` gives of each waveform, and its frame layer alone: float32 [n_frames, dimension]."""
        states = self._states(waveforms, [*self._layers, self._frame_layer])
        return [(clip[:, :-1], clip[:, -1]) for clip in states]

    def top_layers(self) -> TopLayers:
        """The layers above the frame layer, this encoder's own: what is loaded into them, it hears with."""
        return TopLayers(self._model, self._frame_layer, self._layers)

    def _below_others(self, frame_layer: int, available: int) -> int:
        """The frame layer counted from 0, if any chosen layer lies above it and can be computed from it."""
        if self._whisper:
            raise ConfigError(
                f"the layers of {self.name!r} hear a window of 30 s, its silence included, of which only the clip's "
                "frames would be stored: Whisper can't be fine-tuned here. Leave extract.speech.frame_layer away"
            )
        found = frame_layer % (available + 1)
        if not -available <= frame_layer + 1 <= available or not any(layer > found for layer in self._layers):
            raise ConfigError(
                f"extract.speech.frame_layer is {frame_layer}, but of the chosen layers of {self.name!r} "
                f"({', '.join(map(str, self._layers))}) one must lie above it: give 0 to {max(self._layers) - 1}"
            )
        return found

    def _states(self, waveforms: Sequence[np.ndarray], layers: list[int]) -> list[np.ndarray]:
        """Hidden states of each waveform, float32 [n_frames, len(layers), dimension]."""
        for waveform in waveforms:
            if len(waveform) < self._shortest:
                raise ClipError(
                    f"{len(waveform) / SAMPLING_RATE:.3f} s of audio are too short for {self.name}",
                    remedy="leave the clip out",
                    error_class="encoder",
                )
        if self._whisper:
            return [self._encode_whisper(waveform, layers) for waveform in waveforms]
        encoded: list[np.ndarray | None] = [None] * len(waveforms)
        for batch in self._batches([len(waveform) for waveform in waveforms]):
            for index, frames in zip(batch, self._encode_batch([waveforms[i] for i in batch], layers), strict=True):
                encoded[index] = frames
        return encoded

    def graph(self) -> torch.nn.Module:
        """The encoder as one module without Python's branching, for exporters.

        Takes one waveform, float32 [samples] at 16 kHz in [-1, 1], gives float32 [frames, layers, dimension], as
        `encode` does. Raises AgserError for Whisper, whose spectrogram lies outside the model.
        """
        if self._whisper:
            raise AgserError(
                f"{self.name!r} hears a spectrogram of fixed length that transformers computes outside the model: its "
                "encoder has no form of its own. Export without it (export.encoder_onnx=false)"
            )
        return _Graph(self._model, self._layers, self._features.do_normalize).eval()

    def _batches(self, lengths: list[int]) -> list[list[int]]:
        """Indices in batches of alike (for models that can't pad, equal) lengths within the bound on padded audio."""
        batches: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
            batch = batches[-1] if batches else []
            fits = (len(batch) + 1) * lengths[index] <= _BATCH_SECONDS * SAMPLING_RATE
            if batch and fits and (self._pads or lengths[batch[0]] == lengths[index]):
                batch.append(index)
            else:
                batches.append([index])
        return batches

    def _encode_batch(self, waveforms: list[np.ndarray], layers: list[int]) -> list[np.ndarray]:
        inputs = self._features(
            waveforms, sampling_rate=SAMPLING_RATE, padding=True, return_attention_mask=True, return_tensors="pt"
        )
        mask = inputs["attention_mask"] if self._pads else None
        mask = None if mask is None else mask.to(self._device)
        states = self._forward(inputs["input_values"], layers, attention_mask=mask)
        counts = self._model._get_feat_extract_output_lengths(torch.tensor([len(w) for w in waveforms])).tolist()
        return [clip[:count] for clip, count in zip(states, counts, strict=True)]

    def _encode_whisper(self, waveform: np.ndarray, layers: list[int]) -> np.ndarray:
        """Whisper hears windows of fixed length (30 s): longer clips are cut, shorter ones padded by its extractor."""
        window, parts = self._features.n_samples, []
        for start in range(0, len(waveform), window):
            piece = waveform[start : start + window]
            inputs = self._features(piece, sampling_rate=SAMPLING_RATE, return_tensors="pt")
            frames = math.ceil(len(piece) / SAMPLING_RATE * self.frame_rate)
            parts.append(self._forward(inputs["input_features"], layers)[0, :frames])
        return np.concatenate(parts)

    def _forward(self, inputs: torch.Tensor, layers: list[int], **masks: torch.Tensor | None) -> np.ndarray:
        """Hidden states, float32 [batch, frames, layers, dimension]."""
        on_gpu = self._device.type == "cuda"
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=on_gpu):
            states = self._model(inputs.to(self._device), output_hidden_states=True, **masks).hidden_states
        return torch.stack([states[layer] for layer in layers], dim=2).float().cpu().numpy()


class _Graph(torch.nn.Module):
    """One waveform [samples] -> chosen hidden states [frames, layers, dimension]."""

    def __init__(self, model: torch.nn.Module, layers: Sequence[int], normalise: bool):
        super().__init__()
        self.model, self.layers, self.normalise = model, layers, normalise

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        if self.normalise:  # as the feature extractor does
            waveform = (waveform - waveform.mean()) / torch.sqrt(waveform.var(unbiased=False) + 1e-7)
        states = self.model(waveform[None], output_hidden_states=True).hidden_states
        return torch.stack([states[layer] for layer in self.layers], dim=2)[0]


def _load(name_or_path: str):
    """The feature extractor and the model, or an AgserError that says what to do."""
    try:
        features = transformers.AutoFeatureExtractor.from_pretrained(name_or_path)
        model, report = transformers.AutoModel.from_pretrained(
            name_or_path, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise AgserError(
            f"the encoder {name_or_path!r} can't be loaded: {str(error).splitlines()[0]} Give a local folder with "
            "config.json, preprocessor_config.json and the weights, or fetch it on a machine with network "
            f"(`hf download {name_or_path}`), or use the encoder 'embedded', which needs none"
        ) from error
    if model.config.model_type not in MODEL_TYPES:
        raise ConfigError(
            f"{name_or_path!r} is a model of type {model.config.model_type!r}: "
            f"agser encodes with {', '.join(MODEL_TYPES)}"
        )
    if features.sampling_rate != SAMPLING_RATE:
        raise ConfigError(f"{name_or_path!r} wants {features.sampling_rate} Hz: agser encodes at {SAMPLING_RATE} Hz")
    absent = [key for key in report["missing_keys"] if not key.endswith(_NOT_USED_HERE)]
    if absent:
        raise AgserError(
            f"the weights of {name_or_path!r} lack {len(absent)} tensors, such as {sorted(absent)[0]}, "
            "which would be random: give the complete model"
        )
    return features, model


def _chosen(layers: Sequence[int] | None, available: int, name: str) -> list[int]:
    if layers is None:
        return list(range(available))
    for layer in layers:
        if not -available <= layer < available:
            raise ConfigError(f"{name!r} has no layer {layer}: it has 0 to {available - 1}")
    if not layers:
        raise ConfigError(f"no layer of {name!r} is chosen: name some, or leave layers away for all")
    return [layer % available for layer in layers]


def _receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples under one frame of a stack of convolutions."""
    samples = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples
