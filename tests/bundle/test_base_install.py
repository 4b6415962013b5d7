"""A bundle goes to a machine that has nothing but the package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

import agser_core

ROOT = Path(__file__).parents[2]
LISTEN = """
import importlib.util, json, sys
import soundfile
import agser_core

extras = [name for name in ("espeakng_loader", "skimage", "onnx", "pytest") if importlib.util.find_spec(name)]
model = agser_core.load_model(sys.argv[1])
found = model.predict(*soundfile.read(sys.argv[2], dtype="float32"))
print(json.dumps([extras, agser_core.__file__, list(model.differences), found.probabilities]))
"""


@pytest.mark.slow
def test_an_empty_environment_with_the_base_install_gives_the_same_probabilities(write, speech, tmp_path):
    environment, clip, bundle = tmp_path / "environment", tmp_path / "clip.wav", write()
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python, clean = str(environment / "bin" / "python"), {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*command, check=True):
        done = subprocess.run([python, *command], cwd=tmp_path, env=clean, capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stderr[-2000:]
        return done

    pip = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt"))
    if run(*pip, "safetensors", check=False).returncode:
        pytest.skip("no package index can be reached from here")
    run(*pip, str(ROOT))
    soundfile.write(clip, speech, 16000, subtype="FLOAT")
    extras, place, differences, there = json.loads(run("-c", LISTEN, bundle, str(clip)).stdout.splitlines()[-1])
    assert extras == [] and place.startswith(str(environment)) and differences == []
    here = agser_core.load_model(bundle).predict(speech, 16000).probabilities
    assert there == pytest.approx(here, abs=1e-6)
