"""Frames that enter the encoder's top layers: stored by extraction, grouped by alike lengths, pooled over phones.

Letters in the shapes: F frames of all clips, D encoder dimension, C clips, P phones; in a group b clips, T frames of
the longest, n phones, S frames of these phones (a frame may count in two phones, or in none); in a batch N phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from agser_core.errors import ConfigError
from agser_core.ragged import ranges
from agser_core.speech import load_encoder

if TYPE_CHECKING:
    from agser_core.ser.dataset import SpeechData
    from agser_core.ser.settings import TrainSettings
    from agser_core.speech.top_layers import TopLayers

_FRAMES_AT_ONCE = 3000  # a minute of speech: bounds the memory of one pass of the layers
_LONGER = 1.25  # the longest of a group over its shortest: bounds the padding


@dataclass(frozen=True)
class Frames:
    """One hidden state of the encoder over the clips of a `SpeechData`, and which frames belong to which phone."""

    values: np.ndarray  # float16 [F, D], may be memory-mapped; never copied
    start: np.ndarray  # int64 [C] the clip's first frame among all
    count: np.ndarray  # int64 [C]
    span: np.ndarray  # int64 [P, 2] of the phone: first frame and one past the last, within its clip
    encoder: str
    layers: tuple[int, ...] | None
    frame_layer: int

    def take(self, clips: np.ndarray, phones: np.ndarray) -> Frames:
        """Those of some clips, whose phones are given."""
        return replace(self, start=self.start[clips], count=self.count[clips], span=self.span[phones])


@dataclass
class FrameGroup:
    """Clips of one corpus, of alike length, padded to the longest, and the phones in them."""

    values: Tensor  # float16 [b, T, D]
    valid: Tensor  # bool [b, T]
    row: Tensor  # int64 [S] place of each frame in [b * T]
    owner: Tensor  # int64 [S] the phone that it counts in, 0 .. n-1
    share: Tensor  # float32 [S] one over the number of that phone's frames
    phone: Tensor  # int64 [n] place of each phone in the batch
    clip: Tensor  # int64 [n] clip of each phone, 0 .. b-1
    centre: Tensor | None  # float32 [b, places, D] of each clip's normalisation
    scale: Tensor | None

    def to(self, device: torch.device | str) -> FrameGroup:
        moved = {
            name: tensor.to(device, non_blocking=True) for name, tensor in vars(self).items() if tensor is not None
        }
        return replace(self, **moved)


def frame_groups(data: SpeechData, clips: np.ndarray, first_phone: int, places: Sequence[int]) -> list[FrameGroup]:
    """The frames of clips (indices) of a corpus, whose phones stand in the batch from first_phone on, in clip order.

    places: the layers of a phone vector that are computed from them.
    """
    lengths, phones = data.frames.count[clips], data.lengths[clips]
    batch_start = first_phone + np.cumsum(phones) - phones
    order = np.argsort(lengths, kind="stable")
    in_order = lengths[order]
    # a new group every so many frames, and wherever the length has grown by so much
    keys = np.cumsum(in_order) // _FRAMES_AT_ONCE, np.floor(np.log(in_order) / np.log(_LONGER))
    cuts = np.flatnonzero(np.diff(keys).any(axis=0)) + 1
    return [_group(data, clips[members], batch_start[members], places) for members in np.split(order, cuts)]


def _group(data: SpeechData, clips: np.ndarray, batch_start: np.ndarray, places: Sequence[int]) -> FrameGroup:
    frames, of_clip = data.frames, np.arange(len(clips))
    lengths, phones = frames.count[clips], data.lengths[clips]
    longest = int(lengths.max())
    slot = ranges(of_clip * longest, lengths)
    values = np.zeros((len(clips) * longest, frames.values.shape[1]), dtype=frames.values.dtype)
    valid = np.zeros(len(clips) * longest, dtype=bool)
    values[slot] = frames.values[ranges(frames.start[clips], lengths)]
    valid[slot] = True
    clip = np.repeat(of_clip, phones)
    first, stop = frames.span[ranges(data.offsets[clips], phones)].T
    count = stop - first
    centre = scale = None
    if data.centre is not None:
        group = data.group[clips][:, None]
        centre, scale = (torch.from_numpy(part[group, list(places)]) for part in (data.centre, data.scale))
    return FrameGroup(
        values=torch.from_numpy(values).view(len(clips), longest, -1),
        valid=torch.from_numpy(valid).view(len(clips), longest),
        row=torch.from_numpy(ranges(clip * longest + first, count)),
        owner=torch.from_numpy(np.repeat(np.arange(len(clip)), count)),
        share=torch.from_numpy(np.repeat(1 / count, count).astype(np.float32)),
        phone=torch.from_numpy(ranges(batch_start, phones)),
        clip=torch.from_numpy(clip),
        centre=centre,
        scale=scale,
    )


def top_vectors(top: TopLayers, groups: Sequence[FrameGroup]) -> Tensor:
    """Normalised phone vectors of the layers that `top` computes, float32 [N, places, D], in the order of the batch."""
    pooled = []
    for group in groups:
        states = top(group.values.float(), group.valid).float().flatten(0, 1)[group.row]
        sums = states.new_zeros(len(group.phone), *states.shape[1:])
        means = sums.index_add(0, group.owner, states * group.share[:, None, None])
        if group.centre is not None:
            means = (means - group.centre[group.clip]) / group.scale[group.clip]
        pooled.append(means)
    return torch.cat(pooled)[torch.argsort(torch.cat([group.phone for group in groups]))]


def top_layers_of(settings: TrainSettings, *parts: SpeechData) -> TopLayers | None:
    """The pretrained layers that a fit on these clips trains; None where it trains none.

    Raises ConfigError where the frames that enter them were not stored.
    """
    if not settings.fine_tune:
        return None
    for data in parts:
        if data.frames is None:
            raise ConfigError(
                f"{data.corpus}: train.fine_tune needs the frames that enter the encoder's top layers, which were not "
                "stored: set extract.speech.frame_layer and extract again"
            )
    frames = parts[0].frames
    return load_encoder(frames.encoder, frames.layers, "cpu", frames.frame_layer).top_layers()
