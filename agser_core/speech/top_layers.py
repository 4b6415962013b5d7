"""The top layers of a pretrained encoder by themselves, to be trained: wav2vec 2.0, XLS-R, HuBERT, WavLM."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import transformers
from torch import Tensor, nn
from transformers.masking_utils import create_bidirectional_mask


class TopLayers(nn.Module):
    """The layers above one hidden state, up to the highest chosen one: the model's own modules, not copies.

    They compute as in the frozen encoder: dropout and layer drop stay off in training too, so that their numbers are
    functions of the frames alone, on any number of workers.
    """

    def __init__(self, model: transformers.PreTrainedModel, frame_layer: int, layers: Sequence[int]):
        """frame_layer: the hidden state that enters. layers: the encoder's chosen hidden states, one of them above."""
        super().__init__()
        encoder, self._config = model.encoder, model.config
        self.places = tuple(place for place, layer in enumerate(layers) if layer > frame_layer)
        self._depths = [layers[place] - frame_layer for place in self.places]
        self.layers = nn.ModuleList(encoder.layers[frame_layer : max(layers)])
        self.requires_grad_(True)
        self._is_wavlm = self._config.model_type == "wavlm"
        if self._is_wavlm and frame_layer > 0:
            # The position bias of all layers is layer 0's, computed by whichever comes first; its table stays frozen.
            table = encoder.layers[0].attention.rel_attn_embed.requires_grad_(False)
            self.layers[0].attention.rel_attn_embed = table
        self.train()

    def train(self, mode: bool = True) -> TopLayers:
        """Stays in evaluation mode."""
        return super().train(False)

    def forward(self, frames: Tensor, valid: Tensor) -> Tensor:
        """float32 [clips, frames, dimension], bool [clips, frames] -> [clips, frames, len(places), dimension].

        places: which of the encoder's chosen layers these are, as indices into the layers of a phone vector.
        """
        if self._is_wavlm:
            mask = valid.long()
        else:
            mask = create_bidirectional_mask(config=self._config, inputs_embeds=frames, attention_mask=valid.long())
        states, bias = [], None
        for layer in self.layers:
            if self._is_wavlm:
                frames, bias = layer(frames, attention_mask=mask, position_bias=bias)
            else:
                frames = layer(frames, attention_mask=mask)
            states.append(frames)
        return torch.stack([states[depth - 1] for depth in self._depths], dim=2)
