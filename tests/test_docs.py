"""The pages of docs/ speak of what there is: commands, links, examples."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from agser_core.experiment import Experiment, load_experiment
from agser_core.ser import anchors
from pipelines import cli
from pipelines.stage import SAMPLE

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
CLOUD_TOOLS = {".venv/bin/ray", "aws", "export", "git", "make", "kubectl", "sed"}


def blocks(page: Path, kind: str) -> list[str]:
    """The fenced blocks of a page with such an info string."""
    return re.findall(rf"^```{kind}\n(.*?)^```", page.read_text(), re.M | re.S)


def commands(page: Path) -> list[list[str]]:
    """The words of every command of a page: in blocks of sh, and in indented or inline lines that begin with one."""
    text = page.read_text().replace("\\\n", "")  # lines that go on
    lines = [line for kind in ("sh", "sh cloud") for block in blocks(page, kind) for line in block.splitlines()]
    lines = [line for line in "\n".join(lines).replace("\\\n", "").splitlines() if line.strip()]
    lines += re.findall(r"^ {4}((?:agser|make) .*)$", text, re.M) + re.findall(r"`((?:agser|make) [^`\n]*)`", text)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists(page):
    for words in commands(page):
        if words[0] == "make":
            targets = [word for word in words[1:] if re.fullmatch(r"[a-z-]+", word)]
            assert set(targets) <= TARGETS, words
        elif words[0] == "agser" and re.fullmatch(r"[a-z]+", words[1]):
            assert words[1] in cli.STAGES, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_a_command_overrides_exists(page):
    for words in commands(page):
        settings = (
            [word for word in words[2:] if re.fullmatch(r"[a-z]+\.[a-z_.]+=.*", word)] if words[0] == "agser" else []
        )
        if words[0] == "make":
            given = " ".join(word.removeprefix("SET=") for word in words if word.startswith("SET="))
            settings = [word for word in given.split() if "=" in word and not word.startswith("-")]
        if words[1:2] != ["tune"] and settings:  # those of `tune` are of a study
            load_experiment(str(SAMPLE), tuple(settings))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_a_block_that_no_test_runs_needs_a_cloud_and_says_so():
    for page in PAGES:
        for kind in re.findall(r"^```(sh.*|bash.*|console.*|shell.*)$", page.read_text(), re.M):
            assert kind in ("sh", "sh cloud"), f"{page.name}: {kind}"
        for block in blocks(page, "sh cloud"):
            tools = {shlex.split(line)[0] for line in block.replace("\\\n", "").splitlines()}
            assert tools <= CLOUD_TOOLS, f"{page.name}: {tools}"


def test_the_readme_names_every_page():
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in readme] == []


def test_the_experiment_of_the_corpus_page_is_valid():
    (text,) = blocks(ROOT / "docs" / "your-corpus.md", "yaml")
    Experiment.model_validate(yaml.safe_load(text))


def test_the_fragment_on_fine_tuning_is_valid():
    (text,) = blocks(ROOT / "docs" / "anchoring.md", "yaml")
    corpora = {"mine": {"adapter": "manifest", "path": "data"}}
    experiment = Experiment.model_validate({"name": "x", "output": "y", "corpora": corpora, **yaml.safe_load(text)})
    assert experiment.train.fine_tune and experiment.extract.speech.frame_layer == -4


@pytest.fixture(scope="module")
def examples() -> list[dict]:
    """What each code block of docs/extending.md defines."""
    found = []
    for code in blocks(ROOT / "docs" / "extending.md", "python"):
        found.append({})
        exec(code, found[-1])
    return found


def test_the_example_of_a_corpus_reads_one(examples, tmp_path):
    for name in ("anna_happiness_01", "ben_anger_02", "notes"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(1600), 16000)
    corpus = examples[0]["read"](str(tmp_path))
    assert [(clip.clip_id, clip.speaker, clip.emotion) for clip in corpus.clips] == [
        ("anna_happiness_01", "demo-anna", "happiness"),
        ("ben_anger_02", "demo-ben", "anger"),
    ]
    (problem,) = corpus.problems
    assert problem.uri.endswith("notes.wav")


def test_the_example_of_a_method_is_an_anchor(examples):
    import torch

    from agser_core.ser.settings import AnchorSettings, TrainSettings

    anchor = examples[1]["build"](None, None, TrainSettings(anchor=AnchorSettings(gamma=2.0)), 0)
    assert isinstance(anchor, anchors.Anchor)
    view = type("View", (), {})
    source, target = view(), view()
    source.clips, target.clips = torch.zeros(3, 4), torch.ones(5, 4)
    loss, figures = anchor.loss(source, target, 0.0)
    assert float(loss) == 2.0 and figures == {"distance": 1.0}


def test_the_example_of_an_encoder_encodes(examples):
    encoder = examples[2]["Loudness"]()
    (frames,) = encoder.encode([np.full(16000, 0.5, np.float32)])
    assert frames.shape == (50, encoder.n_layers, encoder.dimension) and np.allclose(frames, 0.5)
