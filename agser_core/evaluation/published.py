"""Published results, to stand beside ours in a column of their own, never mixed in.

Other splits, encoders and label rules than ours: comparable in kind, not in the last point. C: CREMA-D, I: MSP-IMPROV.
"""

import pandas as pd

_AG = "Upadhyay et al., ICASSP 2025, arXiv 2412.19909"
_SAPA = "Upadhyay, Busso, Lee, arXiv 2509.20373"
_COLUMNS = ("direction", "method", "uar", "uar_neutral", "uar_anger", "uar_happiness", "uar_sadness", "source")
_ROWS = [
    ("crema_d->crema_d", "none", 66.36, 89.44, 88.27, 85.35, 79.51, _AG),
    ("msp_improv->msp_improv", "none", 62.10, 87.84, 85.33, 83.68, 75.05, _AG),
    ("crema_d->msp_improv", "pa", 55.33, 75.35, 73.33, 74.82, 66.98, _AG),
    ("msp_improv->crema_d", "pa", 53.18, 75.46, 72.14, 73.64, 63.35, _AG),
    ("crema_d->msp_improv", "la", 56.04, 78.24, 75.49, 73.50, 66.73, _AG),
    ("msp_improv->crema_d", "la", 52.95, 77.67, 76.52, 74.52, 67.73, _AG),
    ("crema_d->msp_improv", "ag", 57.37, 78.51, 75.03, 76.74, 68.10, _AG),
    ("msp_improv->crema_d", "ag", 53.83, 77.46, 77.72, 75.30, 65.85, _AG),
    ("crema_d->msp_improv", "hard_ag", 54.87, 72.35, 74.46, 71.90, 69.41, _AG),
    ("msp_improv->crema_d", "hard_ag", 52.90, 70.68, 71.53, 70.24, 63.24, _AG),
    ("msp_podcast->biic_podcast", "sapa", 59.25, None, None, None, None, _SAPA),
    ("biic_podcast->msp_podcast", "sapa", 56.54, None, None, None, None, _SAPA),
]


def published_results() -> pd.DataFrame:
    """Four-class UAR and the four one-vs-rest UARs as printed, percent; every row says `published` and its source."""
    return pd.DataFrame(_ROWS, columns=_COLUMNS).assign(status="published")
