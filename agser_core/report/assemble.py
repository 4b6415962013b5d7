"""From the finished outputs of an experiment to what the report shows. What was not run stays missing."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
import yaml

from agser_core import media
from agser_core.chain import analyse_output, cluster_output, evaluate_output, train_output
from agser_core.corpora.splits import LEFT_OUT
from agser_core.errors import AgserError
from agser_core.experiment import Experiment
from agser_core.extracted import ExtractedCorpus, extracted_corpora
from agser_core.gestures.analysis import GestureSegments, gesture_segments
from agser_core.mouth.trajectory import opening
from agser_core.outputs import StageOutput
from agser_core.report import collect
from agser_core.report.inputs import ClipView, ReportInputs
from agser_core.report.truth import truth_table
from agser_core.storage import Location

_CLIPS_SHOWN = 2  # of each corpus
_ANALYSES = ("overlap", "vowel_clusters", "vowel_emotions", "sanity", "association", "acoustic_clusters")


def assemble(experiment: Experiment) -> ReportInputs:
    """Read everything that the experiment's stages have left.

    Raises AgserError where not even the extraction is finished.
    """
    corpora = list(extracted_corpora(experiment).values())
    manifests = {f"extract {corpus.name}": corpus.manifest for corpus in corpora}
    inputs = ReportInputs(
        name=experiment.name,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        config=yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        normalisation=experiment.train.normalise,
        encoder=corpora[0].manifest["encoder"],
        encoder_pretrained=corpora[0].manifest["pretrained"],
        versions=corpora[0].manifest["packages"],
    )
    _add_corpora(inputs, corpora)
    for name, output in _finished(experiment, corpora).items():
        manifests[name] = output.manifest()
        if name == "cluster":
            _add_gestures(inputs, output, [corpus for corpus in corpora if corpus.has_mouths])
        elif name == "analyse":
            _add_analyses(inputs, output)
            inputs.level = experiment.analyse.confidence
        elif name == "evaluate":
            inputs.results = output.table("summary").to_pandas()
            inputs.confusion = output.table("confusion").to_pandas()
            inputs.styles, inputs.style_edges = (output.table(name).to_pandas() for name in ("styles", "style_edges"))
            inputs.baseline, inputs.seeds = experiment.evaluate.baseline, experiment.evaluate.seeds
            inputs.leak_checks = _leak_checks(experiment, corpora)
    if experiment.cluster.transductive:
        inputs.notes.append("The gesture model was fitted on all speakers, test speakers among them (transductive).")
    if experiment.train.fine_tune:
        layer = experiment.extract.speech.frame_layer
        inputs.notes.append(f"Every fit trained the encoder's layers above layer {layer} too (train.fine_tune).")
    if experiment.is_generated:
        inputs.notes.append("The corpora are generated: no figure here says anything about real speech.")
        inputs.truth = truth_table(experiment, corpora)
    inputs.costs = collect.costs_table(manifests)
    inputs.fingerprints = collect.fingerprints_table(manifests)
    return inputs


def _finished(experiment: Experiment, corpora: Sequence[ExtractedCorpus]) -> dict[str, StageOutput]:
    """The later stages that are finished, by name."""
    stages = {"cluster": cluster_output, "analyse": analyse_output, "train": train_output, "evaluate": evaluate_output}
    finished = {}
    filmed = any(corpus.has_mouths for corpus in corpora)
    for name, output_of in stages.items():
        if filmed and name != "cluster" and "cluster" not in finished:
            break  # all later stages read the clusters
        if not filmed and name in ("cluster", "analyse"):
            continue
        output = output_of(experiment)
        if output.is_complete():
            finished[name] = output
    return finished


def _add_corpora(inputs: ReportInputs, corpora: Sequence[ExtractedCorpus]) -> None:
    clips = pd.concat([corpus.clips for corpus in corpora], ignore_index=True)
    errors = pd.concat([corpus.output.table("errors").to_pandas() for corpus in corpora], ignore_index=True)
    segments = pd.concat([corpus.segments.drop_columns(["mouth"]).to_pandas() for corpus in corpora], ignore_index=True)
    failed = errors[errors["step"] != "list"]
    inputs.corpora = collect.corpora_table(clips, failed)
    extracted = {corpus.name: corpus.manifest["tables"]["clips"]["rows"] for corpus in corpora}
    inputs.corpora["other emotions"] = (
        inputs.corpora["corpus"].map(extracted).fillna(0).astype(int) - inputs.corpora["clips"]
    )
    inputs.exclusions = collect.exclusions_table(failed)
    inputs.problems = errors[errors["step"] == "list"][["corpus", "uri", "reason", "remedy"]]
    inputs.tracking = collect.tracking_table(clips, segments)


def _add_gestures(inputs: ReportInputs, output: StageOutput, corpora: Sequence[ExtractedCorpus]) -> None:
    segments = gesture_segments(corpora, output)
    table = segments.table
    inputs.pair = (corpora[0].name, corpora[1].name) if len(corpora) > 1 else None
    if "elbow" in output.manifest()["tables"]:
        inputs.elbow = output.table("elbow").to_pandas()
    inputs.atlas = collect.atlas(
        segments.mouths,
        table["gesture"].to_numpy(),
        table["corpus"].to_numpy(str),
        table["ipa"].to_numpy(str),
        table["emotion"].to_numpy(object) if table["emotion"].notna().any() else None,
        segments.n_clusters,
        inputs.pair,
    )
    inputs.clips = [view for corpus in corpora for view in _clip_views(corpus, segments)]


def _add_analyses(inputs: ReportInputs, output: StageOutput) -> None:
    for name in _ANALYSES:
        if name in output.manifest()["tables"]:
            setattr(inputs, name, output.table(name).to_pandas())
    if inputs.sanity is not None and len(inputs.sanity):
        inputs.sanity_vowel = str(inputs.sanity["vowel"].iloc[0])


def _clip_views(corpus: ExtractedCorpus, segments: GestureSegments) -> list[ClipView]:
    """The clips of a corpus with the most gestures, one an emotion as far as there are."""
    table = segments.table[segments.table["corpus"] == corpus.name]
    counted = table.groupby(["clip_id", "emotion"], dropna=False).size().sort_values(ascending=False, kind="stable")
    chosen = counted.reset_index().drop_duplicates("emotion")["clip_id"].head(_CLIPS_SHOWN)
    clips = corpus.clips.set_index("clip_id", drop=False)
    tracks = corpus.tracks()
    phones = corpus.segments.drop_columns(["mouth"]).to_pandas()
    views = []
    for clip_id in chosen:
        track = tracks[clip_id]
        clip = {**clips.loc[clip_id].to_dict(), "times": track.times, "opening": opening(track)}
        source = Location.parse(clip["audio_uri"])
        if not source.exists():  # the tables outlive the media
            continue
        with source.local_copy() as path:
            waveform = media.read_audio(path)
        views.append(
            collect.clip_view(
                clip,
                waveform,
                media.SAMPLING_RATE,
                phones[phones["clip_id"] == clip_id],
                table[table["clip_id"] == clip_id],
            )
        )
    return views


def _leak_checks(experiment: Experiment, corpora: Sequence[ExtractedCorpus]) -> pd.DataFrame:
    """What was asserted on the very data of this run."""
    rows = []
    for corpus in corpora:
        for fold in range(experiment.split.folds):
            partition = corpus.partition(experiment.split, fold)
            partition = partition[partition != LEFT_OUT]
            people = corpus.clips.set_index("clip_id")["speaker"].loc[partition.index].groupby(partition).agg(set)
            everybody = set().union(*people)
            complete = experiment.split.by == "corpus" or everybody == set(corpus.clips["speaker"])
            sizes = ", ".join(f"{name} {len(speakers)}" for name, speakers in people.items())
            rows.append(
                {
                    "check": f"{corpus.name}, fold {fold}: no speaker in two partitions",
                    "passed": complete and sum(map(len, people)) == len(everybody),
                    "detail": f"speakers: {sizes}",
                }
            )
    clusters = cluster_output(experiment)
    if clusters.is_complete() and not experiment.cluster.transductive:
        rows += _fitted_speakers(experiment, corpora, clusters)
    return pd.DataFrame(rows)


def _fitted_speakers(experiment: Experiment, corpora: Sequence[ExtractedCorpus], clusters: StageOutput) -> list[dict]:
    """No test speaker is among those that the cluster stage recorded as fitted on."""
    rows = []
    for fold, fitted in enumerate(clusters.manifest()["fitted_speakers"]):
        tested = set()
        for corpus in corpora:
            partition = corpus.partition(experiment.split, fold)
            people = corpus.clips["speaker"][(partition == "test").to_numpy()]
            tested |= set(corpus.name + "/" + people)
        rows.append(
            {
                "check": f"fold {fold}: the gesture model was fitted without the test speakers",
                "passed": not tested & set(fitted),
                "detail": f"fitted on {len(fitted)} speakers, {len(tested)} are for test",
            }
        )
    return rows


def check_something_ran(inputs: ReportInputs) -> None:
    """Raise AgserError for a report that would show no clip at all."""
    if inputs.corpora is None or not np.any(inputs.corpora["clips"]):
        raise AgserError("no clip was extracted, so there is nothing to report; look at the errors tables")
