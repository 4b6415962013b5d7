"""Real faces and voices through the stages, where the clips are there."""

import json

import pandas as pd
import pytest

from agser_core import corpora
from agser_core.chain import cluster_output, extract_output
from agser_core.experiment import load_experiment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def talking_heads(real_data, ray_cluster, write_experiment, tmp_path_factory):
    """RAVDESS' videos and GRID, extracted, clustered and analysed, one command each."""
    run = write_experiment(
        tmp_path_factory.mktemp("heads"),
        {
            "ravdess": {"adapter": "ravdess", "path": str(real_data / "ravdess" / "video")},
            "grid": {"adapter": "grid", "path": str(real_data / "grid_s1")},
        },
        cluster={"transductive": True},
    )
    printed = {stage: run.stage(stage) for stage in ("extract", "cluster", "analyse", "report")}
    return run, printed


def test_every_clip_comes_through_and_every_face_is_held(talking_heads):
    run, _ = talking_heads
    experiment = load_experiment(str(run.config))
    for corpus in ("ravdess", "grid"):
        output = extract_output(experiment, corpus)
        clips, segments = output.table("clips").to_pandas(), output.table("segments").to_pandas()
        tracked = (clips["tracked_share"] * clips["video_frames"]).sum() / clips["video_frames"].sum()
        vowels = segments[segments["is_vowel"]]
        mouths = (vowels["n_frames"] > 0).mean()
        report = output.manifest()["report"]
        print(
            f"{corpus}: {len(clips)} clips, {len(segments)} segments, {len(vowels)} vowels, {tracked:.2%} tracked; "
            f"a core: {report['clips_per_core_second']:.2f} clips/s, "
            f"{clips['video_frames'].sum() / report['cpu_seconds']:.0f}"
            f" frames/s of CPU, real-time factor {report['real_time_factor']:.3f}, "
            f"of CPU {report['cpu_seconds'] / report['media_seconds']:.3f}"
        )
        assert output.table("errors").num_rows == 0 and len(clips) == len(list_of_clips(experiment, corpus))
        assert tracked >= 0.99 and mouths >= 0.95


def list_of_clips(experiment, corpus):
    source = experiment.corpora[corpus]
    return corpora.read(source.adapter, source.path, **source.options).clips


def test_gestures_of_both_corpora_are_drawn(talking_heads):
    run, printed = talking_heads
    gestures = cluster_output(load_experiment(str(run.config))).table("gestures").to_pandas()
    assert set(gestures["corpus"]) == {"ravdess", "grid"} and gestures["gesture"].nunique() >= 4
    page = (run.output / "report.html").read_text()
    assert "transductive" in page and "GRID" in page.upper() and "share gestures to" in printed["analyse"]


def test_emodb_comes_with_its_own_phones(real_data, ray_cluster, write_experiment, tmp_path):
    run = write_experiment(
        tmp_path, {"emodb": {"adapter": "emodb", "path": str(real_data / "emodb")}}, extract={"failure_budget": 0.02}
    )
    run.stage("extract")
    output = extract_output(load_experiment(str(run.config)), "emodb")
    clips = output.table("clips").to_pandas()
    assert set(clips["alignment_source"]) == {"xlabel"} and len(clips) >= 0.98 * len(
        list_of_clips(load_experiment(str(run.config)), "emodb")
    )
    segments = output.table("segments").to_pandas()
    assert pd.Series(["AA", "IY", "EH", "UW"]).isin(segments["phone"]).all()
    (manifest,) = run.output.glob("extract/emodb/*/manifest.json")
    assert json.loads(manifest.read_text())["pretrained"] is False
