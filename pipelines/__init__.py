"""The Ray jobs, thin: each module is one stage, run by `agser STAGE` or `python -m pipelines.STAGE`."""

import os

# Ray reads these when it is imported, which is always after this. RAY_AUTH_MODE is never left unset: Ray 2.60 would
# start a cluster with a token and then talk to it without. Each `report` of Ray Train waits for the controller's poll.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")
