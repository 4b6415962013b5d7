"""A model as ONNX, for where neither torch nor agser is installed: its head, and its encoder where that is a network.

Needs the extra `onnx`. The head takes phone vectors of one clip, the encoder its waveform. The embedded encoder is
signal processing in NumPy and has no ONNX form.
"""

from __future__ import annotations

import importlib.util
import io
import warnings

import torch
from torch import nn

from agser_core.bundle.model import one_clip
from agser_core.errors import AgserError
from agser_core.media import SAMPLING_RATE
from agser_core.ser.network import Batch, EmotionNetwork
from agser_core.speech import Encoder

HEAD, ENCODER = "head.onnx", "encoder.onnx"
_OPSET = 18
_MOST_PHONES = 4096  # of a clip: a minute has some 800
_SAMPLES = (800, 60 * SAMPLING_RATE)  # of a clip: 50 ms to a minute
_LARGEST = 2 * 10**9  # bytes; an ONNX file is one protobuf message, which ends at 2 GiB


class _Head(nn.Module):
    """Normalised phone vectors of one clip [phones, layers, dimension] -> probabilities [classes], clip [width]."""

    def __init__(self, network: EmotionNetwork):
        super().__init__()
        self.network = network

    def forward(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output = self.network(_Clip(**vars(one_clip(vectors))))
        return output.logits[0].softmax(0), output.clips[0]


class _Clip(Batch):
    """A batch of one clip whose length is read off the shape: one read off the data would be frozen in the graph."""

    @property
    def longest(self) -> int:
        return self.vectors.shape[0]


def exporter_is_there() -> bool:
    """Whether the extra `onnx` is installed."""
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript"))


def head_bytes(network: EmotionNetwork) -> bytes:
    """The ONNX file of a network in evaluation mode.

    Input `vectors`: float32 [phones, layers, dimension] as `Model.normalised` gives them, of any number of phones.
    Outputs: `probabilities` [classes], `embedding` [width]. Raises AgserError without the extra `onnx`.
    """
    example = torch.randn(7, *network.input_mean.shape, generator=torch.Generator().manual_seed(0))
    phones = torch.export.Dim("phones", min=1, max=_MOST_PHONES)
    return _exported(_Head(network).eval(), example, phones, "vectors", ["probabilities", "embedding"])


def encoder_bytes(encoder: Encoder) -> bytes:
    """The ONNX file of a pretrained encoder.

    Input `waveform`: float32 [samples] at 16 kHz in [-1, 1], 50 ms to a minute, of one clip. Output `frames`: float32
    [frames, layers, dimension], which pooling over each phone and `Model.normalised` make the head's input. Raises
    AgserError without the extra `onnx`, for the embedded encoder, for Whisper, and for weights of 2 GB or more.
    """
    if not encoder.pretrained:
        raise AgserError(
            f"the encoder {encoder.name!r} is signal processing in NumPy and has no ONNX form: "
            "export without it (export.encoder_onnx=false)"
        )
    module = encoder.graph()
    size = sum(weight.numel() * weight.element_size() for weight in module.parameters())
    if size > _LARGEST:
        raise AgserError(
            f"the weights of {encoder.name!r} take {size / 1e9:.1f} GB, an ONNX file ends at 2: export without it "
            "(export.encoder_onnx=false)"
        )
    example = 0.1 * torch.randn(SAMPLING_RATE, generator=torch.Generator().manual_seed(0))
    samples = torch.export.Dim("samples", min=_SAMPLES[0], max=_SAMPLES[1])
    return _exported(module, example, samples, "waveform", ["frames"])


def _exported(
    module: nn.Module, example: torch.Tensor, length: torch.export.Dim, takes: str, gives: list[str]
) -> bytes:
    """The file of a module of one tensor, whose first axis may have any length within the bounds."""
    if not exporter_is_there():
        raise AgserError("ONNX export needs the extra 'onnx': pip install 'agser[onnx]'")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)  # of the exporter to itself
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=[takes],
            output_names=gives,
            dynamic_shapes=({0: length},),
            opset_version=_OPSET,
            verbose=False,
        )
    sink = io.BytesIO()
    program.save(sink)
    return sink.getvalue()
