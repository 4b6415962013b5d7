"""What an anchor method is, and what it gets to see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from agser_core.errors import ConfigError
from agser_core.ser.dataset import SpeechData


@dataclass
class View:
    """One corpus in one step, over all workers. Letters: B clips, N phones, H width."""

    data: SpeechData
    clip: np.ndarray  # int64 [B] indices into data's clips
    phone: np.ndarray  # int64 [N] indices into data's phones
    logits: Tensor  # [B, classes]
    clips: Tensor  # [B, H] pooled
    phones: Tensor  # [N, H] Transformer output
    inputs: Tensor  # [B, H] projected clip means, before the Transformer

    def vowels(self) -> Tensor:
        """Places of the vowels among the phones of the step, int64 [n]."""
        found = torch.from_numpy(np.flatnonzero(self.data.is_vowel[self.phone]))
        return found.to(self.phones.device)

    def clip_of_phone(self) -> np.ndarray:
        """Index into data's clips of each phone of the step, int64 [N]."""
        return np.repeat(self.clip, self.data.lengths[self.clip])


class Anchor(nn.Module):
    """One way to tie target clips to source clips.

    A subclass gives `loss`; where it needs them also own parameters (as of any Module), `layer_group` and
    `start_epoch`.
    """

    layer_group: slice | None = None  # the encoder layers that the network is to read; all where None

    def start_epoch(self, epoch: int, predict: Callable[[SpeechData], np.ndarray]) -> None:
        """Called before each epoch; `predict` gives class probabilities [C, classes] of the present network."""

    def loss(self, source: View, target: View, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Anchor loss of one step, weight included, and figures to log. progress: share of all steps done, 0 .. 1."""
        raise NotImplementedError


def refuse_labels(target: SpeechData) -> None:
    """The target's labels must be gone before training sees it."""
    if (target.emotion >= 0).any():
        raise ConfigError(f"{target.corpus}: target clips carry labels in training; pass target.without_labels()")
