"""A clip that crashes or hangs native code costs itself and no other clip."""

import time
from pathlib import Path

import numpy as np
import pytest

from agser_core import corpora
from agser_core.corpora.clip import Clip
from agser_core.experiment import ExtractSettings
from agser_core.extraction import ClipExtractor
from agser_core.isolation import IsolatedExtractor

QUICK = ExtractSettings(clip_seconds_limit=20)


@pytest.fixture(scope="module")
def clips(sample) -> list[Clip]:
    return corpora.read("sample", str(sample.config.parent / "data" / "alder")).clips[:4]


@pytest.fixture(scope="module")
def undisturbed(clips):
    return ClipExtractor(QUICK).extract(clips)


@pytest.fixture
def isolated(monkeypatch):
    """A function (faults, settings) -> IsolatedExtractor whose tracker has the faults."""
    made = []

    def make(faults: str = "", settings: ExtractSettings = QUICK) -> IsolatedExtractor:
        monkeypatch.syspath_prepend(str(Path(__file__).parent / "faults"))
        monkeypatch.setenv("AGSER_TEST_FAULTS", faults)
        made.append(IsolatedExtractor(settings))
        return made[-1]

    yield make
    for extractor in made:
        extractor.close()


def without(table, clip_id: str):
    return table.filter(np.array([name != clip_id for name in table["clip_id"].to_pylist()]))


def test_the_same_tables_as_without_isolation(isolated, clips, undisturbed):
    extractor = isolated()
    unit = extractor.extract(clips)
    assert unit.tables() == undisturbed.tables() and unit.clips.num_rows == 4 and unit.seconds["track"] > 0
    assert 100e6 < extractor.peak_memory_bytes < 0.8e9
    assert extractor.encoder_name == "embedded" and extractor.vector_shape[0] == 1


@pytest.mark.parametrize(
    "kind, error_class, reason",
    [
        ("abort", "crash", "SIGABRT"),
        pytest.param("hang", "timeout", "20 s", marks=pytest.mark.slow),
        ("raise", "unexpected", "IndexError: a library's surprise"),
    ],
)
def test_a_poisoned_clip_costs_itself_only(isolated, clips, undisturbed, kind, error_class, reason):
    poisoned = clips[1].clip_id
    unit = isolated(f"{kind}:{poisoned}").extract(clips)
    (row,) = unit.errors.to_pylist()
    assert (row["clip_id"], row["error_class"]) == (poisoned, error_class)
    assert reason in row["reason"] and row["remedy"] and row["step"]
    for name in ("clips", "segments", "tracks", "phone_vectors"):
        assert getattr(unit, name) == without(getattr(undisturbed, name), poisoned)


def test_the_next_unit_finds_a_working_extractor(isolated, clips):
    extractor = isolated(f"abort:{clips[0].clip_id}")
    assert extractor.extract(clips[:1]).errors.num_rows == 1
    assert extractor.extract(clips[2:]).clips.num_rows == 2


def test_recycling_starts_a_new_process(isolated, clips):
    extractor = isolated(settings=ExtractSettings(recycle_after=2))
    before = extractor._process.pid
    extractor.extract(clips[:2])
    assert extractor._process.pid == before
    extractor.extract(clips[2:3])
    assert extractor._process.pid != before


def test_a_clip_that_hangs_is_given_up_after_two_tries(isolated, clips):
    started = time.monotonic()
    extractor = isolated(f"hang:{clips[0].clip_id}", ExtractSettings(clip_seconds_limit=1.5))
    (row,) = extractor.extract(clips[:1]).errors.to_pylist()
    assert row["error_class"] == "timeout" and "1.5 s" in row["reason"] and "clip_seconds_limit" in row["remedy"]
    assert time.monotonic() - started > 3


def test_an_encoder_that_cannot_be_loaded_is_a_plain_error(sample):
    printed = sample.stage("extract", "extract.speech.encoder=/no/such/model", code=2)
    assert "the encoder '/no/such/model' can't be loaded" in printed and "Traceback" not in printed
