# The environment of every node: Python, the packages that constraints.txt pins, this code. `make image` builds it.
FROM python:3.11-slim-bookworm

# ssh and rsync: the head sets up its workers with them. wget: KubeRay's health checks. libgl1, libglib2.0-0: OpenCV.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 openssh-client rsync wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 --shell /bin/bash ray

# PyPI's build of PyTorch brings CUDA, so that one image serves nodes with and without a GPU.
RUN pip install --no-cache-dir torch==2.13.0

WORKDIR /home/ray/agser
COPY --chown=ray:ray constraints.txt pyproject.toml README.md LICENSE ./
COPY --chown=ray:ray agser_core agser_core
COPY --chown=ray:ray pipelines pipelines
COPY --chown=ray:ray tune_configs tune_configs
# boto3: Ray's autoscaler starts and ends AWS nodes with it.
RUN pip install --no-cache-dir -c constraints.txt -e ".[sample]" boto3

ENV RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
USER 1000
