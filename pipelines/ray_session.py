"""Connect to Ray: to the running cluster the settings or RAY_ADDRESS name, else to one started on this machine."""

import contextlib
import logging
import os
from collections.abc import Iterator

import ray
import ray.data

from agser_core.experiment import RaySettings


@contextlib.contextmanager
def ray_session(settings: RaySettings) -> Iterator[None]:
    """Ray for the time of a stage. A session that is already there is used and left open."""
    mine = not ray.is_initialized()
    if mine:
        address = settings.address or os.environ.get("RAY_ADDRESS") or "local"
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        _quiet()
    try:
        yield
    finally:
        if mine:
            ray.shutdown()


def cluster_cpus() -> int:
    """CPUs of the whole cluster, at least one."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def spilled_bytes() -> int:
    """What the cluster has written to disk for want of object memory since it was started."""
    from ray._private.internal_api import get_memory_info_reply, get_state_from_address

    state = get_state_from_address(ray.get_runtime_context().gcs_address)
    return get_memory_info_reply(state).store_stats.spilled_bytes_total


def limit_threads() -> None:
    """Keep native code in this worker to the CPUs that Ray gave it: Ray reserves CPUs, it does not confine threads."""
    cpus = max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(cpus)


def _quiet() -> None:
    """Our own progress lines say what matters."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
