"""AG: articulatory gestures as keys (Upadhyay et al., ICASSP 2025, arXiv 2412.19909)."""

from agser_core.ser.anchors.keyed import KeyedAnchor, Keys
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import TrainSettings


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> KeyedAnchor:
    """k(segment) = its gesture cluster, with the clustering's memberships as soft weights."""
    keys = (Keys(data.gesture, data.membership if data.membership.shape[1] else None) for data in (source, target))
    return KeyedAnchor("ag", *keys, settings.anchor)
