"""Search spaces: what is drawn, what is refused, and where an error points."""

import tempfile
from pathlib import Path
from typing import get_args

import optuna
import pytest
import yaml

from agser_core.errors import ConfigError
from agser_core.ser.settings import KEYED_METHODS, METHOD_NAMES, Form, TrainSettings
from agser_core.tuning.space import parse_space, searchable
from agser_core.tuning.study import load_study
from agser_core.tuning.yaml_lines import Document

CONFIGS = Path(__file__).parents[2] / "tune_configs"
BASE = TrainSettings()


def space_of(text: str, base: TrainSettings = BASE):
    document = Document(text, "space.yaml")
    return parse_space([(document, (), document.content)], base)


def draws(space, count=200, seed=0):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [space.draw(study.ask()) for _ in range(count)]


def test_ranges_choices_and_steps_are_kept():
    space = space_of(
        """
        learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
        epochs: {low: 8, high: 24, step: 8}
        network.transformer_layers: {low: 0, high: 3}
        network.dropout: {low: 0.0, high: 0.4}
        method: {choice: [none, ag]}
        """
    )
    points = draws(space)
    assert {point["epochs"] for point in points} == {8, 16, 24}
    assert {point["network.transformer_layers"] for point in points} == {0, 1, 2, 3}
    assert {point["method"] for point in points} == {"none", "ag"}
    rates = sorted(point["learning_rate"] for point in points)
    assert 1e-4 <= rates[0] < 2e-4 and 5e-3 < rates[-1] <= 1e-2 and 5e-4 < rates[100] < 2e-3
    assert all(space.contains(point) for point in points)
    settings = space.settings(BASE, points[0])
    assert settings.network.dropout == points[0]["network.dropout"] and settings.batch_size == BASE.batch_size


def test_conditions_follow_each_other_in_any_order_of_the_file():
    space = space_of(
        """
        anchor.tau: {low: 0.05, high: 0.5, when: {anchor.form: prototype}}
        anchor.form: {choice: [triplet, prototype], when: {method: [ag, pa]}}
        anchor.margin: {low: 0.1, high: 2, when: {anchor.form: triplet}}
        method: {choice: [none, ag, pa]}
        """
    )
    points = draws(space)
    for point in points:
        assert ("anchor.form" in point) == (point["method"] != "none")
        assert ("anchor.tau" in point) == (point.get("anchor.form") == "prototype")
        assert ("anchor.margin" in point) == (point.get("anchor.form") == "triplet")
    assert {point.get("anchor.form") for point in points} == {None, "triplet", "prototype"}
    base = space.settings(BASE, {"anchor.form": "triplet", "anchor.margin": 0.5})
    assert space.point_of(base) == {"method": "ag", "anchor.form": "triplet", "anchor.margin": 0.5}
    assert not space.contains({"method": "none", "anchor.form": "triplet", "anchor.margin": 1.0})
    assert not space.contains({"method": "ag", "anchor.form": "triplet", "anchor.margin": 3.0})


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("epochs: {low: 1, high: 5}\nlearning_rat: {low: 1, high: 2}", 2, "learning_rat: unknown setting; did you"),
        ("gamma: {low: 1, high: 2}", 1, "did you mean 'anchor.gamma'"),
        ("network.wide: {low: 8, high: 9}", 1, "did you mean 'network.width'"),
        ("epochs: {low: 5, high: 5}", 1, "the range from 5 to 5 is empty"),
        ("\nlearning_rate:\n  low: 0\n  high: 1\n  log: true", 3, "log of 0"),
        ("learning_rate: {low: -1, high: 1, log: true}", 1, "log of -1"),
        ("learning_rate: {low: 0, high: 1}", 1, "0.0 is refused: learning_rate: input should be greater than 0"),
        ("epochs: {low: 1.5, high: 4}", 1, "whole"),
        ("learning_rate: {low: 1, high: .nan}", 1, "finite"),
        ("learning_rate: {low: a, high: 1}", 1, "learning_rate.low: Input should be a valid number"),
        ("learning_rate: {lo: 1, high: 2}", 1, "learning_rate.lo: unknown key; did you mean 'low'"),
        ("learning_rate: 3", 1, "expected {low"),
        ("learning_rate: {low: 1}", 1, "give low and high"),
        ("method: {choice: []}", 1, "choice"),
        ("method: {choice: [ag, ag]}", 1, "given twice"),
        ("method: {choice: [ag, gesture]}", 1, "'gesture' is refused: method: "),
        ("method: {low: 1, high: 2}", 1, "no number"),
        ("seed: {low: 1, high: 2}", 1, "seeds are a list of the study"),
        ("network: {low: 1, high: 2}", 1, "network.width"),
        ("epochs: {low: 1, high: 4}\nepochs: {low: 2, high: 4}", 2, "given twice, first in line 1"),
        ("anchor.tau:\n  low: 0.1\n  high: 1\n  when: {anchor.form: prototype}", 4, "not searched here"),
        ("method: {choice: [ag]}\nepochs: {low: 1, high: 4, when: {method: pa}}", 2, "never is pa; its choices are ag"),
        ("epochs: {low: 1, high: 4}\npatience: {low: 1, high: 4, when: {epochs: 3}}", 2, "conditions need a setting"),
        (
            "method: {choice: [ag], when: {normalise: corpus}}\nnormalise: {choice: [corpus], when: {method: ag}}",
            1,
            "circle",
        ),
        ("epochs: {low: 1, high: 8, step: 2, log: true}", 1, "step and log exclude"),
        ("a: [", 0, "not valid YAML"),
        ("- a", 0, "expected keys with values"),
    ],
)  # fmt: skip
def test_errors_name_file_line_and_field(text, line, words):
    with pytest.raises(ConfigError) as error:
        space_of(text)
    assert words in str(error.value)
    assert str(error.value).startswith(f"space.yaml, line {line}: " if line else "space.yaml: ")


def test_every_setting_of_a_fit_can_be_searched():
    assert {"learning_rate", "anchor.gamma", "network.heads", "method", "normalise"} <= set(searchable())
    assert not {"seed", "network", "anchor"} & set(searchable())


def test_every_method_has_a_space_that_is_valid_and_reaches_valid_settings():
    files = {file.stem for file in (CONFIGS / "spaces").glob("*.yaml")}
    assert files == {*METHOD_NAMES, "none", "trainer", "keyed", "example"}
    for name in (*METHOD_NAMES, "none"):
        study = study_of(CONFIGS / "spaces", [f"{name}.yaml", "trainer.yaml"])
        assert next(parameter for parameter in study.space.parameters if parameter.name == "method").choices == (name,)
        points = draws(study.space, 60)
        assert all(study.space.settings(BASE, point).method == name for point in points)
        forms = {point["anchor.form"] for point in points if "anchor.form" in point}
        assert forms == (set(get_args(Form)) if name in KEYED_METHODS else set())
        default = study.space.point_of(BASE.model_copy(update={"method": name}))
        assert study.space.contains(default), f"{name}: the search learns nothing from the default, {default}"
    example = study_of(CONFIGS / "spaces", ["example.yaml"]).space
    assert len(example.parameters) >= 9 and example.contains(example.point_of(BASE))


def study_of(folder: Path, spaces: list[str]):
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "study.yaml"
        content = {
            "name": "t",
            "experiment": str(CONFIGS / "experiments" / "sample.yaml"),
            "spaces": [str(folder / name) for name in spaces],
        }
        file.write_text(yaml.safe_dump(content))
        return load_study(str(file))


def test_ready_studies_are_valid_and_search_the_default_too():
    files = sorted(CONFIGS.glob("*.yaml"))
    assert {file.stem for file in files} == {
        "sample", "ravdess_emodb", "crema_d_msp_improv", "msp_podcast_biic_podcast"
    }  # fmt: skip
    for file in files:
        study = load_study(str(file))
        base = study.experiment.train.fit_settings()
        assert study.space.contains(study.space.point_of(base))
        for point in draws(study.space, 60):
            study.space.settings(base, point)
        assert len(study.directions) == 2 and study.settings.trials >= 50


def test_overrides_reach_study_and_experiment():
    file = str(CONFIGS / "sample.yaml")
    study = load_study(file, ("trials=8", "limits.seconds=5", "train.epochs=3", "directions=[birch->alder]"))
    assert study.settings.trials == 8 and study.settings.limits.seconds == 5
    assert study.experiment.train.epochs == 3 and study.directions == [("birch", "alder")]
    for override, words in [
        ("trails=8", "trails: unknown key; known here: name"),
        ("objective=accuracy", "no such criterion"),
        ("folds=[3]", "fold 3, but split.folds is 1"),
        ("directions=[alder->alder]", "directions"),
        ("directions=[alder->oak]", "no such direction"),
        ("seeds=[1, 1]", "given twice"),
        ("train.epoch=3", "did you mean 'epochs'"),
        ("spaces=[nowhere.yaml]", "no such file"),
        ("trials", "write it as key=value"),
    ]:
        with pytest.raises(ConfigError, match=words.replace("[", r"\[")):
            load_study(file, (override,))


def test_files_that_include_each_other_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("include: [b.yaml]\nepochs: {low: 1, high: 2}\n")
    (tmp_path / "b.yaml").write_text("include:\n  - a.yaml\n")
    with pytest.raises(ConfigError, match=r"b.yaml, line 2: include.0: a.yaml: files include each other"):
        study_of(tmp_path, ["a.yaml"])


def test_a_study_that_may_train_the_encoder_says_so_and_needs_its_frames(tmp_path):
    experiment = (
        "name: x\noutput: runs/x\ncorpora: {{a: {{adapter: sample, path: p}}, b: {{adapter: sample, path: q}}}}\n{}"
    )
    study = "name: s\nexperiment: e.yaml\nspace:\n  fine_tune: {{choice: {}}}\n"
    for speech, choices, expected in (("{frame_layer: -2}", "[false, true]", True), ("{}", "[false]", False)):
        (tmp_path / "e.yaml").write_text(experiment.format(f"extract: {{speech: {speech}}}\n"))
        (tmp_path / "s.yaml").write_text(study.format(choices))
        assert load_study(str(tmp_path / "s.yaml")).fine_tunes is expected
    (tmp_path / "s.yaml").write_text(study.format("[false, true]"))
    with pytest.raises(ConfigError, match="s.yaml, line 3: space: fine_tune is searched, but.*frame_layer"):
        load_study(str(tmp_path / "s.yaml"))
