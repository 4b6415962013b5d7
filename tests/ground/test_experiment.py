import pytest

from agser_core.errors import ConfigError
from agser_core.experiment import load_experiment


@pytest.fixture
def file(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "experiment.yaml"
        path.write_text("name: x\noutput: runs/x\ncorpora: {a: {adapter: sample, path: p}}\n" + text)
        return str(path)

    return write


def test_defaults_and_overrides(file):
    overrides = ("cluster.n_clusters=8", "corpora.a.path=q", "train.epochs=2")
    experiment = load_experiment(file("cluster: {n_clusters: 4}\ntrain:\n"), overrides)
    assert experiment.cluster.n_clusters == 8 and experiment.corpora["a"].path == "q" and experiment.train.epochs == 2


@pytest.mark.parametrize(
    "text, overrides, message",
    [
        ("clustre: {}\n", (), "clustre: unknown key; did you mean 'cluster'"),
        ("cluster: {n_cluster: 3}\n", (), "cluster.n_cluster: unknown key; did you mean 'n_clusters'"),
        ("extract: {mouth: {orgin: eyes}}\n", (), "extract.mouth.orgin: unknown key; did you mean 'origin'"),
        ("", ("corpora.a.pth=q",), "corpora.a.pth: unknown key; did you mean 'path'"),
        (
            "cluster: {n_clusters: 1}\n",
            (),
            r"cluster.n_clusters: input should be greater than or equal to 2 \(found 1\)",
        ),
        ("extract: {mouth: {origin: nose}}\n", (), "extract.mouth.origin: input should be 'mouth' or 'eyes'"),
        ("cluster: [1\n", (), "not valid YAML"),
        ("train: {method: agg}\n", (), "unknown method 'agg': did you mean 'ag'"),
        ("evaluate: {methods: [none, padd]}\n", (), "did you mean 'pa'"),
        ("evaluate: {baseline: pa, methods: [none]}\n", (), "the baseline 'pa' is not among the methods none"),
        ("evaluate: {directions: [a->b]}\n", (), "a direction names 'b'"),
        ("split: {folds: 9}\n", (), "6 groups by 2 for test make 3 folds"),
        ("train: {fold: 1}\n", (), "train.fold is 1, but split.folds is 1"),
        ("train: {fine_tune: true}\n", (), "layers above extract.speech.frame_layer, which is not set"),
        ("", ("corpora.a.adapter=ravdes",), "did you mean 'ravdess'"),
        ("", ("corpora.a/b={adapter: grid, path: q}",), "the corpus name 'a/b' may have letters, digits, _ and - only"),
        ("", ("cluster.n_clusters",), "write it as key=value"),
        ("", ("name.x=1",), "name is a value"),
        ("", ("evaluate.seeds=[0, 1",), r"override 'evaluate.seeds=\[0, 1': .* is not valid YAML"),
        ("evaluate: {seeds: [0, 1, 0]}\n", (), "evaluate.seeds: value error, 0 is given twice"),
        ("evaluate: {methods: [none, ag, ag]}\n", (), "evaluate.methods: value error, 'ag' is given twice"),
    ],
)
def test_what_is_wrong_is_named(file, text, overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_experiment(file(text), overrides)


def test_a_missing_file_names_the_ready_ones():
    with pytest.raises(ConfigError, match="no/such.yaml.*tune_configs/experiments"):
        load_experiment("no/such.yaml")


def test_outputs_are_named_the_same_from_every_folder(file, monkeypatch, tmp_path):
    """Ray Train's workers run in a folder of their own, and read the settings as the driver passes them on."""
    given = load_experiment(file(""))
    monkeypatch.chdir(tmp_path)
    assert given.output.startswith("/") and type(given).model_validate(given.model_dump()).output == given.output
    assert load_experiment(file(""), ("output=s3://bucket/runs",)).output == "s3://bucket/runs"
