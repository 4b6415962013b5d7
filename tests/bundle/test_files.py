"""A bundle that is not the one that was exported is refused, with the file and the fault."""

import json
from pathlib import Path

import pytest
from drawn_bundle import made_facts, made_tensors

from agser_core.bundle.files import FACTS, WEIGHTS
from agser_core.bundle.model import NETWORK, load_model
from agser_core.errors import AgserError


def change(path: str, seal: bool = False, **values) -> None:
    """Edit bundle.json; with seal, as whoever knows the format would."""
    from agser_core.bundle.files import _seal

    file = Path(path) / FACTS
    content = {**json.loads(file.read_text()), **values}
    if seal:
        content.pop("sha256")
        content["sha256"] = _seal(content)
    file.write_text(json.dumps(content))


def test_a_good_bundle_has_nothing_to_tell(write):
    assert load_model(write()).differences == ()


def test_no_bundle(tmp_path):
    with pytest.raises(AgserError, match="is no bundle"):
        load_model(str(tmp_path))


def test_weights_that_were_changed(write):
    path = write()
    file = Path(path) / WEIGHTS
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(AgserError, match="model.safetensors is not the file that was exported"):
        load_model(path)


@pytest.mark.parametrize("name", [WEIGHTS, "MODEL_CARD.md"])
def test_a_file_that_is_missing(write, name):
    path = write()
    (Path(path) / name).unlink()
    with pytest.raises(AgserError, match=f"lacks its file .*{name}"):
        load_model(path)


def test_labels_that_were_swapped(write):
    path = write()
    change(path, classes=["anger", "neutral", "happiness", "sadness"])
    with pytest.raises(AgserError, match="was changed after the export"):
        load_model(path)


def test_classes_that_do_not_fit_the_weights(write):
    with pytest.raises(AgserError, match="3 classes .* need"):
        load_model(write(classes=["neutral", "anger", "happiness"]))


def test_a_tensor_that_is_missing(write):
    tensors = made_tensors()
    del tensors[f"{NETWORK}project.weight"]
    with pytest.raises(AgserError, match="project.weight is missing"):
        load_model(write(tensors))


def test_statistics_that_are_missing(write):
    tensors = {name: tensor for name, tensor in made_tensors().items() if name.startswith(NETWORK)}
    with pytest.raises(AgserError, match="lacks statistics.birch"):
        load_model(write(tensors))


def test_a_later_format_names_its_version(write):
    path = write()
    change(path, format=2, versions={"agser": "9.1.0"})
    with pytest.raises(AgserError, match="format 2 of agser 9.1.0.*install that version"):
        load_model(path)


def test_a_file_that_is_no_json(write):
    path = write()
    (Path(path) / FACTS).write_text("{half")
    with pytest.raises(AgserError, match="can't be read"):
        load_model(path)


def test_an_unknown_key_under_a_true_seal(write):
    path = write()
    change(path, seal=True, colour="blue")
    with pytest.raises(AgserError, match="colour"):
        load_model(path)


def test_other_versions_are_told_and_patches_are_not(write):
    versions = json.loads((Path(write()) / FACTS).read_text())["versions"]
    torch_version = versions["torch"].split(".")
    patched = ".".join([*torch_version[:2], "77"])
    assert load_model(write(versions={**versions, "torch": patched})).differences == ()
    told = load_model(write(versions={**versions, "torch": "1.0.0", "scipy": "0.1"})).differences
    assert len(told) == 2 and told[0].startswith("made with torch 1.0.0, here is 2")


def test_changed_code_of_the_encoder_is_told(write):
    path = write()
    encoder = json.loads((Path(path) / FACTS).read_text())["encoder"]
    (told,) = load_model(write(encoder={**encoder, "code": "000000000000"})).differences
    assert "encodes speech has changed" in told


def test_another_encoder_shape_is_refused(write):
    encoder = json.loads((Path(write()) / FACTS).read_text())["encoder"]
    with pytest.raises(AgserError, match=r"layer_weights has the shape \[1\]"):
        load_model(write(encoder={**encoder, "shape": (2, 10)}))


def test_weights_that_are_no_safetensors_run_nothing(write, tmp_path):
    """A pickle in the place of the weights is not opened as one."""
    import pickle

    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    from agser_core.bundle.files import CARD, write_bundle
    from agser_core.storage import Location

    folder = Location.parse(tmp_path / "trap")
    write_bundle(folder, made_facts(), {WEIGHTS: pickle.dumps(Trap()), CARD: b""})
    with pytest.raises(AgserError, match="no safetensors"):
        load_model(folder.path)
    assert not (tmp_path / "sprung").exists()
