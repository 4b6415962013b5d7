"""MODEL_CARD.md: what a model is for, what it rests on, how well it did and under which protocol, where it fails."""

from __future__ import annotations

from agser_core.bundle.files import EncoderFacts
from agser_core.bundle.sound import LONGEST
from agser_core.corpora.card import licence_of
from agser_core.experiment import Experiment, SplitSettings
from agser_core.ser.settings import TrainSettings


def model_card(facts: dict, experiment: Experiment) -> str:
    """The card in Markdown. facts: the fields of `BundleFacts`."""
    encoder, settings, source, target = facts["encoder"], facts["settings"], facts["source"], facts["target"]
    adapted = f"and adapted to {target}, without its labels" if source != target else "and tested on its other speakers"
    sections = [
        f"# {facts['name']}: {', '.join(facts['classes'])} from speech",
        f"Trained on {source} {adapted}; method `{settings.method}`, encoder `{encoder.name}`"
        f"{_kind(encoder)}. "
        f"Exported {facts['created']} from the training run {facts['fingerprint']}.",
        "## Intended use",
        f"Research on speech emotion recognition across corpora. Input: single utterances of at most {LONGEST:.0f} s. "
        f"Output: shares of the classes {', '.join(facts['classes'])}; they are the network's confidence, not "
        "calibrated odds.",
        "Not for decisions about people: hiring, teaching, policing, health, insurance, or inferring what someone "
        "feels. The labels are what actors or raters meant by a word; the model has learned nothing else. In the "
        "European Union, inferring emotions at work and in education is prohibited by Article 5 of Regulation (EU) "
        "2024/1689.",
        "## Figures",
        _figures(facts, experiment),
        "## Data and licences",
        "\n".join(_corpus(name, experiment) for name in dict.fromkeys((source, target))),
        f"The weights derive from these corpora{'' if encoder.frame_layer is None else f' and from {encoder.name}'}: "
        "whether and on which terms they may be passed on, their licences say, not agser's own (Apache-2.0).",
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(facts, experiment)),
        "## Settings",
        "`bundle.json` holds all settings, versions and hashes. Input normalisation: "
        f"`{settings.normalise}`, by the statistics of {target}'s training speakers unless others are given.",
    ]
    return "\n\n".join(sections) + "\n"


def _kind(encoder: EncoderFacts) -> str:
    if not encoder.pretrained:
        return " (hand-crafted descriptors, no pretrained weights)"
    return "" if encoder.frame_layer is None else f" (layers above {encoder.frame_layer} fine-tuned)"


def _figures(facts: dict, experiment: Experiment) -> str:
    figures, split = facts["figures"], experiment.split
    lines = [
        "UAR: unweighted average recall, the mean of the classes' recalls; chance is "
        f"{100 / len(facts['classes']):.0f} %.",
        "",
        "| what | UAR | on |",
        "|---|---|---|",
        f"| this model, aligned phones | {_percent(figures['test_uar'])} | {figures['test_clips']} clips of "
        f"{figures['test_speakers']} test speakers of {facts['target']} |",
    ]
    if "windows_uar" in figures:
        lines.append(
            f"| this model, no transcripts | {_percent(figures['windows_uar'])} | {figures['windows_clips']} of them |"
        )
    if "matrix" in figures:
        row = figures["matrix"]
        mean, low, high = (_percent(row[key]) for key in ("uar_mean", "uar_low", "uar_high"))
        what = f"mean over {row['seeds']} seeds [95 % interval over {row['resampled']}]"
        lines.append(f"| {what} | {mean} [{low}, {high}] | {row['clips']} clips of {row['speakers']} speakers |")
    lines += [
        "",
        f"Protocol: {_dealt(split)}; fold {experiment.train.fold}. {_trained(facts['settings'])}, tested on the "
        "target's test speakers, whose labels took no part. Emotions other than the classes are left out of train and "
        "test.",
        *(f"- Warning of the training: {warning}" for warning in figures["warnings"]),
    ]
    return "\n".join(lines)


def _trained(settings: TrainSettings) -> str:
    """On whom, and which epoch was kept, in words."""
    on = f"Trained on the source's training {'and dev ' if settings.train_on_dev else ''}speakers"
    return f"{on}, the last epoch kept" if settings.keep == "last" else f"{on}, epoch chosen on its dev speakers"


def _dealt(split: SplitSettings) -> str:
    """How the speakers were parted, in words."""
    if split.by == "corpus":
        return "the corpora's own folds or published partitions as train, dev and test"
    dealt = f"speakers dealt into {split.groups} groups (seed {split.seed})"
    return f"{dealt}, {split.test_groups} tested, one for dev, the rest train"


def _corpus(name: str, experiment: Experiment) -> str:
    adapter = experiment.corpora[name].adapter
    return f"- {name} ({adapter}): {licence_of(adapter)}; more in `DATA_CARD-{name}.md`"


def _limits(facts: dict, experiment: Experiment) -> list[str]:
    can_enrol = facts["encoder"].frame_layer is None
    enrolment = "" if not can_enrol else "; clips of one's own can be enrolled (`agser predict --enrol`) against that"
    limits = [
        f"It always answers with one of {len(facts['classes'])} words, also for laughter, music or another language.",
        f"Other microphones, rooms, ages and languages than the corpora's lower the figures{enrolment}.",
        "Without a transcript, windows as long as a median phone stand for phones.",
    ]
    if facts["normalise"] == "speaker":
        limits.append(
            "Trained, and tested with aligned phones, on vectors normalised by speaker, while a new file's speaker is "
            f"unknown: the corpus' statistics stand in{', unless the speaker is enrolled' if can_enrol else ''}."
        )
    if experiment.is_generated:
        limits.insert(0, "Trained on generated speech only: no figure here says anything about real speech.")
    return limits


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
