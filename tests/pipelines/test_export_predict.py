"""From the trained model of the small sample to a bundle, and from the bundle to predictions."""

import json
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

from agser_core.bundle.export import bundle_folder
from agser_core.chain import evaluate_output, train_output
from agser_core.experiment import load_experiment
from pipelines import cli


def predict(*arguments, code=0):
    result = CliRunner().invoke(cli.main, ["predict", *map(str, arguments)])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.stdout


@pytest.fixture(scope="module")
def exported(extracted):
    for name in ("cluster", "train", "evaluate"):
        extracted.stage(name)
    printed = extracted.stage("export")
    return extracted, bundle_folder(load_experiment(str(extracted.config))).path, printed


@pytest.fixture(scope="module")
def clips(exported):
    run, _, _ = exported
    return sorted((run.config.parent / "data" / "birch" / "video").glob("*.mp4"))


def test_the_export_says_how_well_and_where(exported):
    run, folder, printed = exported
    assert "test clips with aligned phones" in printed and printed.strip().endswith(folder)
    assert "done before, nothing to do" in run.stage("export")
    # a bundle whose card lacks the evaluation is another one
    assert bundle_folder(load_experiment(str(run.config), ("evaluate.seeds=[7]",))).path != folder


def test_the_cards_tell_use_licence_and_figures(exported):
    _, folder, _ = exported
    card = open(f"{folder}/MODEL_CARD.md").read()
    for words in ("Intended use", "Not for decisions about people", "CC0", "Protocol", "generated speech only"):
        assert words in card
    facts = json.load(open(f"{folder}/bundle.json"))
    assert f"{100 * facts['figures']['test_uar']:.1f} %" in card and facts["figures"]["matrix"]["seeds"] == 1
    assert "/data/" not in json.dumps(facts["experiment"])
    for corpus in ("alder", "birch"):
        assert "| speakers | 3 (" in open(f"{folder}/DATA_CARD-{corpus}.md").read()


def test_every_extracted_corpus_gets_a_data_card(extracted):
    assert extracted.stage("card").count("card: ") == 2
    assert "label rule" in (extracted.output / "cards" / "alder.md").read_text()


def test_a_file_with_its_transcript_is_predicted_as_in_the_evaluation(exported, clips, tmp_path):
    """The same decoding, phones, vectors, normalisation and weights: the bundle lost nothing on its way."""
    run, folder, _ = exported
    matrix = evaluate_output(load_experiment(str(run.config))).table("predictions").to_pandas()
    tested = matrix.query("direction == 'alder->birch' and method == 'ag'").set_index("clip_id")
    words = pd.concat(pd.read_parquet(part) for part in run.output.glob("extract/birch/*/clips/*.parquet"))
    rows = words[words["clip_id"].isin(tested.index)][["audio_uri", "transcript"]]
    rows.rename(columns={"audio_uri": "file"}).to_csv(tmp_path / "clips.csv", index=False)
    predict(folder, tmp_path / "clips.csv", "--format", "parquet", "--output", tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert len(found) == len(tested) >= 4 and (found["phones"] == "aligned").all()
    for row in found.itertuples():
        expected = tested.loc[row.file.rpartition("/")[2].removesuffix(".mp4")]
        for name in ("neutral", "anger", "happiness", "sadness"):
            assert getattr(row, f"probability_{name}") == pytest.approx(expected[f"probability_{name}"], abs=1e-5)


def test_a_file_is_predicted_alike_alone_in_a_folder_and_by_ray(exported, clips, tmp_path):
    _, folder, _ = exported
    for clip in clips[:5]:
        shutil.copy(clip, tmp_path / clip.name)
    (tmp_path / "text.wav").write_text("this is no sound")
    together = [json.loads(line) for line in predict(folder, tmp_path, "--format", "jsonl", code=1).splitlines()]
    out = tmp_path / "out.jsonl"
    predict(folder, tmp_path, "--format", "jsonl", "--ray", "--output", out, code=1)
    by_ray = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["file"] for row in by_ray] == [row["file"] for row in together] and len(together) == 6
    assert "text.wav" in together[-1]["error"] and together[-1]["label"] is None
    assert not list(tmp_path.glob("*.work"))
    alone = json.loads(predict(folder, tmp_path / clips[2].name, "--format", "jsonl"))
    assert alone["phones"] == "windows" and alone["probabilities"] == together[2]["probabilities"]
    for row, other in zip(together[:5], by_ray[:5], strict=True):
        assert row["label"] == other["label"] and row["probabilities"] == pytest.approx(
            other["probabilities"], abs=1e-6
        )


def test_after_a_crash_only_the_missing_units_are_predicted(exported, clips, tmp_path, monkeypatch):
    from pipelines import predict as stage

    _, folder, _ = exported
    monkeypatch.setattr(stage, "_FILES_PER_UNIT", 2)
    names = [shutil.copy(clip, tmp_path) for clip in clips[:6]]
    asked = [folder, *names, "--ray", "--format", "jsonl", "--output", tmp_path / "out.jsonl"]
    with monkeypatch.context() as crash:
        crash.setattr(stage, "_joined", lambda *_: (_ for _ in ()).throw(stage.AgserError("power cut")))
        predict(*asked, code=2)
    parts = sorted(tmp_path.glob("out.jsonl.work/*/*.parquet"))
    assert len(parts) == 3 and not (tmp_path / "out.jsonl").exists()
    parts[1].unlink()
    with monkeypatch.context() as crash:
        crash.setattr(stage, "_joined", lambda *_: (_ for _ in ()).throw(stage.AgserError("power cut")))
        assert "6/6 files" in (printed := predict(*asked, code=2)) and "2/6 files" not in printed
    shutil.copy(clips[7], names[3])  # another clip by the same name: what was predicted of it is stale
    assert "6/6 files" in (printed := predict(*asked)) and "2/6 files" not in printed
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == names
    fresh = [json.loads(line) for line in predict(folder, clips[7], "--format", "jsonl").splitlines()]
    assert rows[3]["probabilities"] == pytest.approx(fresh[0]["probabilities"], abs=1e-6)


def test_phones_and_embedding_are_told_on_request(exported, clips):
    _, folder, _ = exported
    asked = (folder, clips[0], "--transcript", "she met a calm happy crew", "--phones", "--embedding")
    row = json.loads(predict(*asked, "--format", "jsonl"))
    assert row["emphasis"][0]["phone"] == "SH" and sum(span["share"] for span in row["emphasis"]) == pytest.approx(1)
    assert len(row["embedding"]) == 32  # the width of the small network
    assert "SH" in predict(*asked) and "embedding" in predict(*asked)


def test_enrolled_clips_change_the_statistics(exported, clips):
    _, folder, _ = exported
    plain = json.loads(predict(folder, clips[0], "--format", "jsonl"))["probabilities"]
    own = json.loads(predict(folder, clips[0], "--format", "jsonl", "--enrol", clips[1], "--enrol", clips[2]))
    assert own["probabilities"] != plain


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nowhere.mp4", "--like", "ravdess"], "statistics of alder and birch"),
        (["."], "no file below"),
        (["a.wav", "b.wav", "--transcript", "two words"], "--transcript is of one file"),
        (["a.wav", "--ray"], "--output"),
        (["a.wav", "--ray", "--output", "out.jsonl", "--like", "ravdess"], "statistics of alder and birch"),
        (["a.wav", "--format", "parquet"], "--output"),
        (["clips.csv"], "there is no table"),
    ],
)
def test_a_wrong_request_names_the_remedy(exported, tmp_path, monkeypatch, arguments, words):
    _, folder, _ = exported
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no clip")
    result = CliRunner().invoke(cli.main, ["predict", folder, *arguments])
    assert result.exit_code == 2 and words in result.stderr


def test_the_export_waits_for_the_training(exported):
    run, _, _ = exported
    printed = run.stage("export", "train.epochs=3", code=2)
    assert "Run `agser train`" in printed
    assert train_output(load_experiment(str(run.config))).is_complete()
