"""Settings of one fit. Their descriptions are the help text of the command line."""

from difflib import get_close_matches
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agser_core.errors import ConfigError

METHOD_NAMES = (
    "ag", "hard_ag", "pa", "la", "sapa", "acoustic_clusters", "random_clusters", "mean_matching", "coral", "dann",
    "pseudo_labels",
)  # fmt: skip
"""The anchor methods. Their code is in `ser.anchors`, which this module must not import: every command reads it."""

GESTURE_METHODS = frozenset({"ag", "hard_ag", "random_clusters"})
"""Those that need a tracked mouth in both corpora."""

KEYED_METHODS = frozenset({"ag", "hard_ag", "pa", "acoustic_clusters", "random_clusters"})
"""Those whose loss has a form."""

Form = Literal["prototype", "triplet", "attention"]


def method_parts(name: str) -> list[tuple[str, Form | None]]:
    """Methods and forms in a name: `none`, one of METHOD_NAMES, one in a form of its own, a sum of such.

    Raises ConfigError for an unknown one, with the nearest known name.

    >>> method_parts("ag-triplet+la")
    [('ag', 'triplet'), ('la', None)]
    """
    parts = []
    for part in name.split("+"):
        method, _, form = part.partition("-")
        if method not in METHOD_NAMES and name != "none":
            near = get_close_matches(method, METHOD_NAMES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: none, {', '.join(METHOD_NAMES)}"
            raise ConfigError(f"unknown method {method!r}: {hint}")
        if form and (method not in KEYED_METHODS or form not in get_args(Form)):
            raise ConfigError(
                f"method {part!r}: {', '.join(sorted(KEYED_METHODS))} have the forms {', '.join(get_args(Form))}"
            )
        parts.append((method, form or None))
    return parts


class NetworkSettings(BaseModel):
    """Sizes of the classifier on phone vectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(256, ge=8, description="dimensions after the input projection; divisible by heads")
    transformer_layers: int = Field(2, ge=0, description="Transformer layers over the phones of a clip")
    heads: int = Field(4, ge=1, description="attention heads")
    feed_forward: int = Field(512, ge=8, description="hidden units of each Transformer layer")
    classifier: int = Field(128, ge=4, description="hidden units between the pooled clip and the emotions")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped in training")
    input_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the input's dimensions that a clip loses in training, all its phones alike; the fewer "
        "the clips, the more",
    )
    shrinkage: float | None = Field(
        None,
        gt=0,
        le=1,
        description="for some hundred clips: a linear path beside the Transformer, which starts at the discriminant of "
        "the source's clips with a covariance shrunk by so much; neither where not given",
    )


class AnchorSettings(BaseModel):
    """How target clips are tied to source clips. What the method `none` ignores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gamma: float = Field(1.0, ge=0, description="weight of the anchor loss: L = L_emotion + gamma * L_anchor")
    form: Form = Field(
        "attention",
        description="loss of the keyed methods. triplet: mean distance to the same key less that to the others, with a "
        "margin (the papers'); attention: the same, near segments weighing more; prototype: cross-entropy over the "
        "mean source vectors of the keys. A method named with its form, such as ag-triplet, keeps that one",
    )
    margin: float = Field(
        1.0,
        ge=0,
        description="triplet, attention: margin in cosine distance; small margins (0.2) are met early and idle",
    )
    weights: Literal["uniform", "membership", "overlap"] = Field(
        "membership",
        description="triplet, prototype: membership weighs segments by how surely they belong to their gesture (keys "
        "without memberships: uniform), overlap weighs anchors by how alike both corpora use their gesture",
    )
    tau: float = Field(0.2, gt=0, description="prototype: temperature of the cosine similarities")
    attention_tau: float = Field(0.3, gt=0, description="attention: temperature of the weights")
    coral_weight: float = Field(
        100.0, gt=0, description="coral, la: factor of the CORAL loss, which is about 1e-3 on unit-scale vectors"
    )
    dann_weight: float = Field(0.3, gt=0, description="dann: greatest scale of the reversed gradient")
    layer_groups: int = Field(
        3, ge=1, description="la: contiguous groups of encoder layers, of which the most alike one is anchored and read"
    )
    neighbours: int = Field(5, ge=1, description="sapa: nearest neighbours of a speaker in the graph of styles")
    detach_source: bool = Field(
        False, description="keyed methods: no anchor gradient into source segments: only the target moves"
    )


class TrainSettings(BaseModel):
    """One fit: network, optimiser, input normalisation, anchor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(
        "ag",
        description="anchor method: none, ag, hard_ag, pa, random_clusters, ...; join several with +, name a form "
        "other than anchor.form as in ag-triplet",
    )
    normalise: Literal["none", "corpus", "speaker"] = Field(
        "corpus",
        description="z-normalisation of the phone vectors without labels: by the corpus' training partition, or each "
        "speaker's own clips",
    )
    network: NetworkSettings = NetworkSettings()
    anchor: AnchorSettings = AnchorSettings()
    epochs: int = Field(15, ge=1, description="passes over the source clips")
    batch_size: int = Field(
        32, ge=4, description="source clips a step over all workers, equally many a class; as many target clips"
    )
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW")
    fine_tune: bool = Field(
        False,
        description="train the encoder's layers above extract.speech.frame_layer too, not the head alone on the frozen "
        "phone vectors",
    )
    encoder_learning_rate: float = Field(1e-5, gt=0, description="of AdamW for the encoder's layers, with fine_tune")
    weight_decay: float = Field(1e-2, ge=0, description="of AdamW")
    clip_gradient: float = Field(5.0, gt=0, description="greatest length of the whole gradient")
    keep: Literal["dev_uar", "dev_loss", "last"] = Field(
        "dev_uar", description="which epoch's weights are kept: best source-dev UAR, least source-dev loss, or the last"
    )
    train_on_dev: bool = Field(
        False,
        description="for some ten speakers, with keep=last: the dev speakers are trained on too, since nothing is "
        "chosen on them; figures of source dev then are of trained clips",
    )
    patience: int | None = Field(
        None, ge=1, description="stop after so many epochs without a better source dev; never where not given"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="arithmetic of the network's matrix products"
    )
    seed: int = Field(0, ge=0, description="seed of a single fit; the evaluation matrix has its own list of seeds")

    @model_validator(mode="after")
    def _nothing_is_chosen_on_trained_clips(self) -> "TrainSettings":
        if self.train_on_dev and (self.keep != "last" or self.patience is not None):
            raise ValueError("train_on_dev needs keep=last and no patience: an epoch can't be chosen on trained clips")
        return self

    @field_validator("method")
    @classmethod
    def _known_method(cls, method: str) -> str:
        return valid_method(method)


def valid_method(method: str) -> str:
    """`method_parts` for pydantic, which wants a ValueError; the name itself is returned."""
    try:
        method_parts(method)
        return method
    except ConfigError as error:
        raise ValueError(str(error)) from None
