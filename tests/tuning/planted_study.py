"""A small study on planted corpora: its data, its space, its settings."""

from agser_core.evaluation.loading import FoldData
from agser_core.evaluation.planted import Sizes, planted_pair
from agser_core.ser.settings import NetworkSettings, TrainSettings
from agser_core.tuning.space import parse_space
from agser_core.tuning.yaml_lines import Document

DIRECTIONS = [("a", "b")]
BASE = TrainSettings(
    network=NetworkSettings(width=16, feed_forward=32, classifier=16, transformer_layers=1, heads=2),
    epochs=3,
    batch_size=32,
    learning_rate=3e-3,
)
SPACE = """
learning_rate: {low: 1.0e-3, high: 1.0e-2, log: true}
anchor.form: {choice: [triplet, prototype]}
anchor.tau: {low: 0.05, high: 0.5, log: true, when: {anchor.form: prototype}}
"""


def folds(seed: int = 0) -> dict[int, FoldData]:
    pair = planted_pair("info", seed, Sizes((80, 4), (60, 4), (80, 4), (80, 4)))
    return {0: FoldData({"a": pair.source, "b": pair.target}, {"a": pair.source_partition, "b": pair.target_partition})}


def space():
    document = Document(SPACE, "space.yaml")
    return parse_space([(document, (), document.content)], BASE)
