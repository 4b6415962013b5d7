"""The science of agser: plain functions and small classes, without Ray. Start with `docs/how-it-works.md`."""

__version__ = "0.1.0"


def load_model(path, **options):
    """Load an exported model: `load_model(path).predict(waveform, sampling_rate)`. See `agser_core.bundle.model`."""
    from agser_core.bundle.model import load_model as load

    return load(path, **options)
