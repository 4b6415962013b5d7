"""SAPA: speaker style-aware phoneme anchoring (Upadhyay, Busso, Lee, arXiv 2509.20373)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from agser_core.ser import styles
from agser_core.ser.anchors import losses
from agser_core.ser.anchors.base import Anchor, View
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import AnchorSettings, TrainSettings


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> StyleAnchor:
    """The method of the registry."""
    return StyleAnchor(source, target, settings.anchor, seed)


class StyleAnchor(Anchor):
    """Two triplets, in speaker space and in phone space, over emotion-specific communities of speakers.

        L = gamma (T(clip vectors; key = community) + T(vowel vectors; key = (community, vowel))) / 2

    T is `losses.triplet` with the margin of the settings. The community of a clip is its speaker's in its emotion;
    target clips use pseudo-labels, refreshed before each epoch, `balanced` and weighted by their probability. In the
    first epoch, before there is anything to predict with, there is no anchor. Communities without a source speaker
    anchor nobody.
    """

    def __init__(self, source: SpeechData, target: SpeechData, settings: AnchorSettings, seed: int):
        super().__init__()
        self.source, self.target, self.settings, self.seed = source, target, settings, seed
        self.source_vectors, self.target_vectors = styles.clip_vectors(source), styles.clip_vectors(target)
        self.n_phones = int(max(source.phone.max(), target.phone.max())) + 1
        self.table: pd.DataFrame | None = None  # the communities of the present epoch

    def start_epoch(self, epoch: int, predict: Callable[[SpeechData], np.ndarray]) -> None:
        """New pseudo-labels, new communities."""
        if epoch == 0:
            return
        probabilities = balanced(predict(self.target))
        emotions = (self.source.emotion.astype(np.int64), probabilities.argmax(1))
        nodes = [
            styles.style_nodes(vectors, data, emotion)
            for vectors, data, emotion in zip(
                (self.source_vectors, self.target_vectors), (self.source, self.target), emotions, strict=True
            )
        ]
        self.table = styles.style_table(pd.concat(nodes, ignore_index=True), self.settings.neighbours, self.seed)
        self.keys = [
            _clip_communities(self.table, data, emotion)
            for data, emotion in zip((self.source, self.target), emotions, strict=True)
        ]
        self.trust = [np.ones(len(self.source), np.float32), probabilities.max(1).astype(np.float32)]
        self.n_keys = int(self.table["community"].max()) + 1

    def loss(self, source: View, target: View, progress: float) -> tuple[torch.Tensor, dict[str, float]]:
        """Both triplets of one step."""
        if self.table is None:
            return source.clips.sum() * 0, {}
        clip_sides = [self._clips(side, view) for side, view in enumerate((source, target))]
        phone_sides = [self._vowels(side, view) for side, view in enumerate((source, target))]
        speaker, speaker_anchors = self._triplet(*clip_sides)
        phone, phone_anchors = self._triplet(*phone_sides)
        value = (speaker.loss + phone.loss) / 2
        return self.settings.gamma * value, {
            "anchor_loss": float(value.detach()),
            "active_share": phone.active_share,
            "separation": phone.separation,
            "anchors": float(phone_anchors),
            "speaker_active_share": speaker.active_share,
            "speaker_separation": speaker.separation,
            "speaker_anchors": float(speaker_anchors),
            "communities": float(self.n_keys),
        }

    def _clips(self, side: int, view: View) -> losses.Segments:
        return _segments(view.clips, self.keys[side][view.clip], self.trust[side][view.clip], self.n_keys)

    def _vowels(self, side: int, view: View) -> losses.Segments:
        vowels = view.vowels().cpu().numpy()
        phone = view.phone[vowels]
        clip = view.clip_of_phone()[vowels]
        community = self.keys[side][clip]
        key = np.where(community >= 0, community * self.n_phones + view.data.phone[phone], -1)
        return _segments(view.phones[view.vowels()], key, self.trust[side][clip], self.n_keys * self.n_phones)

    def _triplet(self, source: losses.Segments, anchors: losses.Segments) -> tuple[losses.Hinge, int]:
        usable = losses.usable(anchors, source)
        kept = losses.Segments(anchors.embeddings[usable], anchors.keys[usable], anchors.membership[usable])
        return losses.triplet(kept, source, self.settings.margin), len(kept.keys)


def balanced(probabilities: np.ndarray, rounds: int = 20) -> np.ndarray:
    """Probabilities [C, classes] scaled by class until all classes have the same mean; rows sum to 1.

    Distribution alignment (Berthelot et al., ReMixMatch, ICLR 2020) to equal classes, as the source is drawn ([ours]):
    under a raw shift a network calls nearly all target clips one emotion, and pseudo-labels would make that worse.

    >>> balanced(np.array([[0.9, 0.1], [0.8, 0.2]])).argmax(1).tolist()
    [0, 1]
    """
    found = probabilities.astype(np.float64)
    for _ in range(rounds):
        found = found / np.maximum(found.mean(0), 1e-12)
        found /= found.sum(1, keepdims=True)
    return found


def _clip_communities(table: pd.DataFrame, data: SpeechData, emotion: np.ndarray) -> np.ndarray:
    """Community of each clip's speaker in its emotion, int64 [C]; -1 for clips without an emotion."""
    own = table[table["corpus"] == data.corpus].set_index(["speaker", "emotion"])["community"]
    wanted = pd.MultiIndex.from_arrays([data.speaker, emotion])
    return own.reindex(wanted).fillna(-1).to_numpy(np.int64)


def _segments(embeddings: torch.Tensor, key: np.ndarray, trust: np.ndarray, n_keys: int) -> losses.Segments:
    """Segments with a key; membership = trust in the own key, so that it weighs the anchor."""
    device = embeddings.device
    chosen = torch.from_numpy(np.flatnonzero(key >= 0))
    keys, trust_tensor = torch.from_numpy(key)[chosen], torch.from_numpy(trust)[chosen]
    membership = torch.nn.functional.one_hot(keys, n_keys) * trust_tensor[:, None]
    return losses.Segments(embeddings[chosen.to(device)], keys.to(device), membership.to(device))
