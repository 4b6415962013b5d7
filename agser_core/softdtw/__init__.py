"""Soft-DTW of many series of different lengths: values, divergence, gradients, barycenters. Any gamma, float32 and
float64."""

from agser_core.softdtw.averages import barycenter, resample, soft_dtw_gradient
from agser_core.softdtw.pairs import pairwise, soft_dtw, soft_dtw_divergence

__all__ = ["barycenter", "pairwise", "resample", "soft_dtw", "soft_dtw_divergence", "soft_dtw_gradient"]
