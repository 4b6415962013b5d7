import pickle

import pytest

from agser_core.corpora.clip import CLASSES
from agser_core.corpora.sample.plan import STYLES, plan
from agser_core.errors import ConfigError


@pytest.mark.parametrize("name", STYLES)
def test_every_speaker_says_everything_in_every_emotion(name):
    specs = plan(name)
    assert len(specs) == 96 and len({spec.clip_id for spec in specs}) == 96
    said = {(spec.person.speaker, spec.transcript, spec.emotion) for spec in specs}
    assert len(said) == 6 * 4 * len(CLASSES) == 96
    assert sorted({spec.fold for spec in specs}) == list("123456")
    assert {len({s.person.speaker for s in specs if s.fold == fold}) for fold in "123456"} == {1}
    genders = {spec.person.speaker: spec.person.gender for spec in specs}
    assert sorted(genders.values()) == ["female"] * 3 + ["male"] * 3
    assert len({spec.seed for spec in specs}) == 96 and len({spec.person.face_seed for spec in specs}) == 6


def test_plan_follows_from_its_arguments():
    assert plan("alder", seed=3) == plan("alder", seed=3) != plan("alder", seed=4)
    small, large = plan("birch", speakers=2, sentences=2), plan("birch", speakers=4, sentences=3)
    assert set(small) <= set(large)  # a larger corpus keeps the clips of a smaller one
    assert pickle.loads(pickle.dumps(small)) == small


def test_corpora_share_no_speaker_and_no_sentence():
    alder, birch = plan("alder", sentences=8), plan("birch", sentences=8)
    for of in (lambda spec: spec.person.speaker, lambda spec: spec.transcript, lambda spec: spec.person.face_seed):
        assert not set(map(of, alder)) & set(map(of, birch))


def test_words_are_in_the_aligners_dictionary():
    pocketsphinx = pytest.importorskip("pocketsphinx")
    with open(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"), encoding="utf-8") as lines:
        known = {line.split(maxsplit=1)[0] for line in lines}
    words = {word for style in STYLES.values() for text in style.sentences for word in text.split()}
    assert not words - known


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("oak",), "no sample corpus 'oak'"),
        (("alder", 0, 6, 9), "sentences is 9: the sample corpora have 1 to 8"),
        (("alder", 0, 0), "speakers is 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        plan(*arguments)
