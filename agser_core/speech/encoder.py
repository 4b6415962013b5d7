"""What every speech encoder offers, and how one is chosen by name."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from agser_core.errors import ConfigError
from agser_core.storage import Location

EMBEDDED = "embedded"


class Encoder(Protocol):
    """Waveforms to frame vectors. A clip's vectors never depend on the other clips of its batch."""

    name: str  # "embedded", or the model's hub id or path
    n_layers: int
    dimension: int  # of each layer
    frame_rate: float  # frames a second
    pretrained: bool  # False: hand-crafted descriptors without learned weights

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Mono waveforms at 16 kHz, float32 [n] in [-1, 1], to float32 [n_frames, n_layers, dimension] each.

        Frame i describes the speech around (i + 0.5) / frame_rate seconds. Raises ClipError (class "encoder") for a
        waveform too short for one frame.
        """
        ...


def encoder_folder(name_or_path: str) -> str | None:
    """The local folder of an encoder, found as other places of an experiment are (relative to where the command was
    given, `~` expanded); None for the embedded one and for a hub id."""
    if name_or_path == EMBEDDED:
        return None
    folder = Location.parse(name_or_path)
    return folder.path if folder.is_local and folder.is_folder() else None


def load_encoder(
    name_or_path: str = EMBEDDED,
    layers: Sequence[int] | None = None,
    device: str = "auto",
    frame_layer: int | None = None,
) -> Encoder:
    """The encoder of that name: "embedded", or a transformers model by hub id or local folder.

    layers: which to keep, in this order, 0 = what enters the first Transformer layer, negative from the end; all where
    None. device: cpu, cuda, cuda:1, ... or auto: cuda where there is one. frame_layer: with it a pretrained encoder
    also gives the frames of that layer (`encode_with_frames`) and the layers above it (`top_layers`). Raises
    ConfigError for layers that the encoder lacks, AgserError for a model that can't be loaded.
    """
    if name_or_path == EMBEDDED:
        from agser_core.speech.embedded import EmbeddedEncoder

        if layers is not None and list(layers) not in ([0], [-1]):
            raise ConfigError(f"the embedded encoder has one layer, 0: layers {list(layers)} can't be chosen")
        if frame_layer is not None:
            raise ConfigError(
                "the embedded encoder has no layers to fine-tune: leave extract.speech.frame_layer away, or name a "
                "pretrained one in extract.speech.encoder"
            )
        return EmbeddedEncoder()
    from agser_core.speech.transformers_encoder import TransformersEncoder

    return TransformersEncoder(name_or_path, layers, device, frame_layer)
