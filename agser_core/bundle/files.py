"""The files of a bundle, how they are sealed, and what is checked before any of them is believed.

Weights are safetensors, the rest is JSON and text: reading a bundle runs no code of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import PackageNotFoundError, version

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agser_core.errors import AgserError
from agser_core.ser.settings import TrainSettings
from agser_core.storage import Location

FORMAT = 1
FACTS, WEIGHTS, CARD = "bundle.json", "model.safetensors", "MODEL_CARD.md"
_PACKAGES = ("agser", "torch", "numpy", "scipy", "librosa", "soundfile", "av", "pocketsphinx", "transformers")


class EncoderFacts(BaseModel):
    """Which encoder the model listens through."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="embedded, or a Hugging Face id or path")
    pretrained: bool
    layers: list[int] | None = Field(description="the layers that were kept; all where None")
    frame_layer: int | None = Field(
        None, description="the layer above which the bundle has fine-tuned weights of its own; none where None"
    )
    shape: tuple[int, int] = Field(description="layers and dimension of a phone vector")
    code: str = Field(description="hash of the code that encodes")


class BundleFacts(BaseModel):
    """What bundle.json says: all that prediction needs beside the tensors, and where the model comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    name: str = Field(description="of the experiment")
    created: str
    fingerprint: str = Field(description="of the output of `agser train` that was exported")
    source: str = Field(description="corpus whose labels trained the model")
    target: str = Field(description="corpus that the model was adapted to, without its labels")
    classes: list[str] = Field(description="in the order of the network's outputs")
    encoder: EncoderFacts
    vectors: str = Field("float16", description="type to which phone vectors are rounded before the network")
    normalise: str = Field(description="none, corpus or speaker: how training inputs were normalised")
    window: float = Field(gt=0, description="s, median length of the training phones: pseudo-phones without transcript")
    settings: TrainSettings
    experiment: dict = Field(description="the experiment's settings without the places of files")
    figures: dict = Field(description="test results with their protocol")
    versions: dict[str, str]
    files: dict[str, str] = Field(description="SHA-256 of every other file of the bundle")


def installed_versions() -> dict[str, str]:
    """Versions of the packages on which a prediction depends, those that are installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_bundle(folder: Location, facts: dict, files: dict[str, bytes]) -> None:
    """Write the files, then bundle.json with their hashes: a bundle without it does not exist.

    facts: the fields of `BundleFacts` but `files`. files: content by name.
    """
    for name, content in files.items():
        folder.join(name).write_bytes(content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    sealed = BundleFacts(**facts, files=hashes).model_dump(mode="json")
    folder.join(FACTS).write_text(json.dumps({**sealed, "sha256": _seal(sealed)}, indent=1, ensure_ascii=False))


def read_bundle(folder: Location) -> tuple[BundleFacts, dict[str, bytes]]:
    """Read and check a bundle: its facts, and the content of every file by name.

    Raises AgserError that names the file and the fault: no bundle, another format, a changed bundle.json, a file that
    is missing or is not the one that was exported.
    """
    place = folder.join(FACTS)
    if not place.exists():
        raise AgserError(f"{folder.uri} is no bundle: it has no {FACTS}. Give the folder that `agser export` printed")
    try:
        content = json.loads(place.read_text())
        found = content["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise AgserError(f"{place.uri} can't be read ({error}): export or copy the bundle again") from error
    if found != FORMAT:
        made = (content.get("versions") or {}).get("agser", "an unknown version")
        remedy = "install that version or a later one" if str(found) > str(FORMAT) else "export the model again"
        raise AgserError(
            f"{folder.uri} has the bundle format {found!r} of agser {made}; agser {version('agser')} reads "
            f"format {FORMAT}: {remedy}"
        )
    if content.pop("sha256", None) != _seal(content):
        raise AgserError(f"{place.uri} was changed after the export: its seal does not fit. Export or copy it again")
    try:
        facts = BundleFacts.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise AgserError(f"{place.uri}: {where}: {fault['msg']}. Export the model again") from None
    return facts, {name: _checked(folder.join(name), expected) for name, expected in facts.files.items()}


def differences(facts: BundleFacts, encoder_code: str) -> list[str]:
    """What is not as it was when the bundle was made, in sentences; patch versions of packages don't count."""
    found = installed_versions()
    used = [name for name in facts.versions if name != "transformers" or facts.encoder.pretrained]
    told = [
        f"made with {name} {facts.versions[name]}, here is {found.get(name, 'none')}"
        for name in used
        if _minor(found.get(name, "")) != _minor(facts.versions[name])
    ]
    if encoder_code != facts.encoder.code:
        told.append("the code that encodes speech has changed since: probabilities may differ from those of the export")
    return told


def _checked(file: Location, expected: str) -> bytes:
    if not file.exists():
        raise AgserError(f"the bundle lacks its file {file.uri}: export or copy it again")
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise AgserError(
            f"{file.uri} is not the file that was exported (SHA-256 {found[:12]}..., bundle.json says "
            f"{expected[:12]}...): export or copy the bundle again"
        )
    return content


def _seal(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _minor(text: str) -> list[str]:
    return re.findall(r"\d+", text)[:2]
