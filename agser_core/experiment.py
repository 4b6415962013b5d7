"""One experiment = one YAML file: the settings of every stage, checked before anything runs."""

import difflib
import re
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agser_core.corpora import MODULES
from agser_core.errors import ConfigError
from agser_core.ser.settings import TrainSettings, valid_method
from agser_core.storage import Location


class Settings(BaseModel):
    """Base of all groups of settings: unknown keys are errors, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SampleSettings(Settings):
    """The generated corpora that `agser sample` makes."""

    folder: str = Field("data/sample", description="where the corpora are written; one folder each below it")
    speakers: int = Field(6, ge=3, description="speakers a corpus")
    sentences: int = Field(4, ge=1, description="sentences each speaker says in each of the four emotions")
    seed: int = Field(0, description="same seed, same clips")


class CorpusSettings(Settings):
    """Where one corpus lies and how its files are read."""

    adapter: str = Field(description="which grammar of files: sample, manifest, ravdess, grid, emodb, crema_d, ...")
    path: str = Field(description="folder or file; local or s3://bucket/prefix")
    options: dict = Field(default_factory=dict, description="the adapter's own options, such as a label rule")

    @field_validator("adapter")
    @classmethod
    def _known_adapter(cls, adapter: str) -> str:
        if adapter not in MODULES:
            near = difflib.get_close_matches(adapter, MODULES, n=1)
            raise ValueError(f"no such adapter; did you mean {near[0]!r}?" if near else f"known: {', '.join(MODULES)}")
        return adapter


class MouthSettings(Settings):
    """From landmarks to mouth trajectories."""

    source: Literal["mediapipe", "openface"] = Field("mediapipe", description="who finds the landmarks")
    openface_folder: str | None = Field(None, description="folder with one OpenFace CSV a clip: CLIP_ID.csv")
    openface_program: str | None = Field(
        None, description="OpenFace's FeatureExtraction by name or path, run on every clip instead of openface_folder"
    )
    origin: Literal["mouth", "eyes"] = Field(
        "mouth",
        description="origin of the coordinates: the clip's mouth centroid, or the eye midpoint (keeps identity)",
    )
    max_side: int = Field(960, ge=64, description="frames are scaled at decoding so that no side is longer, in pixels")

    @model_validator(mode="after")
    def _folder_for_openface(self) -> "MouthSettings":
        given = [self.openface_folder, self.openface_program]
        if self.source == "openface" and sum(map(bool, given)) != 1:
            raise ValueError(
                "the source openface needs openface_folder, the folder with one CSV a clip, or openface_program, which "
                "is run on every clip: give one of them"
            )
        return self


class PhoneSettings(Settings):
    """From speech to phone times."""

    source: Literal["auto", "aligner", "mfa"] = Field(
        "auto",
        description="auto: the corpus' own phone times where it has some, else the aligner; aligner: always; "
        "mfa: always the Montreal Forced Aligner, where it is installed",
    )
    dictionary: str | None = Field(None, description="further pronunciations, in the format of the CMU dictionary")
    mfa_program: str = Field("mfa", description="the Montreal Forced Aligner by name or path")
    mfa_dictionary: str = Field("english_us_arpa", description="its pronunciation dictionary, ARPABET or IPA")
    mfa_acoustic_model: str = Field("english_us_arpa", description="its acoustic model, of the dictionary's phones")
    reduce_stressed_ah: bool = Field(False, description="count stressed AH as the vowel ə too")
    all_mouths: bool = Field(False, description="keep the mouth of every phone, not of the six vowels only")


class SpeechSettings(Settings):
    """From speech to phone vectors."""

    encoder: str = Field("embedded", description="embedded (no pretrained weights), or a Hugging Face id or local path")
    layers: list[int] | None = Field(None, description="encoder layers to keep; all where not given")
    frame_layer: int | None = Field(
        None,
        description="for train.fine_tune: the encoder layer (0: what enters the first) whose frames are stored too, so "
        "that the layers above it can be trained; negative from the end",
    )
    device: str = Field("auto", description="cpu, cuda, or auto: cuda where there is one")


class ExtractSettings(Settings):
    """Decode, track, align, encode."""

    mouth: MouthSettings = MouthSettings()
    phones: PhoneSettings = PhoneSettings()
    speech: SpeechSettings = SpeechSettings()
    clips_per_unit: int = Field(8, ge=1, description="clips that are committed together; more in a very large corpus")
    clip_seconds_limit: float = Field(
        300, gt=0, description="a clip that takes longer is given up; so is one whose decoder or tracker crashes"
    )
    recycle_after: int = Field(1000, ge=1, description="clips after which a worker's native code is started afresh")
    failure_budget: float = Field(
        0.05, ge=0, le=1, description="share of clips that may fail before the exit code is 1"
    )


class SplitSettings(Settings):
    """Speaker-disjoint partitions of every corpus."""

    by: Literal["speakers", "corpus"] = Field(
        "speakers", description="speakers: dealt into groups; corpus: every corpus' own folds or published partitions"
    )
    groups: int = Field(6, ge=3, description="the speakers of a corpus are dealt into so many groups")
    test_groups: int = Field(2, ge=1, description="groups that a fold tests on; one more is dev, the rest is train")
    folds: int = Field(1, ge=1, description="how many folds are run, each with other test speakers")
    seed: int = Field(0, description="deals the speakers")

    @model_validator(mode="after")
    def _groups_suffice(self) -> "SplitSettings":
        if self.by == "corpus":  # how many folds there are is the corpora's to say
            return self
        if self.groups < self.test_groups + 2 or self.folds > self.groups // self.test_groups:
            raise ValueError(
                f"{self.groups} groups by {self.test_groups} for test make {self.groups // self.test_groups} folds, "
                f"and need two groups more for dev and train; folds is {self.folds}"
            )
        return self


class ClusterSettings(Settings):
    """Soft-DTW k-means of mouth segments."""

    n_clusters: int | None = Field(None, ge=2, description="number of gestures; by the elbow where not given")
    candidates: list[int] = Field([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], description="what the elbow chooses from")
    gamma: float | None = Field(
        None, gt=0, description="smoothing in squared inter-pupil units; by the median heuristic where not given"
    )
    gamma_share: float = Field(
        0.1, gt=0, description="what the heuristic takes of the median squared distance between frames"
    )
    metric: Literal["divergence", "soft_dtw"] = Field("divergence", description="what assigns segments to gestures")
    restarts: int = Field(4, ge=1, description="starts, of which the best is kept")
    max_iterations: int = Field(50, ge=1, description="iterations of one start at the most")
    transductive: bool = Field(False, description="fit on dev and test segments too; named in the report")
    seed: int = 0


class AnalyseSettings(Settings):
    """What the gestures say."""

    permutations: int = Field(1000, ge=1, description="draws of each null")
    bootstrap: int = Field(1000, ge=1, description="draws of each interval")
    confidence: float = Field(0.95, gt=0, lt=1, description="level of the intervals")


class TrainStageSettings(TrainSettings):
    """One fit of `agser train`: where it goes and how it is trained."""

    direction: str | None = Field(
        None, description="such as alder->birch; from the first to the last corpus where not given"
    )
    fold: int = Field(0, ge=0, description="which fold of the split")

    def fit_settings(self) -> TrainSettings:
        """What every fit has, also those of the evaluation matrix."""
        return TrainSettings(**self.model_dump(exclude={"direction", "fold"}))

    @field_validator("direction")
    @classmethod
    def _two_corpora(cls, direction: str | None) -> str | None:
        if direction is not None and direction.count("->") != 1:
            raise ValueError("write a direction as source->target")
        return direction


class EvaluateSettings(Settings):
    """Directions x methods x seeds."""

    methods: list[str] = Field(
        ["none", "ag", "ag-triplet", "hard_ag", "pa", "random_clusters"], description="rows of the results"
    )
    directions: list[str] | None = Field(
        None, description="such as alder->birch; both ways and both upper bounds where not given"
    )
    tasks: list[Literal["all", "neutral", "anger", "happiness", "sadness"]] = Field(
        ["all"],
        description="all: one network of four classes, whose decisions also give the one-vs-rest figures; an emotion: "
        "binary networks of their own, that emotion against the rest",
    )
    seeds: list[int] = Field([0, 1, 2], description="one fit a seed in every cell")
    baseline: str = Field("none", description="the method that the others are compared with")
    bootstrap: int = Field(1000, ge=1, description="draws of each interval")

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, methods: list[str]) -> list[str]:
        return [valid_method(method) for method in methods]

    @field_validator("methods", "directions", "tasks", "seeds")
    @classmethod
    def _once_each(cls, values: list | None) -> list | None:
        """Clips of a cell that is run twice would count twice."""
        for value in values or ():
            if values.count(value) > 1:
                raise ValueError(f"{value!r} is given twice")
        return values

    @model_validator(mode="after")
    def _baseline_is_run(self) -> "EvaluateSettings":
        if self.baseline not in self.methods:
            raise ValueError(f"the baseline {self.baseline!r} is not among the methods {', '.join(self.methods)}")
        return self


class ExportSettings(Settings):
    """The bundle of the trained model."""

    encoder_onnx: bool = Field(False, description="a pretrained encoder as encoder.onnx too; mind its licence and size")


class RaySettings(Settings):
    """What the stages take of the Ray cluster. Never part of a result's identity."""

    address: str | None = Field(None, description="a running cluster; a local one is started where not given")
    extract_workers: int | None = Field(
        None, ge=1, description="extraction actors; one a CPU where not given; to be set where the cluster scales"
    )
    extract_memory_gb: float = Field(1.5, gt=0, description="memory reserved for one extraction actor")
    extract_gpus: float = Field(0, ge=0, description="GPUs of one extraction actor; fractions share a GPU")
    cluster_workers: int | None = Field(
        None,
        ge=1,
        description="actors that hold the segments while gestures are fitted; where not given, one a CPU for a million "
        "segments or more, and none for fewer: the command holds them itself. The gestures are the same",
    )
    train_workers: int = Field(1, ge=1, description="data-parallel workers of `agser train`")
    train_gpus: float = Field(0, ge=0, description="GPUs of one training worker")
    train_logs: list[Literal["tensorboard", "mlflow"]] = Field(
        ["tensorboard"],
        description="who else gets each epoch's figures of `agser train`: TensorBoard in files beside the output, "
        "MLflow at MLFLOW_TRACKING_URI (extra mlflow)",
    )
    evaluate_cpus: float = Field(1, gt=0, description="CPUs of one cell of the evaluation matrix")
    evaluate_gpus: float = Field(
        0, ge=0, description="GPUs of one cell, for a fine-tuned encoder; fractions share a GPU"
    )


class Experiment(Settings):
    """Everything a run depends on."""

    name: str = Field(description="names the run in the report")
    output: str = Field(description="root of all outputs: local folder or s3://bucket/prefix")
    sample: SampleSettings = SampleSettings()
    corpora: dict[str, CorpusSettings] = Field(min_length=1, description="the corpora; names of letters, digits, _, -")
    extract: ExtractSettings = ExtractSettings()
    split: SplitSettings = SplitSettings()
    cluster: ClusterSettings = ClusterSettings()
    analyse: AnalyseSettings = AnalyseSettings()
    train: TrainStageSettings = TrainStageSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    export: ExportSettings = ExportSettings()
    ray: RaySettings = RaySettings()

    @property
    def is_generated(self) -> bool:
        """Whether all corpora are generated ones, with the truth beside them."""
        return all(corpus.adapter == "sample" for corpus in self.corpora.values())

    @field_validator("output")
    @classmethod
    def _absolute(cls, output: str) -> str:
        """Workers run elsewhere: a relative folder means the one seen from where the command was given."""
        return Location.parse(output).uri

    @field_validator("corpora")
    @classmethod
    def _plain_names(cls, corpora: dict[str, CorpusSettings]) -> dict[str, CorpusSettings]:
        """Names of corpora are parts of folders, of files and of directions."""
        for name in corpora:
            if not re.fullmatch(r"[\w-]+", name):
                raise ValueError(f"the corpus name {name!r} may have letters, digits, _ and - only")
        return corpora

    @model_validator(mode="after")
    def _known_corpora(self) -> "Experiment":
        directions = [self.train.direction, *(self.evaluate.directions or ())]
        for corpus in "->".join(direction for direction in directions if direction).split("->"):
            if corpus and corpus not in self.corpora:
                raise ValueError(f"a direction names {corpus!r}, corpora has {', '.join(self.corpora)}")
        return self

    @model_validator(mode="after")
    def _fine_tuning_has_frames(self) -> "Experiment":
        if self.train.fine_tune and self.extract.speech.frame_layer is None:
            raise ValueError(
                "train.fine_tune trains the encoder's layers above extract.speech.frame_layer, which is not set: name "
                "the layer whose frames the extraction is to store, such as -4 to train the top three"
            )
        return self

    @model_validator(mode="after")
    def _known_folds(self) -> "Experiment":
        if self.train.fold >= self.split.folds:
            raise ValueError(
                f"train.fold is {self.train.fold}, but split.folds is {self.split.folds}: folds count from 0"
            )
        return self


def load_experiment(path: str, overrides: tuple[str, ...] = ()) -> Experiment:
    """Read an experiment file, local or on S3, and apply overrides such as `cluster.n_clusters=8`.

    Raises ConfigError that names the file, the key, the nearest right key and what is wrong with the value.
    """
    on_s3 = path.startswith("s3://")  # such as the winner of a study
    if not on_s3 and not Path(path).is_file():
        raise ConfigError(f"{path}: no such experiment file. Ready ones lie in tune_configs/experiments/")
    try:
        content = yaml.safe_load(Location.parse(path).read_text() if on_s3 else Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys such as name, output, corpora")
    for override in overrides:
        _apply(content, override)
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {_explain(detail)}" for detail in error.errors())) from None


def _apply(content: dict, override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator:
        raise ConfigError(f"override {override!r}: write it as key=value, for example train.epochs=5")
    *groups, last = key.split(".")
    for group in groups:
        if content.get(group) is None:  # absent, or a group without a line
            content[group] = {}
        content = content[group]
        if not isinstance(content, dict):
            raise ConfigError(f"override {override!r}: {group} is a value, not a group of settings")
    content[last] = override_value(override, value)


def override_value(override: str, value: str) -> object:
    """The value of an override `key=value`, written as in YAML. Raises ConfigError where it is not."""
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {override!r}: {value!r} is not valid YAML: {error.problem}") from error


def _explain(detail: dict) -> str:
    """One sentence for one fault that pydantic found."""
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] != "extra_forbidden":
        return f"{where}: {detail['msg'][0].lower()}{detail['msg'][1:]} (found {detail['input']!r})"
    known = _keys(detail["loc"][:-1])
    near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
    return f"{where}: unknown key; {hint}"


def _keys(loc: tuple) -> list[str]:
    """The keys that the group at a place of the file has."""
    model: type[BaseModel] = Experiment
    for part in loc:
        if model is Experiment and part == "corpora":
            continue
        annotation = CorpusSettings if part not in model.model_fields else model.model_fields[part].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return list(model.model_fields)
