"""What an adapter found, in numbers and as text for the terminal."""

from collections import Counter

from agser_core.corpora.clip import CLASSES, Corpus

_NAMED = 10  # problems and missing files that the text names; the dictionary has them all


def describe(corpus: Corpus) -> dict:
    """Counts of a corpus: clips, speakers by gender, labels (the four classes first), languages, files at fault."""
    clips = corpus.clips
    genders = {clip.speaker: clip.gender or "unknown" for clip in clips}
    emotions = Counter(clip.emotion or "no label" for clip in clips)
    order = [*CLASSES, *sorted(emotions.keys() - set(CLASSES))]
    return {
        "corpus": corpus.name,
        "clips": len(clips),
        "speakers": dict(sorted(Counter(genders.values()).items())),
        "emotions": {emotion: emotions[emotion] for emotion in order if emotions[emotion]},
        "label_rule": sorted({clip.label_rule for clip in clips if clip.label_rule}),
        "languages": dict(sorted(Counter(clip.language or "unknown" for clip in clips).items())),
        "folds": dict(sorted(Counter(clip.fold for clip in clips if clip.fold).items())),
        "with_video": sum(clip.video_uri is not None for clip in clips),
        "with_transcript": sum(clip.transcript is not None for clip in clips),
        "with_phone_labels": sum(clip.phones_uri is not None for clip in clips),
        "problems": [{"uri": fault.uri, "reason": fault.reason, "remedy": fault.remedy} for fault in corpus.problems],
        "missing": list(corpus.missing),
        "notes": dict(corpus.notes),
    }


def describe_text(corpus: Corpus) -> str:
    """`describe` for the terminal: one line a fact, the first files at fault by name and reason."""
    facts = describe(corpus)
    lines = [f"{facts['corpus']}: {facts['clips']} clips of {sum(facts['speakers'].values())} speakers"]
    for name in ("speakers", "emotions", "languages", "folds", "notes"):
        if facts[name]:
            lines.append(f"  {name:18} " + ", ".join(f"{key} {value}" for key, value in facts[name].items()))
    lines.append(f"  {'label rule':18} {', '.join(facts['label_rule']) or 'none'}")
    for name in ("with_video", "with_transcript", "with_phone_labels"):
        lines.append(f"  {name.replace('_', ' '):18} {facts[name]}")
    lines.append(f"  {'missing files':18} {len(facts['missing'])}")
    lines += [f"    {name}" for name in facts["missing"][:_NAMED]]
    lines += [f"    ... and {len(facts['missing']) - _NAMED} more"] * (len(facts["missing"]) > _NAMED)
    lines.append(f"  {'problems':18} {len(facts['problems'])}")
    lines += [f"    {fault['uri']}: {fault['reason']}. {fault['remedy']}" for fault in facts["problems"][:_NAMED]]
    lines += [f"    ... and {len(facts['problems']) - _NAMED} more"] * (len(facts["problems"]) > _NAMED)
    return "\n".join(lines)
