"""Articulatory gestures: the k-means of mouth movements, and what the gestures say."""
