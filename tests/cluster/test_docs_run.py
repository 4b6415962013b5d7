"""The commands of the pages are run as they stand, in a fresh checkout whose sample is small."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="a cluster needs its own processes"),
]
SMALL = {
    "sample": {"speakers": 3, "sentences": 1},
    "split": {"groups": 3, "test_groups": 1},
    "cluster": {"candidates": [3, 4, 5], "restarts": 1},
    "analyse": {"permutations": 20, "bootstrap": 20},
    "train": {"epochs": 1, "batch_size": 8, "network": {"width": 32, "feed_forward": 32, "heads": 2}},
    "evaluate": {"methods": ["none", "ag"], "seeds": [0], "bootstrap": 20},
}


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.M | re.S)


def test_the_pages_in_their_order(checkout, short_folder):
    file = checkout.folder / "tune_configs" / "experiments" / "sample.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **SMALL}))
    (mine,) = blocks("your-corpus.md", "yaml")
    (checkout.folder / "mine.yaml").write_text(yaml.safe_dump({**yaml.safe_load(mine), **SMALL}))
    pages = ("first-run.md", "your-corpus.md", "on-a-cluster.md")
    script = ["set -ex", "ip link set lo up", *(block for page in pages for block in blocks(page, "sh"))]
    (checkout.folder / "pages.sh").write_text("\n".join(script))
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "bash", "pages.sh"],
        cwd=checkout.folder,
        env={**checkout.environment, "RAY_TMPDIR": short_folder},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=3000,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    for words in ("nothing to do", "run: the plan for sample", "birch-01-anger-1", "succeeded", "SUCCEEDED"):
        assert words in done.stdout
    assert (checkout.folder / "runs" / "mine" / "report.html").exists()
