"""The encoder's top layers trained through the whole job: a killed worker, two workers, the matrix, a bundle."""

import pytest
import torch
import yaml
from jobs import Jobs
from safetensors.torch import load

import agser_core
from agser_core.bundle.export import bundle_folder
from agser_core.bundle.sound import read_clip
from agser_core.chain import evaluate_output, train_output
from agser_core.experiment import load_experiment

pytestmark = pytest.mark.slow

#: The same fit under other names, so that its outputs are other folders: patience that never runs out.
KILLED, TWO_WORKERS = "train.patience=50", "train.patience=60"


@pytest.fixture(scope="module")
def jobs(tiny_model, tmp_path_factory) -> Jobs:
    """Two generated corpora on disk, extracted with a tiny WavLM, of whose first layer the frames are kept."""
    folder = tmp_path_factory.mktemp("tuned")
    jobs = Jobs.of(folder, str(folder / "data"), str(folder / "run"), ("alder", "birch"))
    content = yaml.safe_load(jobs.config.read_text())
    content["extract"] = {"speech": {"encoder": tiny_model("wavlm"), "frame_layer": -2}}
    content["train"] |= {"fine_tune": True, "encoder_learning_rate": 1e-4, "epochs": 4}
    jobs.config.write_text(yaml.safe_dump(content))
    for stage in ("sample", "extract", "cluster", "train"):
        jobs.run(stage)
    return jobs


def trained(jobs: Jobs, *overrides: str) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses of the epochs, and the kept weights."""
    output = train_output(load_experiment(str(jobs.config), overrides))
    return output.table("history")["loss"].to_pylist(), load(output.folder.join("weights.safetensors").read_bytes())


def test_a_killed_worker_goes_on_to_the_same_losses(jobs, tmp_path):
    jobs.run("train", KILLED, faults=f"epoch:2:{tmp_path}")
    assert (tmp_path / "epoch2").exists()
    (losses, weights), (again, resumed) = trained(jobs), trained(jobs, KILLED)
    assert len(losses) == 4 and again == losses
    assert any(name.startswith("top.") for name in weights)
    assert all(torch.equal(resumed[name], weights[name]) for name in weights)


def test_two_workers_have_the_losses_of_one(jobs):
    jobs.run("train", TWO_WORKERS, "ray.train_workers=2")
    assert trained(jobs, TWO_WORKERS)[0] == pytest.approx(trained(jobs)[0], abs=1e-5)


def test_the_matrix_and_a_bundle_are_of_the_same_layers(jobs):
    chosen = ("evaluate.methods=[ag]", "evaluate.baseline=ag", "evaluate.directions=[alder->birch]")
    jobs.run("evaluate", *chosen)
    history = evaluate_output(load_experiment(str(jobs.config), chosen)).table("history").to_pandas()
    losses, weights = trained(jobs)
    assert history["loss"].tolist() == pytest.approx(losses, rel=1e-6)

    jobs.run("export")
    experiment = load_experiment(str(jobs.config))
    model = agser_core.load_model(bundle_folder(experiment).path, device="cpu")
    for name, tensor in model.encoder.top_layers().state_dict().items():
        assert torch.equal(tensor, weights[f"top.{name}"])
    assert "layers above -2 fine-tuned" in bundle_folder(experiment).join("MODEL_CARD.md").read_text()
    clip = next(iter(jobs.output("birch").table("clips").to_pylist()))
    waveform, _ = read_clip(clip["audio_uri"])
    assert model.predict(waveform, 16000, transcript=clip["transcript"]).label in model.classes
