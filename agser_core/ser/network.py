"""The classifier: phone vectors of a clip to emotion logits (METHOD: learned layer sum, projection, Transformer,
pooling).

Letters in the shapes: N phones of the batch laid end to end (no padding), B clips, L encoder layers, D encoder
dimension, H width, T phones of the longest clip. Only attention needs the padded view; everything else runs on the N
phones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from agser_core.ser.frames import FrameGroup, top_vectors
from agser_core.ser.settings import NetworkSettings

if TYPE_CHECKING:  # imports transformers
    from agser_core.speech.top_layers import TopLayers


@dataclass
class Batch:
    """Clips ready for the network."""

    vectors: Tensor  # float [N, L, D]
    clip: Tensor  # int64 [N] clip of each phone, 0 .. B-1
    position: Tensor  # int64 [N] place of the phone in its clip
    n_clips: int
    groups: list[FrameGroup] = field(default_factory=list)  # of all its clips, where the encoder is fine-tuned

    @property
    def longest(self) -> int:
        return int(self.position.max()) + 1


@dataclass
class Output:
    """What one forward pass yields."""

    logits: Tensor  # [B, classes]
    clips: Tensor  # [B, H] pooled
    phones: Tensor  # [N, H] Transformer output: where the anchors act
    inputs: Tensor  # [B, H] projected clip means before the Transformer


class Masks:
    """Dropout masks drawn for the whole global batch, of which a worker keeps its own rows.

    So the masks depend on the seed and the place in the global batch, never on the number of workers.
    """

    def __init__(
        self, settings: NetworkSettings, seed: int, phone_rows: Tensor, n_phones: int, clip_rows: Tensor, n_clips: int
    ):
        """phone_rows, clip_rows: places of this worker's phones and clips among all n_phones, n_clips of the step."""
        self.generator = torch.Generator(phone_rows.device).manual_seed(seed)
        self.drawn = {
            "phone": (phone_rows, n_phones, settings.dropout),
            "clip": (clip_rows, n_clips, settings.dropout),
            "input": (clip_rows, n_clips, settings.input_dropout),
        }

    def __call__(self, values: Tensor, kind: str) -> Tensor:
        """values [rows, features] with a share of them zeroed, the rest scaled by 1 / (1 - share).

        kind: "phone" or "clip", what a row is; "input" is a clip too, with a share of its own.
        """
        rows, count, rate = self.drawn[kind]
        if rate == 0:
            return values
        draw = torch.rand(count, values.shape[1], generator=self.generator, device=values.device)
        kept = (draw if len(rows) == count else draw[rows]) >= rate
        return values * kept.to(values.dtype) / (1 - rate)


def no_dropout(values: Tensor, kind: str) -> Tensor:
    """Stands for `Masks` in prediction."""
    return values


class TransformerLayer(nn.Module):
    """Post-norm Transformer layer (Vaswani et al. 2017), ReLU, on phones laid end to end.

    The arithmetic of `torch.nn.TransformerEncoderLayer` with dropout on both residual branches and the hidden units,
    not on attention weights. Ours because the library's one computes padding too and draws dropout from the global
    generator.
    """

    def __init__(self, width: int, heads: int, feed_forward: int):
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.first, self.second = nn.Linear(width, feed_forward), nn.Linear(feed_forward, width)
        self.norm_attention, self.norm_feed_forward = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, phones: Tensor, slot: Tensor, valid: Tensor, drop) -> Tensor:
        """phones [N, H], slot int64 [N] place of each in the padded [B * T], valid bool [B, T] -> [N, H]."""
        clips, longest = valid.shape
        mixed = self.query_key_value(phones)
        padded = mixed.new_zeros(clips * longest, mixed.shape[1]).index_copy(0, slot, mixed)
        query, key, value = padded.view(clips, longest, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(query, key, value, attn_mask=valid[:, None, None])
        heard = heard.transpose(1, 2).reshape(clips * longest, -1)[slot]
        phones = self.norm_attention(phones + drop(self.attended(heard), "phone"))
        hidden = drop(functional.relu(self.first(phones)), "phone")
        return self.norm_feed_forward(phones + drop(self.second(hidden), "phone"))


class EmotionNetwork(nn.Module):
    """Learned sum of encoder layers -> Linear H -> Transformer -> attentive pooling -> hidden -> classes.

    With `settings.shrinkage` a linear path leads beside that from the clip means of the projection to the classes: the
    one that `discriminant.start_at_discriminant` sets. With `top`, layers of the encoder that are trained too, the
    phone vectors of these layers are computed from frames; the others are the stored ones.
    """

    def __init__(
        self, layers: int, dimension: int, classes: int, settings: NetworkSettings, top: TopLayers | None = None
    ):
        super().__init__()
        self.top = top
        # inputs are standardised by the source training clips: one map for all corpora, the shift between them stays
        self.register_buffer("input_mean", torch.zeros(layers, dimension))
        self.register_buffer("input_deviation", torch.ones(layers, dimension))
        self.register_buffer("layer_mask", torch.zeros(layers))  # -inf for layers that are not read
        self.layer_weights = nn.Parameter(torch.zeros(layers))
        self.project = nn.Linear(dimension, settings.width)
        self.transformer = nn.ModuleList(
            TransformerLayer(settings.width, settings.heads, settings.feed_forward)
            for _ in range(settings.transformer_layers)
        )
        self.attention = nn.Linear(settings.width, 1, bias=False)  # a bias would cancel in the softmax
        self.hidden = nn.Linear(settings.width, settings.classifier)
        self.classify = nn.Linear(settings.classifier, classes)
        self.linear = None if settings.shrinkage is None else nn.Linear(settings.width, classes, bias=False)

    def read_only(self, layer_group: slice) -> None:
        """Read a group of encoder layers alone."""
        self.layer_mask[:] = -torch.inf
        self.layer_mask[layer_group] = 0.0

    @property
    def tuned(self) -> tuple[int, ...]:
        """The layers of a phone vector that the network computes from frames."""
        return () if self.top is None else self.top.places

    def forward(self, batch: Batch, drop=no_dropout) -> Output:
        """drop: `Masks` in training."""
        vectors = batch.vectors
        if self.top is not None:
            places = torch.tensor(self.tuned, device=vectors.device)
            vectors = vectors.index_copy(1, places, top_vectors(self.top, batch.groups))
        layers = (vectors - self.input_mean) / self.input_deviation
        weights = (self.layer_weights + self.layer_mask).softmax(0)
        summed = torch.einsum("nld,l->nd", layers, weights)
        kept = drop(summed.new_ones(batch.n_clips, summed.shape[1]), "input")
        projected = self.project(summed * kept[batch.clip])

        longest = batch.longest
        slot = batch.clip * longest + batch.position
        valid = torch.zeros(batch.n_clips * longest, dtype=torch.bool, device=slot.device)
        valid[slot] = True
        valid = valid.view(batch.n_clips, longest)
        phones = projected
        for layer in self.transformer:
            phones = layer(phones, slot, valid, drop)

        heard = self.attention(phones).squeeze(-1).to(phones.dtype)
        scores = phones.new_full((batch.n_clips * longest,), -torch.inf)
        scores = scores.index_copy(0, slot, heard).view(batch.n_clips, longest)
        share = scores.softmax(1).flatten()[slot]
        clips = phones.new_zeros(batch.n_clips, phones.shape[1]).index_add(0, batch.clip, phones * share[:, None])
        inputs = clip_means(projected, batch)
        logits = self.classify(drop(functional.relu(self.hidden(clips)), "clip"))
        if self.linear is not None:
            logits = logits + self.linear(inputs)
        return Output(logits, clips, phones, inputs)


def clip_means(phones: Tensor, batch: Batch) -> Tensor:
    """Mean over the phones of each clip, [N, H] -> [B, H]."""
    totals = phones.new_zeros(batch.n_clips, phones.shape[1]).index_add(0, batch.clip, phones)
    return totals / torch.bincount(batch.clip, minlength=batch.n_clips)[:, None]
