"""The stage report of extraction, `agser check` and `agser corpus`."""

import json

import pytest
from click.testing import CliRunner

from agser_core.chain import extract_output
from agser_core.experiment import load_experiment
from pipelines import check, corpus
from pipelines.extract_report import lines


def test_the_report_adds_up(extracted):
    output = extract_output(load_experiment(str(extracted.config)), "birch")
    report, clips = output.manifest()["report"], output.table("clips").to_pandas()
    assert report["clips"] == len(clips) and report["errors"] == []
    assert report["media_seconds"] == pytest.approx(clips["duration"].sum(), rel=1e-4)
    assert report["real_time_factor"] == pytest.approx(report["worker_seconds"] / report["media_seconds"], rel=1e-2)
    steps = report["steps"]
    assert {"track", "phones", "encode", "decode audio", "read", "cut", "other"} == set(steps)
    assert sum(figures["share"] for figures in steps.values()) == pytest.approx(1, abs=0.01)
    memory = load_experiment(str(extracted.config)).ray.extract_memory_gb * 2**30
    assert 200e6 < report["peak_memory_bytes"] < memory
    shown = "\n".join(lines(report))
    assert "track" in shown and "real time" in shown and "peak memory" in shown


def test_check_tries_every_location(extracted):
    printed = extracted.stage("check")
    assert "write ok, list ok, read ok, delete ok" in printed and printed.count("list ok, read ok\n") == 2
    assert "1 node, 3 locations, all well" in printed and "pyarrow" in printed
    assert not [file for file in extracted.output.iterdir() if "check" in file.name]


def test_check_explains_a_refusal(extracted, tmp_path):
    (tmp_path / "file").write_text("")
    printed = extracted.stage("check", f"output={tmp_path}/file/below", "corpora.alder.path=/no/such/corpus", code=2)
    assert "write REFUSED" in printed and "Not a directory" in printed
    assert "list REFUSED" in printed and "there is nothing at /no/such/corpus: correct the path" in printed


def test_versions_that_differ_are_named():
    versions = {"a": {"ray": "2.60.0", "numpy": "1.26.4"}, "b": {"ray": "2.59.0", "numpy": "1.26.4"}}
    assert check._differing(versions) == {"ray": ["2.59.0", "2.60.0"]}


def test_corpus_shows_what_it_found(sample):
    folder = str(sample.config.parent / "data" / "alder")
    result = CliRunner().invoke(corpus.main, ["sample", folder, "--hours"])
    assert result.exit_code == 0 and "12 clips of 3 speakers" in result.output and "hours" in result.output
    result = CliRunner().invoke(corpus.main, ["sample", folder, "languag=en"])
    assert result.exit_code == 2 and "did you mean 'language'" in result.output


def test_a_mark_says_what_the_report_needs(extracted):
    output = extract_output(load_experiment(str(extracted.config)), "alder")
    for file in output.folder.join("units").list():
        mark = json.loads(file.read_text())
        assert mark["wall_seconds"] >= sum(mark["seconds"].values()) * 0.999 > 0 and mark["media_seconds"] > 0
