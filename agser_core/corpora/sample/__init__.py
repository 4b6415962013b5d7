"""Two generated audiovisual corpora with a known answer, "alder" and "birch", that differ as corpora do.

Reading order: plan (who says what) -> performance (sound, phones, gestures and lips as numbers; from speech and
gestures) -> generate (pictures and files; from face, portrait, raster and mesh) -> truth (the known answer, and
measures against it).
"""
