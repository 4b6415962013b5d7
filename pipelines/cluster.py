"""Cluster: mouth movements of both corpora to gestures, one model a fold."""

import time

from agser_core.chain import cluster_output
from agser_core.experiment import Experiment
from agser_core.extracted import extracted_corpora
from agser_core.gestures.fitting import FITTED, assign_gestures, elbow_table, fit_gestures, mouth_segments
from pipelines.stage import say, stage_command


def run(experiment: Experiment) -> None:
    """Cluster mouth movements into gestures with soft-DTW k-means.

    Fits on the training speakers of all corpora, then assigns every segment. Writes the table gestures, the elbow curve
    where the number of gestures was open, and one model file a fold.
    """
    output, corpora = cluster_output(experiment), list(extracted_corpora(experiment).values())
    if output.is_complete():
        say(f"cluster: done before, nothing to do ({output.folder.uri})")
        return
    if not any(corpus.has_mouths for corpus in corpora):
        say("cluster: no corpus has a tracked mouth, so there are no gestures; methods that need none can be evaluated")
        return
    chosen, fitted_speakers = experiment.cluster.n_clusters, []
    for fold in range(experiment.split.folds):
        started = time.monotonic()
        split = None if experiment.cluster.transductive else experiment.split
        keys, mouths = mouth_segments(corpora, split, fold)
        settings = experiment.cluster.model_copy(update={"n_clusters": chosen})
        model, elbow = fit_gestures(keys, mouths, settings)
        if elbow is not None:
            output.write_table("elbow", elbow_table(elbow))
            chosen = elbow.chosen  # the further folds take the number that the first one chose, so that they compare
        fitted_speakers.append(sorted(set(keys["speaker"][keys["partition"].isin(FITTED)])))
        output.write_table("gestures", assign_gestures(model, keys, mouths, fold), part=f"fold-{fold}")
        output.folder.join(f"model-{fold}.json").write_text(model.to_json())
        how = f"{model.n_iter_} iterations, {time.monotonic() - started:.1f} s"
        say(f"cluster: fold {fold}, {len(keys)} segments, {chosen} gestures, gamma {model.gamma_:.4g}, {how}")
    output.commit(n_clusters=chosen, transductive=experiment.cluster.transductive, fitted_speakers=fitted_speakers)
    say(f"cluster: {output.folder.uri}")


main = stage_command("cluster", "split", "cluster")(run)

if __name__ == "__main__":
    main()
