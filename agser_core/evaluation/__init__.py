"""Directions x methods x seeds, judged by paired tests; planted corpora with a known answer."""
