"""The science of agser: plain functions and small classes, without Ray. Start with `docs/how-it-works.md`."""

__version__ = "0.1.0"
