"""From the finished `train` stage to a bundle."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from agser_core.bundle import onnx
from agser_core.bundle.card import model_card
from agser_core.bundle.files import CARD, FACTS, WEIGHTS, BundleFacts, EncoderFacts, installed_versions, write_bundle
from agser_core.bundle.model import (
    ALIGNED,
    ENCODER_CODE,
    NETWORK,
    WINDOWS,
    Model,
    Statistics,
    head_of,
    load_tuned_encoder,
    statistics_name,
)
from agser_core.bundle.sound import read_clip
from agser_core.bundle.windows import speech_windows
from agser_core.chain import evaluate_output, train_output
from agser_core.corpora.card import data_card
from agser_core.errors import AgserError, ClipError
from agser_core.evaluation.loading import FoldData, load_fold
from agser_core.evaluation.matrix import ALL_EMOTIONS, training_partitions
from agser_core.experiment import Experiment
from agser_core.extracted import ExtractedCorpus, extracted_corpora
from agser_core.fingerprint import code_version, fingerprint
from agser_core.ser import metrics
from agser_core.ser.dataset import moments
from agser_core.ser.prediction import load_network
from agser_core.ser.settings import TrainSettings
from agser_core.speech import load_encoder
from agser_core.storage import Location

_HEARD_FOR_STATISTICS = 64  # training clips of each corpus: some thousand windows
_HEARD_FOR_TEST = 200  # test clips predicted without their phones, to tell what that costs


def bundle_folder(experiment: Experiment) -> Location:
    """Where the bundle of the experiment's trained model lies: `<output>/bundle/<fingerprint>`.

    The card tells how the model's kind did in the evaluation where that is finished: then the bundle is another one.
    """
    evaluated = evaluate_output(experiment)
    identity = {
        "train": train_output(experiment).folder.name,
        "evaluated": evaluated.folder.name if evaluated.is_complete() else None,
        "code": code_version("bundle", "corpora/card"),
        "onnx": onnx.exporter_is_there(),
        "encoder_onnx": experiment.export.encoder_onnx,
    }
    return Location.parse(experiment.output).join("bundle", fingerprint(identity))


def is_exported(folder: Location) -> bool:
    return folder.join(FACTS).exists()


def export_bundle(experiment: Experiment, source: str, target: str) -> BundleFacts:
    """Write the bundle of the finished `train` stage to `bundle_folder`; returns what its bundle.json says.

    Reads some clips of both corpora again, for what pseudo-phones look like and what they cost. Raises AgserError
    where the model is not trained or the clips are gone.
    """
    output = train_output(experiment)
    trained, corpora = output.manifest(), extracted_corpora(experiment)
    weights = load_tensors(output.folder.join("weights.safetensors").read_bytes())
    settings = TrainSettings.model_validate(output.read_json("settings.json"))
    fold = load_fold(experiment, experiment.train.fold)
    facts = {
        "name": experiment.name,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "fingerprint": output.folder.name,
        "source": source,
        "target": target,
        "classes": list(fold.data[source].classes),
        "encoder": _encoder(experiment, settings, corpora[target]),
        "normalise": settings.normalise,
        "window": _median_phone([corpora[name] for name in {source: 0, target: 0}]),
        "settings": settings,
        "experiment": _without_places(experiment),
        "figures": {},
        "versions": installed_versions(),
    }
    speech = experiment.extract.speech
    encoder = load_tuned_encoder(facts["encoder"], weights, device=speech.device)
    graphs = {onnx.ENCODER: onnx.encoder_bytes(encoder)} if experiment.export.encoder_onnx else {}
    network = load_network(head_of(weights), settings)
    if onnx.exporter_is_there():
        graphs[onnx.HEAD] = onnx.head_bytes(network)
    model = Model(BundleFacts(**facts, files={}), network, encoder, {})
    tensors = {NETWORK + name: tensor.contiguous() for name, tensor in weights.items()}
    if settings.normalise != "none":
        frozen = model
        if settings.fine_tune:  # the inputs were normalised by statistics of the encoder as it was before
            frozen = replace(model, encoder=load_encoder(speech.encoder, layers=speech.layers, device=speech.device))
        for name in {source: 0, target: 0}:
            for kind, statistics in _statistics(frozen, corpora[name], fold).items():
                for part, values in statistics._asdict().items():
                    tensors[statistics_name(name, kind, part)] = torch.from_numpy(values)
                if name == target:
                    model.statistics[kind] = statistics
    facts["figures"] = _figures(experiment, trained, model, corpora[target], fold)
    cards = {
        f"DATA_CARD-{name}.md": data_card(experiment.corpora[name], corpora[name]) for name in {source: 0, target: 0}
    }
    files = {WEIGHTS: save_tensors(tensors), CARD: model_card(facts, experiment).encode(), **graphs}
    files |= {name: text.encode() for name, text in cards.items()}
    write_bundle(bundle_folder(experiment), facts, files)
    return BundleFacts(**facts, files={name: "" for name in files})


def _encoder(experiment: Experiment, settings: TrainSettings, corpus: ExtractedCorpus) -> EncoderFacts:
    manifest, speech = corpus.manifest, experiment.extract.speech
    return EncoderFacts(
        name=manifest["encoder"],
        pretrained=manifest["pretrained"],
        layers=speech.layers,
        frame_layer=speech.frame_layer if settings.fine_tune else None,
        shape=tuple(manifest["vector_shape"]),
        code=code_version(*ENCODER_CODE),
    )


def _median_phone(corpora: Sequence[ExtractedCorpus]) -> float:
    lengths = [
        corpus.segments["end"].to_numpy().astype(np.float64) - corpus.segments["start"].to_numpy() for corpus in corpora
    ]
    return round(float(np.median(np.concatenate(lengths))), 4)


def _statistics(model: Model, corpus: ExtractedCorpus, fold: FoldData) -> dict[str, Statistics]:
    """Of the training speakers' phones, and of pseudo-phones of some of their clips.

    Models trained with speaker normalisation get the whole corpus' too: who speaks in a new file is not known.
    """
    data, partition = fold.data[corpus.name], fold.partitions[corpus.name]
    train = np.flatnonzero(np.isin(partition, training_partitions(model.facts.settings.train_on_dev)))
    chosen = np.random.default_rng(0).permutation(train)[:_HEARD_FOR_STATISTICS]
    heard = [vectors for _, vectors in _heard(model, corpus, data.clip_id[chosen])]
    if not heard:
        raise AgserError(
            f"none of the training clips of {corpus.name!r} can be read where they lay at extraction; the export needs "
            f"to hear {len(chosen)} of them: put them back"
        )
    return {ALIGNED: Statistics(*moments(data.take(train))), WINDOWS: Statistics.of(np.concatenate(heard))}


def _heard(model: Model, corpus: ExtractedCorpus, clip_ids: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Vectors of the pseudo-phones of clips, those that can't be read any more left out."""
    places = corpus.clips.set_index("clip_id")["audio_uri"]
    for clip_id in clip_ids:
        place = Location(places[clip_id])
        if not place.exists():
            continue
        try:
            with place.local_copy() as path:
                waveform, _ = read_clip(path)
            yield clip_id, model.vectors(waveform, speech_windows(waveform, model.facts.window))
        except ClipError:  # too long or silent for a prediction, though not for training
            continue


def _figures(experiment: Experiment, trained: dict, model: Model, target: ExtractedCorpus, fold: FoldData) -> dict:
    """Test results of this model, with aligned phones and with pseudo-phones, and of its kind over seeds."""
    data, partition = fold.data[target.name], fold.partitions[target.name]
    test = data.take((partition == "test") & (data.emotion >= 0))
    figures = {
        "test_uar": trained["test_uar"],
        "test_clips": len(test),
        "test_speakers": len(set(test.speaker)),
        "chosen_epoch": trained["chosen_epoch"] + 1,
        "warnings": trained["warnings"],
    }
    chosen = np.sort(np.random.default_rng(0).permutation(len(test))[:_HEARD_FOR_TEST])
    truth = dict(zip(test.clip_id, test.emotion, strict=True))
    pairs = [
        (truth[clip_id], model.shares(model.normalised(vectors, WINDOWS)).argmax())
        for clip_id, vectors in _heard(model, target, test.clip_id[chosen])
    ]
    if pairs:
        known, found = np.array(pairs).T
        figures["windows_uar"] = float(metrics.uar(metrics.confusion(known, found, len(model.classes))))
        figures["windows_clips"] = len(pairs)
    evaluated = evaluate_output(experiment)
    if evaluated.is_complete():
        rows = evaluated.table("summary").to_pylist()
        direction = f"{model.facts.source}->{model.facts.target}"
        for row in rows:
            if (row["direction"], row["task"], row["method"]) == (direction, ALL_EMOTIONS, model.facts.settings.method):
                keys = ("uar_mean", "uar_low", "uar_high", "seeds", "clips", "speakers", "resampled")
                figures["matrix"] = {key: row[key] for key in keys}
    return figures


def _without_places(experiment: Experiment) -> dict:
    """The settings a stranger may see: how, not where."""
    settings = experiment.model_dump(mode="json", exclude={"output", "sample", "ray"})
    for corpus in settings["corpora"].values():
        corpus.pop("path")
    for place in ("openface_folder", "openface_program"):
        settings["extract"]["mouth"].pop(place)
    for place in ("dictionary", "mfa_program"):
        settings["extract"]["phones"].pop(place)
    return settings
