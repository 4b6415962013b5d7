"""Export: the trained model as a folder to take away."""

from agser_core.bundle.export import bundle_folder, export_bundle, is_exported
from agser_core.bundle.onnx import HEAD, exporter_is_there
from agser_core.experiment import Experiment
from pipelines.stage import say, stage_command
from pipelines.train import direction_of


def run(experiment: Experiment) -> None:
    """Export the model of the finished stage train as a bundle.

    A folder with weights (safetensors), bundle.json (labels, preprocessing, encoder, settings, versions, hashes), a
    model card and a data card of each corpus; head.onnx too where the extra `onnx` is installed, and encoder.onnx on
    request. Hears some clips of both corpora again. `agser predict` and `agser_core.load_model` read it.
    """
    folder = bundle_folder(experiment)
    if is_exported(folder):
        say(f"export: done before, nothing to do ({folder.uri})")
        return
    figures = export_bundle(experiment, *direction_of(experiment)).figures
    say(f"export: UAR {100 * figures['test_uar']:.1f} % on {figures['test_clips']} test clips with aligned phones")
    if "windows_uar" in figures:
        clips = figures["windows_clips"]
        say(f"export: UAR {100 * figures['windows_uar']:.1f} % on {clips} of them as `predict` hears a stranger's file")
    if not exporter_is_there():
        say(f"export: without {HEAD}, which needs the extra 'onnx' (pip install 'agser[onnx]')")
    say(f"export: {folder.uri}")


main = stage_command("export", "export", "train")(run)

if __name__ == "__main__":
    main()
