"""Analyse: what the gestures of the corpora share, and how far they tell the sound."""

import pyarrow as pa

from agser_core.chain import analyse_output, cluster_output
from agser_core.experiment import Experiment
from agser_core.extracted import extracted_corpora
from agser_core.gestures.analysis import analyse_pair, analyse_sound, gesture_segments
from agser_core.gestures.recut import recut_gestures
from pipelines.stage import say, stage_command


def run(experiment: Experiment) -> None:
    """Measure what the gestures of two corpora share.

    Overlap in three forms with null and interval, by vowel and by emotion; sanity curves; association of gestures with
    the acoustics. Of the first fold. For generated corpora also the gestures of the mouths cut at the set phone times.
    """
    corpora = list(extracted_corpora(experiment).values())
    if not any(corpus.has_mouths for corpus in corpora):
        say("analyse: no corpus has a tracked mouth, so there are no gestures to analyse")
        return
    output = analyse_output(experiment)
    if output.is_complete():
        say(f"analyse: done before, nothing to do ({output.folder.uri})")
        return
    filmed = [corpus for corpus in corpora if corpus.has_mouths]
    segments = gesture_segments(filmed, cluster_output(experiment))
    tables = analyse_sound(segments, filmed, experiment.analyse)
    pair = [corpus.name for corpus in filmed[:2]]
    if len(pair) == 2:
        tables |= analyse_pair(segments, (pair[0], pair[1]), experiment.analyse)
    if experiment.is_generated:
        tables["recut"] = recut_gestures(experiment, filmed)
    for name, table in tables.items():
        output.write_table(name, pa.Table.from_pandas(table, preserve_index=False))
    output.commit(pair=pair, n_clusters=segments.n_clusters)
    if "overlap" in tables:
        whole = tables["overlap"].query("vowel == 'all' and emotion == 'all' and form == 'ratio'").iloc[0]
        figures = f"{whole['value']:.0f} % [{whole['low']:.0f}, {whole['high']:.0f}]"
        say(f"analyse: {pair[0]} and {pair[1]} share gestures to {figures} (mean ratio over common clusters)")
    say(f"analyse: {output.folder.uri}")


main = stage_command("analyse", "analyse")(run)

if __name__ == "__main__":
    main()
