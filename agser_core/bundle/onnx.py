"""The head of a model as ONNX: phone vectors of one clip to probabilities, where neither torch nor agser is installed.

Needs the extra `onnx`. The embedded encoder is signal processing in NumPy and has no ONNX form.
"""

from __future__ import annotations

import importlib.util
import io
import warnings

import torch
from torch import nn

from agser_core.bundle.model import one_clip
from agser_core.errors import AgserError
from agser_core.ser.network import EmotionNetwork

HEAD = "head.onnx"
_OPSET = 18
_MOST_PHONES = 4096  # of a clip: a minute has some 800


class _Head(nn.Module):
    """Normalised phone vectors of one clip [phones, layers, dimension] -> probabilities [classes], clip [width]."""

    def __init__(self, network: EmotionNetwork):
        super().__init__()
        self.network = network

    def forward(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output = self.network(_Clip(**vars(one_clip(vectors))))
        return output.logits[0].softmax(0), output.clips[0]


class _Clip:
    """A batch of one clip whose length is read off the shape: one read off the data would be frozen in the graph."""

    def __init__(self, vectors, clip, position, n_clips):
        self.vectors, self.clip, self.position, self.n_clips = vectors, clip, position, n_clips

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
    if not exporter_is_there():
        raise AgserError("ONNX export needs the extra 'onnx': pip install 'agser[onnx]'")
    example = torch.randn(7, *network.input_mean.shape, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)  # of the exporter to itself
        program = torch.onnx.export(
            _Head(network).eval(),
            (example,),
            dynamo=True,
            input_names=["vectors"],
            output_names=["probabilities", "embedding"],
            dynamic_shapes=({0: torch.export.Dim("phones", min=1, max=_MOST_PHONES)},),
            opset_version=_OPSET,
            verbose=False,
        )
    sink = io.BytesIO()
    program.save(sink)
    return sink.getvalue()
