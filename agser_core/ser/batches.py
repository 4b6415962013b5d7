"""From clip indices to tensors: a few array operations a step, no loop over clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from agser_core.ser.dataset import SpeechData, phones_of
from agser_core.ser.frames import frame_groups
from agser_core.ser.network import Batch


def make_batch(
    parts: list[tuple[SpeechData, np.ndarray]], device: torch.device | str = "cpu", tuned: Sequence[int] = ()
) -> Batch:
    """Clips (indices [B_i]) of one or more corpora as one batch, in the given order.

    tuned: the layers of a phone vector for which the network needs frames (`EmotionNetwork.tuned`).
    """
    vectors = [data.read(phones_of(data.offsets, clips)) for data, clips in parts]
    lengths = np.concatenate([data.lengths[clips] for data, clips in parts])
    clip = np.repeat(np.arange(len(lengths)), lengths)
    position = np.arange(len(clip)) - (np.cumsum(lengths) - lengths)[clip]
    joined = vectors[0] if len(vectors) == 1 else np.concatenate(vectors)
    tensors = (torch.from_numpy(array).to(device, non_blocking=True) for array in (joined, clip, position))
    batch = Batch(*tensors, n_clips=len(lengths))
    if tuned:
        first_phone = 0
        for (data, clips), own in zip(parts, vectors, strict=True):
            batch.groups += [group.to(device) for group in frame_groups(data, clips, first_phone, tuned)]
            first_phone += len(own)
    return batch
