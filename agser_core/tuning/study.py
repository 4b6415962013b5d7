"""One study = one YAML file: what is searched, on which corpora, by which criterion, with how much."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator

from agser_core.errors import ConfigError
from agser_core.evaluation.matrix import cells
from agser_core.experiment import Experiment, Settings, load_experiment, override_value
from agser_core.tuning.criteria import CRITERIA
from agser_core.tuning.space import SearchSpace, parse_space
from agser_core.tuning.yaml_lines import Document

SEED_AGREEMENT = "seed_agreement"
OBJECTIVES = (*CRITERIA, SEED_AGREEMENT)


class LimitSettings(Settings):
    """What one trial may take before it is given up."""

    seconds: float | None = Field(None, gt=0, description="wall time of one try of a trial; none where not given")
    memory_gb: float | None = Field(
        None, gt=0, description="memory a trial may ask for beyond what its worker holds at the start; Linux only"
    )
    retries: int = Field(1, ge=0, description="further tries of a trial that failed")


class TrialResources(Settings):
    """What one trial takes of the cluster. Fractions pack several trials on a core or a GPU."""

    cpus: float = Field(1, gt=0, description="CPUs of one trial")
    gpus: float = Field(0, ge=0, description="GPUs of one trial")
    at_once: int | None = Field(
        None,
        ge=1,
        description="trials at the same time; as many as fit at the start where not given, so to be set where the "
        "cluster scales",
    )


class StudySettings(Settings):
    """A study file."""

    name: str = Field(description="names the study on its page")
    experiment: str = Field(description="the experiment file, relative to this one")
    spaces: list[str] = Field([], description="files with search spaces, relative to this one; later ones win")
    space: dict = Field({}, description="further entries of the search space, over those of the files")
    directions: list[str] | None = Field(
        None, description="such as alder->birch; every ordered pair of corpora where not given"
    )
    seeds: list[int] = Field([0, 1], min_length=1, description="fits of a trial in each direction and fold")
    folds: list[int] = Field([0], min_length=1, description="folds of the split that a trial runs on")
    trials: int = Field(64, ge=1, description="trials in all; the first is the experiment's own settings")
    objective: str = Field(
        "cluster_agreement",
        description="what is made greatest, as a mean over directions and seeds; " + ", ".join(OBJECTIVES),
    )
    target_clips: int = Field(
        2000, ge=8, description="unlabelled target clips that criteria look at; all where there are fewer"
    )
    search: Literal["tpe", "random"] = Field("tpe", description="how points are chosen (Optuna's samplers)")
    startup_trials: int = Field(10, ge=1, description="tpe: trials at random before the model of the space is used")
    scheduler: Literal["asha", "median", "none"] = Field("asha", description="which trials are stopped early")
    grace_epochs: int = Field(3, ge=1, description="epochs that every trial gets")
    reduction: float = Field(3, gt=1, description="asha: one in so many goes on at each rung")
    seed: int = Field(0, ge=0, description="of the search")
    final_seeds: list[int] = Field([0, 1, 2], description="fits of the winner in each direction with Ray Train")
    limits: LimitSettings = LimitSettings()
    resources: TrialResources = TrialResources()

    @field_validator("objective")
    @classmethod
    def _known_objective(cls, objective: str) -> str:
        if objective not in OBJECTIVES:
            raise ValueError(f"no such criterion; known: {', '.join(OBJECTIVES)}")
        return objective

    @field_validator("seeds", "folds", "final_seeds")
    @classmethod
    def _once_each(cls, values: list[int]) -> list[int]:
        if len(set(values)) < len(values):
            raise ValueError("a number is given twice")
        return values


class Study:
    """A study file with all that it names: settings, the experiment, the space. files: all that were read, it first."""

    def __init__(self, settings: StudySettings, experiment: Experiment, space: SearchSpace, files: list[Path]):
        self.settings, self.experiment, self.space, self.files = settings, experiment, space, files

    @property
    def directions(self) -> list[tuple[str, str]]:
        """Source and target of each direction. Raises ConfigError for unknown ones and for upper bounds."""
        names = list(self.experiment.corpora)
        found = dict.fromkeys(
            (cell.source, cell.target)
            for cell in cells(names, ["none"], [0], directions=self.settings.directions)
            if not cell.within
        )
        if not found:
            raise ConfigError("a study needs two corpora and a direction from one to the other")
        return list(found)

    @property
    def fine_tunes(self) -> bool:
        """Whether a trial may train layers of the encoder, by the experiment's own settings or by the space."""
        return self.experiment.train.fine_tune or any(
            parameter.name == "fine_tune" and True in parameter.choices for parameter in self.space.parameters
        )

    def identity(self) -> dict:
        """What the trials depend on. More trials, other limits or other final seeds go on in the same place."""
        running = {"name", "experiment", "spaces", "space", "trials", "final_seeds", "limits", "resources"}
        return {**self.settings.model_dump(exclude=running), "space": self.space.describe()}


def load_study(path: str, overrides: tuple[str, ...] = ()) -> Study:
    """Read a study file, its experiment and its spaces.

    overrides: `trials=8` sets a key of the study, `train.epochs=5` one of the experiment. Raises ConfigError that
    names file, line and field.
    """
    document = _document(Path(path), "study file. Ready ones lie in tune_configs/")
    own, of_experiment = {}, []
    for override in overrides:
        key, separator, value = override.partition("=")
        group = key.split(".")[0]
        if not separator:
            raise ConfigError(f"override {override!r}: write it as key=value, for example trials=8")
        if group in Experiment.model_fields and group != "name":
            of_experiment.append(override)
        else:
            own[tuple(key.split("."))] = override_value(override, value)
    settings = _settings(document, own)
    folder = Path(path).parent
    experiment = load_experiment(str(folder / settings.experiment), tuple(of_experiment))
    parts = []
    for index, name in enumerate(settings.spaces):
        file = folder / name
        if not file.is_file():
            raise document.fault(("spaces", index), f"{file}: no such file")
        parts += _space_files(file)
    parts.append((document, ("space",), settings.space))
    space = parse_space(parts, experiment.train.fit_settings())
    if not space.parameters:
        raise document.fault(("spaces",), "nothing is searched: name files in spaces, or give entries in space")
    files = dict.fromkeys([Path(path), folder / settings.experiment, *(Path(read.name) for read, _, _ in parts)])
    study = Study(settings, experiment, space, list(files))
    _check(document, study)
    return study


def _space_files(file: Path, within: tuple[Path, ...] = ()) -> list[tuple[Document, tuple, dict]]:
    """A space file and what it includes, the included ones first, as `parse_space` takes them."""
    document = _document(file, "search space")
    included = document.content.get("include", [])
    if not isinstance(included, list) or not all(isinstance(name, str) for name in included):
        raise document.fault(("include",), "expected a list of files")
    parts = []
    for index, name in enumerate(included):
        other = file.parent / name
        if other.resolve() in (*within, file.resolve()):
            raise document.fault(("include", index), f"{name}: files include each other")
        if not other.is_file():
            raise document.fault(("include", index), f"{other}: no such file")
        parts += _space_files(other, (*within, file.resolve()))
    own = {name: entry for name, entry in document.content.items() if name != "include"}
    return [*parts, (document, (), own)]


def _check(document: Document, study: Study) -> None:
    settings, experiment = study.settings, study.experiment
    for index, fold in enumerate(settings.folds):
        if not 0 <= fold < experiment.split.folds:
            raise document.fault(("folds", index), f"fold {fold}, but split.folds is {experiment.split.folds}")
    if study.fine_tunes and experiment.extract.speech.frame_layer is None:
        raise document.fault(("space",), "fine_tune is searched, but the experiment sets no extract.speech.frame_layer")
    if settings.objective == SEED_AGREEMENT and len(settings.seeds) < 2:
        raise document.fault(("objective",), "the agreement of seeds needs at least two seeds")
    try:
        directions = study.directions
    except ConfigError as error:
        raise document.fault(("directions",), str(error)) from None
    if settings.directions and len(directions) < len(settings.directions):
        raise document.fault(("directions",), "a corpus to itself or a direction given twice can't be searched")


def _document(file: Path, what: str) -> Document:
    if not file.is_file():
        raise ConfigError(f"{file}: no such {what}")
    return Document(file.read_text(encoding="utf-8"), str(file))


def _settings(document: Document, overrides: dict[tuple[str, ...], object]) -> StudySettings:
    content = dict(document.content)
    for (*groups, last), value in overrides.items():
        place = content
        for group in groups:
            place[group] = dict(place.get(group) or {})
            place = place[group]
        place[last] = value
    try:
        return StudySettings.model_validate(content)
    except ValidationError as error:
        detail = error.errors()[0]
        where = tuple(detail["loc"])
        if detail["type"] == "extra_forbidden":
            raise document.fault(where, f"unknown key; known here: {', '.join(_keys(where))}") from None
        raise document.fault(
            where, f"{detail['msg'].removeprefix('Value error, ')} (found {detail['input']!r})"
        ) from None


def _keys(where: tuple) -> list[str]:
    model: type[Settings] = StudySettings
    for part in where[:-1]:
        model = model.model_fields[part].annotation
    return list(model.model_fields)
