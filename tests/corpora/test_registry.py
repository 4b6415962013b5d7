"""The registry of adapters: what it offers and how it answers to slips."""

import subprocess
import sys

import pytest

from agser_core import corpora
from agser_core.errors import AgserError, ConfigError


@pytest.mark.parametrize("name", sorted(corpora.MODULES))
def test_a_folder_that_does_not_exist_is_named_with_the_remedy(name, tmp_path):
    with pytest.raises(AgserError, match="nowhere.*give "):
        corpora.read(name, str(tmp_path / "nowhere"))


def test_slips_are_answered_with_the_nearest_name(tmp_path):
    with pytest.raises(ConfigError, match="'ravdes': did you mean 'ravdess'"):
        corpora.read("ravdes", str(tmp_path))
    with pytest.raises(ConfigError, match="no option 'modalty': did you mean 'modality'"):
        corpora.read("ravdess", str(tmp_path), modalty="audio")


@pytest.mark.parametrize("name", sorted(set(corpora.MODULES) - {"sample", "manifest", "audformat"}))
def test_a_folder_with_other_files_is_refused(name, make_tree):
    with pytest.raises(AgserError):
        corpora.read(name, make_tree(["notes.txt"]))


def test_the_registry_loads_no_adapter_and_nothing_heavy():
    code = (
        "import sys, agser_core.corpora\n"
        "heavy = {'torch', 'pandas', 'librosa', 'agser_core.corpora.ravdess'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("written", "word"), [("Angry", "anger"), ("joy", "happiness"), ("sad ", "sadness"), ("calm", "calm"), ("", None)]
)
def test_emotion_words(written, word):
    assert corpora.clip.emotion_word(written) == word
