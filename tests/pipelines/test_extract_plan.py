"""What a run of extraction takes on: units within bounds, clips given up tried again, actors that fit their nodes."""

import json

import pytest

from agser_core.corpora.clip import Clip
from agser_core.errors import ConfigError
from agser_core.experiment import ExtractSettings, RaySettings, load_experiment
from pipelines.check import locations
from pipelines.extract import clip_identities, current_units, units_to_do, workers_that_fit

GB = 2**30
LIMITS = {"clip_seconds": 300.0, "memory_bytes": GB}


def clips_of(count: int) -> list[Clip]:
    return [Clip(f"clip-{i}", "c", "c-a", f"/no/{i}.wav") for i in range(count)]


def mark_of(clips: list[str], gave_up=()) -> dict:
    return {"clips": dict.fromkeys(clips, "same"), "limits": LIMITS, "gave_up": list(gave_up)}


@pytest.mark.parametrize("count, size, units", [(20, 8, 3), (16000, 8, 2000), (40000, 8, 2000), (100001, 8, 1961)])
def test_units_are_bounded_in_number(count, size, units):
    clips = clips_of(count)
    identities = {clip.clip_id: "same" for clip in clips}
    todo = units_to_do(clips, identities, {}, size, LIMITS)
    assert len(todo) == units and len({unit["unit"] for unit in todo}) == units
    members = [clip["clip_id"] for unit in todo for clip in json.loads(unit["clips"])]
    assert members == [clip.clip_id for clip in clips]


def test_a_resumed_run_makes_no_smaller_units():
    clips = clips_of(40000)
    identities = {clip.clip_id: "same" for clip in clips}
    first = units_to_do(clips, identities, {}, 8, LIMITS)
    marks = {unit["unit"]: {"clips": json.loads(unit["identities"])} for unit in first[:1990]}
    assert [unit["unit"] for unit in units_to_do(clips, identities, marks, 8, LIMITS)] == [
        u["unit"] for u in first[1990:]
    ]


@pytest.mark.parametrize(
    "gave_up, raised, stands",
    [
        ([], {"clip_seconds": 600}, True),
        (["timeout"], {}, True),
        (["timeout"], {"clip_seconds": 100}, True),
        (["timeout"], {"clip_seconds": 301}, False),
        (["timeout"], {"memory_bytes": 2 * GB}, True),
        (["crash"], {"memory_bytes": 2 * GB}, False),
        (["crash", "timeout"], {"clip_seconds": 301}, False),
    ],
)
def test_what_a_limit_cost_is_tried_again_when_it_is_raised(gave_up, raised, stands):
    marks = {"u": mark_of(["a", "b"], gave_up), "v": mark_of(["c"])}
    found = current_units(marks, dict.fromkeys("abc", "same"), {**LIMITS, **raised})
    assert found.keys() == ({"u", "v"} if stands else {"v"})


def test_no_clip_is_taken_from_two_units():
    """The old unit gave one clip up; of the two that were to replace it one is there."""
    higher = {**LIMITS, "clip_seconds": 900.0}
    old, new = mark_of(["a", "b", "c", "d"], ["timeout"]), {**mark_of(["a", "b"]), "limits": higher}
    identities = dict.fromkeys("abcd", "same")
    assert current_units({"old": old, "new": new}, identities, LIMITS).keys() == {"new"}
    assert current_units({"old": old}, identities, LIMITS).keys() == {"old"}
    still = {**mark_of(["c", "d"], ["timeout"]), "limits": higher}
    assert current_units({"old": old, "new": new, "still": still}, identities, LIMITS).keys() == {"new", "still"}


def test_a_unit_done_again_with_higher_limits_leaves_the_parts_of_the_manifest_alone():
    clips, identities = clips_of(3), dict.fromkeys(["clip-0", "clip-1", "clip-2"], "same")
    ((first,), (again,), (raised,)) = (
        units_to_do(clips, identities, {}, 8, limits) for limits in (LIMITS, LIMITS, {**LIMITS, "clip_seconds": 301.0})
    )
    assert first["unit"] == again["unit"] != raised["unit"]


def node(cpus=8, memory=16.0, gpus=0.0, alive=True) -> dict:
    return {"Alive": alive, "Resources": {"CPU": cpus, "memory": memory * GB, "GPU": gpus}}


@pytest.mark.parametrize(
    "settings, nodes, workers",
    [
        ({}, [node()], 8),
        ({}, [node(), node(cpus=2), node(alive=False)], 10),
        ({"extract_workers": 3}, [], 3),
        ({"extract_memory_gb": 6}, [node(memory=16), node(memory=7)], 3),
        ({"extract_gpus": 0.25}, [node(gpus=1), node()], 4),
        ({"extract_gpus": 1}, [node(cpus=4, gpus=8)], 4),
    ],
)
def test_actors_are_as_many_as_the_nodes_hold(settings, nodes, workers):
    assert workers_that_fit(RaySettings(**settings), nodes) == workers


@pytest.mark.parametrize(
    "settings, words",
    [({"extract_gpus": 0.5}, "0.5 GPUs .* largest has 16.0 GB and 0 GPUs"), ({"extract_memory_gb": 20}, "20 GB")],
)
def test_an_actor_that_fits_nowhere_is_an_error_and_no_wait(settings, words):
    with pytest.raises(ConfigError, match=words):
        workers_that_fit(RaySettings(**settings), [node()])


def test_a_clip_is_another_when_a_file_that_is_read_for_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("AGSER_ROOT", str(tmp_path))  # where relative paths are seen from
    names = ("a.wav", "words.dict", "a.csv", "encoder/model.safetensors")
    (tmp_path / "encoder").mkdir()
    for name in names:
        (tmp_path / name).write_text("before")
    clip = Clip("a", "c", "c-a", str(tmp_path / "a.wav"), transcript="a word")
    settings = ExtractSettings(
        mouth={"source": "openface", "openface_folder": str(tmp_path)},
        phones={"dictionary": str(tmp_path / "words.dict")},
        speech={"encoder": "encoder"},
    )
    found = [clip_identities([clip], settings)["a"]]
    for name in names:
        (tmp_path / name).write_text("after, and longer")
        found.append(clip_identities([clip], settings)["a"])
    assert len(set(found)) == 5
    assert clip_identities([clip], ExtractSettings()) == clip_identities([clip], ExtractSettings(failure_budget=0.5))


def test_every_place_that_the_extraction_reads_is_checked(tmp_path, write_experiment):
    (tmp_path / "encoder").mkdir()
    places = {"dictionary": tmp_path / "words.dict", "encoder": tmp_path / "encoder", "openface": tmp_path / "csv"}
    run = write_experiment(
        tmp_path,
        {"mine": {"adapter": "manifest", "path": str(tmp_path / "clips.csv")}},
        extract={
            "mouth": {"source": "openface", "openface_folder": str(places["openface"])},
            "phones": {"dictionary": str(places["dictionary"])},
            "speech": {"encoder": str(places["encoder"])},
        },
    )
    read = {str(place): False for place in (tmp_path / "clips.csv", *places.values())}
    assert locations(load_experiment(str(run.config))) == {**read, str(run.output): True}
