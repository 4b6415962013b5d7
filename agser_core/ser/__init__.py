"""Anchored training of the emotion classifier. Read: dataset, settings, network, sampler, anchors, trainer, metrics."""
