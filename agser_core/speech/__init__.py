"""From waveforms to frame vectors (encoders), and from these to phone vectors (pooling)."""

from agser_core.speech.encoder import Encoder, load_encoder
from agser_core.speech.pooling import pool

__all__ = ["Encoder", "load_encoder", "pool"]
