"""From waveforms to frame vectors (encoders), to phone vectors (pooling), and to one vector a speaker."""

from agser_core.speech.encoder import Encoder, load_encoder
from agser_core.speech.pooling import pool

__all__ = ["Encoder", "load_encoder", "pool"]
