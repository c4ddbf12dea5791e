"""How busy the machine is, in the journal under MLflow's own names."""

import logging
import threading
import time
from collections.abc import Callable

import psutil

from pipelines.tracking.journal import Journal

log = logging.getLogger(__name__)

MEGA = 1e6


def processor_and_memory() -> dict[str, float]:
    """CPU use since the last call (%), memory and disk under MLflow's names; megabytes are 1e6 bytes."""
    memory = psutil.virtual_memory()
    disk = psutil.disk_usage("/")
    return {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_megabytes": round(memory.used / MEGA, 1),
        "system/system_memory_usage_percentage": round(100 * memory.used / memory.total, 1),
        "system/disk_usage_percentage": disk.percent,
        "system/disk_usage_megabytes": round(disk.used / MEGA, 1),
        "system/disk_available_megabytes": round(disk.free / MEGA, 1),
    }


def gpu_names() -> list[str]:
    """The names of the NVIDIA GPUs that the driver shows; empty without a driver."""
    import pynvml  # type: ignore[import-untyped]

    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        return [str(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(i))) for i in range(count)]
    except pynvml.NVMLError:
        return []


def gpus(count: int) -> dict[str, float]:
    """Memory, use and power of the first `count` GPUs; what the driver does not tell is left out."""
    import pynvml

    found: dict[str, float] = {}
    for number in range(count):
        name = f"system/gpu_{number}"
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            found[f"{name}_memory_usage_percentage"] = round(100 * int(memory.used) / int(memory.total), 1)
            found[f"{name}_memory_usage_megabytes"] = round(int(memory.used) / MEGA, 1)
            found[f"{name}_utilization_percentage"] = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
            found[f"{name}_power_usage_watts"] = pynvml.nvmlDeviceGetPowerUsage(handle) / 1000
        except pynvml.NVMLError as error:
            log.debug("GPU %d does not tell all: %s", number, error)
    return found


class SystemSampler:
    """A daemon thread that samples this machine every `every` seconds into `journal` until `close`.

    The first sample comes after a second at most, so that short runs have one. The step counts seconds (or
    `every`, where that is less) since `begin` (seconds since 1970, the first launch): it grows across
    launches. All GPUs of the machine are sampled, whichever this run uses. `close` adds the mean use of each
    over the launch, and of the processors.
    """

    def __init__(
        self, journal: Journal, begin: float, every: float = 10.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._journal = journal
        self._begin = begin
        self._every = every
        self._clock = clock
        self._uses: dict[str, list[float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="system-metrics", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def close(self) -> None:
        """Stop; nothing is written after this returns."""
        self._stop.set()
        self._thread.join(5.0)
        means = {
            name.replace("_utilization_", "_mean_utilization_"): round(sum(values) / len(values), 1)
            for name, values in self._uses.items()
        }
        if means:
            self._journal.append("metrics", metrics=means, step=self._step())

    def _step(self) -> int:
        return round((self._clock() - self._begin) / min(1.0, self._every))

    def _work(self) -> None:
        psutil.cpu_percent()
        count = len(gpu_names())
        pause = min(1.0, self._every)
        while not self._stop.wait(pause):
            pause = self._every
            try:
                sample = {**processor_and_memory(), **gpus(count)}
            except (OSError, psutil.Error) as error:
                log.debug("no sample of the machine: %s", error)
                continue
            for name in sample:
                if name.endswith("_utilization_percentage"):
                    self._uses.setdefault(name, []).append(sample[name])
            self._journal.append("metrics", metrics=sample, step=self._step())
