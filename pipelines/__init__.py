"""The Ray jobs, thin: each module is one stage, run by `agser STAGE` or `python -m pipelines.STAGE`."""
