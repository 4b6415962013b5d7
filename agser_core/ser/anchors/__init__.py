"""The anchor methods. To add one: write a module with `build(source, target, settings, seed) -> Anchor`, name it in
METHODS here and in `ser.settings`.

`source` are the labelled source training clips, `target` the target training clips without labels.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from agser_core.ser.anchors import (
    acoustic_clusters,
    ag,
    coral,
    dann,
    hard_ag,
    la,
    mean_matching,
    pa,
    pseudo_labels,
    random_clusters,
    sapa,
)
from agser_core.ser.anchors.base import Anchor, View, refuse_labels
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import Form, TrainSettings, method_parts

METHODS: dict[str, Callable[[SpeechData, SpeechData, TrainSettings, int], Anchor]] = {
    "ag": ag.build,
    "hard_ag": hard_ag.build,
    "pa": pa.build,
    "la": la.build,
    "sapa": sapa.build,
    "acoustic_clusters": acoustic_clusters.build,
    "random_clusters": random_clusters.build,
    "mean_matching": mean_matching.build,
    "coral": coral.build,
    "dann": dann.build,
    "pseudo_labels": pseudo_labels.build,
}


def build_anchor(settings: TrainSettings, source: SpeechData, target: SpeechData, seed: int) -> Anchor | None:
    """The anchor of `settings.method`; None for `none` (training on the source alone)."""
    wanted = method_parts(settings.method)
    if settings.method == "none":
        return None
    refuse_labels(target)
    parts = {
        name if form is None else f"{name}-{form}": METHODS[name](source, target, _in_form(settings, form), seed)
        for name, form in wanted
    }
    return next(iter(parts.values())) if len(parts) == 1 else Sum(parts)


def _in_form(settings: TrainSettings, form: Form | None) -> TrainSettings:
    if form is None:
        return settings
    return settings.model_copy(update={"anchor": settings.anchor.model_copy(update={"form": form})})


class Sum(Anchor):
    """Several anchors at once: their losses are added."""

    def __init__(self, parts: dict[str, Anchor]):
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        groups = [part.layer_group for part in parts.values() if part.layer_group is not None]
        self.layer_group = groups[0] if groups else None

    def start_epoch(self, epoch, predict) -> None:
        """Starts every part."""
        for part in self.parts.values():
            part.start_epoch(epoch, predict)

    def loss(self, source: View, target: View, progress: float) -> tuple[Tensor, dict[str, float]]:
        """The sum; logs of the first part bear plain names, those of later parts are prefixed by their method."""
        total, logs = 0.0, {}
        for index, (name, part) in enumerate(self.parts.items()):
            value, figures = part.loss(source, target, progress)
            total = total + value
            logs |= figures if index == 0 else {f"{name}_{key}": figure for key, figure in figures.items()}
        return total, logs
