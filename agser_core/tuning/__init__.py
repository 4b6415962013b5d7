"""Hyperparameter search: what is searched, by which criterion, and what a search leaves. Ray is in `pipelines.tune`."""
