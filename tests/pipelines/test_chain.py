"""The whole chain on a small sample, as the command line runs it."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest
import soundfile

from agser_core import media
from agser_core.chain import analyse_output, cluster_output, evaluate_output, extract_output
from agser_core.errors import AgserError
from agser_core.experiment import load_experiment
from agser_core.extracted import extracted_corpora
from agser_core.gestures.fit_log import FitLog
from agser_core.report.truth import truth_table
from agser_core.tables import CLIPS, PHONE_VECTORS, SEGMENTS, TRACKS


def test_the_sample_is_made_once(sample):
    assert "made before, nothing to do" in sample.stage("sample")


def test_extraction_writes_the_tables_of_the_contract(extracted):
    experiment = load_experiment(str(extracted.config))
    for corpus in ("alder", "birch"):
        output = extract_output(experiment, corpus)
        for name, schema in {
            "clips": CLIPS,
            "segments": SEGMENTS,
            "tracks": TRACKS,
            "phone_vectors": PHONE_VECTORS,
        }.items():
            assert output.table(name).schema.remove_metadata() == schema
        clips, segments = output.table("clips").to_pandas(), output.table("segments").to_pandas()
        assert len(clips) == 12 and clips["clip_id"].is_unique and (clips["tracked_share"] >= 0.99).all()
        assert output.table("errors").num_rows == 0
        vowels = segments[segments["is_vowel"]]
        assert (vowels["n_frames"] > 0).mean() > 0.9
        assert (segments["mouth"].map(len) == 24 * segments["n_frames"]).all()
        assert output.table("phone_vectors").num_rows == len(segments)


def test_a_finished_extraction_is_a_no_op_that_says_so(extracted):
    files = {file: file.stat().st_mtime_ns for file in extracted.output.rglob("*") if file.is_file()}
    printed = extracted.stage("extract")
    assert printed.count("were done before, nothing to do") == 2
    assert {file: file.stat().st_mtime_ns for file in extracted.output.rglob("*") if file.is_file()} == files


def test_settings_that_do_not_matter_share_the_output_and_others_do_not(extracted):
    experiment = load_experiment(str(extracted.config))
    same = load_experiment(str(extracted.config), ("ray.extract_workers=1", "extract.failure_budget=0.5"))
    other = load_experiment(str(extracted.config), ("extract.mouth.origin=eyes",))
    folder = extract_output(experiment, "alder").folder
    assert extract_output(same, "alder").folder == folder != extract_output(other, "alder").folder


def test_lost_units_are_extracted_again_and_nothing_else(extracted):
    experiment = load_experiment(str(extracted.config))
    output = extract_output(experiment, "alder")
    before = output.table("segments").to_pandas().sort_values(["clip_id", "position"], ignore_index=True)
    marks = output.folder.join("units").list()
    lost, kept = marks[0], {file.uri: file.read_bytes() for file in marks[1:]}
    n_lost = len(json.loads(lost.read_text())["clips"])
    lost.filesystem.delete_file(lost.path)
    printed = extracted.stage("extract")
    assert "12/12 clips" in printed and n_lost < 12
    after = output.table("segments").to_pandas().sort_values(["clip_id", "position"], ignore_index=True)
    pd.testing.assert_frame_equal(before, after)
    assert {file.uri: file.read_bytes() for file in output.folder.join("units").list() if file.uri in kept} == kept


@pytest.fixture(scope="module")
def finished(extracted):
    printed = {name: extracted.stage(name) for name in ("cluster", "analyse", "train", "evaluate", "report")}
    return extracted, printed


def test_every_stage_says_what_came_of_it(finished):
    _, printed = finished
    assert "gestures, gamma" in printed["cluster"]
    assert "share gestures to" in printed["analyse"]
    assert "alder->birch, ag, seed 0" in printed["train"]
    assert printed["evaluate"].count("UAR") == 6  # two methods each way, two upper bounds


def test_finished_stages_are_no_ops(finished):
    run, _ = finished
    for name in ("cluster", "analyse", "evaluate"):
        assert "done before, nothing to do" in run.stage(name)


def test_training_and_evaluation_leave_what_is_looked_at_beside_the_result(finished):
    run, _ = finished
    assert len(list(run.output.glob("train/tensorboard/*/events.out.tfevents.*"))) == 1
    (file,) = run.output.glob("evaluate/*/styles/*.parquet")
    styles = pyarrow.parquet.read_table(file).to_pandas()
    assert set(styles["corpus"]) == {"alder", "birch"} and styles["clips"].sum() == 24
    assert styles["language"].notna().all()


def test_binary_networks_are_further_cells(finished):
    run, _ = finished
    printed = run.stage(
        "evaluate", "evaluate.tasks=[all, anger]", "evaluate.methods=[none]", "evaluate.directions=[alder->birch]"
    )
    assert printed.count("UAR") == 2 and "none, anger" in printed


def test_gestures_of_every_partition_come_from_a_model_of_train(finished):
    run, _ = finished
    (file,) = run.output.glob("cluster/*/gestures/*.parquet")
    gestures = pyarrow.parquet.read_table(file).to_pandas()
    assert set(gestures["partition"]) == {"train", "dev", "test"} and set(gestures["corpus"]) == {"alder", "birch"}
    assert gestures["membership"].map(sum).between(0.999, 1.001).all()
    (manifest,) = run.output.glob("cluster/*/manifest.json")
    assert json.loads(manifest.read_text())["transductive"] is False


def test_actors_and_a_second_try_give_the_same_gestures(finished, monkeypatch):
    """The fit broken off in its second start, gone on with on Ray actors, ends in the same bytes."""
    run, _ = finished
    folder = cluster_output(load_experiment(str(run.config))).folder
    names = ("model-0.json", "gestures/fold-0-0000000000.parquet", "elbow/part-0.parquet")
    before = [folder.join(name).read_bytes() for name in names]
    for name in (*names, "manifest.json"):
        folder.join(name).delete()

    def break_off(log, run, progress):
        plain(log, run, progress)
        if log.file is not None and run == "4/0" and progress.iteration == 1:
            raise AgserError("the power went")

    plain = FitLog.passed
    monkeypatch.setattr(FitLog.__init__, "__defaults__", (None, 0.0, lambda line: None))
    with monkeypatch.context() as patched:
        patched.setattr(FitLog, "passed", break_off)
        assert "4 clusters, start 0, iteration 1, objective" in run.stage("cluster", code=2)
    printed = run.stage("cluster", "ray.cluster_workers=2")
    assert "loaded by 1 workers" in printed  # it is but one block
    assert "3 clusters" not in printed and "4 clusters, start 0, iteration 0" not in printed
    assert "4 clusters, start 0, iteration 1" in printed and "5 clusters, start 0, iteration 0" in printed
    assert [folder.join(name).read_bytes() for name in names] == before
    assert not folder.join("fit-0.json").exists()


def test_the_report_shows_every_part(finished):
    run, _ = finished
    page = (run.output / "report.html").read_text()
    for words in ("embedded", "adjusted Rand index", "alder", "birch"):
        assert words in page
    assert "| alder |" in (run.output / "tables.md").read_text()
    assert "tabular" in (run.output / "tables.tex").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and len(page) < 10e6


def test_the_truth_section_finds_the_lips_and_the_phones(finished):
    run, _ = finished
    experiment = load_experiment(str(run.config))
    truth = truth_table(experiment, list(extracted_corpora(experiment).values())).set_index("quantity")["value"]
    assert truth[truth.index.str.contains("lip opening, correlation in a clip, median")].min() >= 0.9
    assert truth[truth.index.str.contains("aligned phones against set ones, median")].max() <= 25


@pytest.mark.slow
def test_the_planted_gestures_are_found_in_the_default_sample(ray_cluster, write_experiment, tmp_path):
    """The figures of the README: adjusted Rand index with the set phone times at least 0.8, lips at least 0.9."""
    run = write_experiment(
        tmp_path,
        {name: {"adapter": "sample", "path": str(tmp_path / "data" / name)} for name in ("alder", "birch")},
        sample={"folder": str(tmp_path / "data")},
    )
    for stage in ("sample", "extract", "cluster", "analyse"):
        run.stage(stage)
    experiment = load_experiment(str(run.config))
    truth = truth_table(experiment, list(extracted_corpora(experiment).values()))
    print(truth.to_string())
    wanted = truth[truth["wanted"] != ""]
    assert len(wanted) == 3
    assert all(row.value >= float(row.wanted.removeprefix(">= ")) for row in wanted.itertuples())


@pytest.mark.parametrize(
    "corpora, words",
    [
        ({"method": "ag"}, "need mouth gestures, and no mouth was tracked in alder"),
        ({"method": "none"}, None),
    ],
)
def test_corpora_without_video_run_the_methods_that_need_none(sample, write_experiment, tmp_path, corpora, words):
    """Audio alone: the same clips without their pictures."""
    for name in ("alder", "birch"):
        (tmp_path / name).mkdir()
        clips = pd.read_csv(sample.config.parent / "data" / name / "clips.csv")
        for file in clips["file"]:
            wave = tmp_path / name / f"{Path(file).stem}.wav"
            soundfile.write(wave, media.read_audio(sample.config.parent / "data" / name / file), 16000)
        clips.assign(file=[f"{Path(file).stem}.wav" for file in clips["file"]]).to_csv(tmp_path / name / "clips.csv")
    run = write_experiment(
        tmp_path,
        {name: {"adapter": "manifest", "path": str(tmp_path / name)} for name in ("alder", "birch")},
        split={"groups": 3, "test_groups": 1},
        train={"epochs": 1, "network": {"width": 16, "feed_forward": 16, "heads": 2}, **corpora},
        evaluate={"methods": ["none", "pa"], "seeds": [0], "bootstrap": 20},
    )
    printed = run.stage("run", code=2 if words else 0)
    assert (words or "UAR") in printed and "there are no gestures" in printed


def test_corpora_without_emotions_are_reported_and_nothing_is_trained(extracted, write_experiment, tmp_path):
    for name in ("alder", "birch"):
        clips = pd.read_csv(extracted.config.parent / "data" / name / "clips.csv").drop(columns="emotion")
        root = extracted.config.parent / "data" / name
        (tmp_path / name).mkdir()
        files = [str(root / file) for file in clips["file"]]
        clips.assign(file=files).to_csv(tmp_path / name / "clips.csv", index=False)
    run = write_experiment(
        tmp_path,
        {name: {"adapter": "manifest", "path": str(tmp_path / name)} for name in ("alder", "birch")},
        split={"groups": 3, "test_groups": 1},
        cluster={"n_clusters": 4, "restarts": 1},
        analyse={"permutations": 20, "bootstrap": 20},
    )
    printed = run.stage("run")
    assert printed.count("so there is nothing to train") == 2 and (run.output / "report.html").exists()


def test_training_with_ray_train_is_the_fit_of_the_matrix(finished):
    """One trainer: the same direction, method and seed give the same losses in both stages."""
    run, _ = finished
    (trained,) = run.output.glob("train/*/history/*.parquet")
    matrix = evaluate_output(load_experiment(str(run.config))).table("history").to_pandas()
    rows = matrix.query("direction == 'alder->birch' and method == 'ag'")
    assert pd.read_parquet(trained)["loss"].tolist() == pytest.approx(rows["loss"].tolist(), rel=1e-6)


def test_a_stage_names_the_one_it_waits_for(sample):
    printed = sample.stage("cluster", "extract.mouth.max_side=480", code=2)
    assert "Run `agser extract`" in printed


def test_a_changed_input_moves_everything_that_reads_it(finished):
    run, _ = finished
    before = load_experiment(str(run.config))
    with_other_seed = load_experiment(str(run.config), ("cluster.seed=7",))
    run.stage("cluster", "cluster.seed=7")
    assert cluster_output(before).folder != cluster_output(with_other_seed).folder
    assert analyse_output(before).folder != analyse_output(with_other_seed).folder
