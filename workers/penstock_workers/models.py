"""Where a tier's model is, and what identifies the answers that it gives."""

import os
from importlib.metadata import Distribution
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from penstock_shared.errors import SettingsError
from penstock_shared.settings import TierSettings
from penstock_workers.engine.protocol import EngineConfig

TOYS: Final = "penstock-toys/"


def locate(model: str) -> str:
    """Folder of a built-in toy; every other name is taken as it is (a folder or a hub name)."""
    if not model.startswith(TOYS):
        return model
    toys = Path(str(files("penstock_workers"))) / "toys" / "models"
    folder = toys / model.removeprefix(TOYS)
    if folder.parent != toys or not (folder / "config.json").is_file():
        known = sorted(path.name for path in toys.glob("*") if path.is_dir())
        raise SettingsError(f"there is no toy model {model!r}; there are {', '.join(known)}")
    return str(folder)


def identity(tier: TierSettings) -> dict[str, Any]:
    """What makes one model's answers another's: part of every cache key."""
    return tier.model_dump(include={"model", "revision", "quantization", "dtype", "max_model_len"})


def engine_config(tier: TierSettings, started_ns: int) -> EngineConfig:
    """The engine configuration of a tier, in vLLM's words."""
    names = {
        "revision",
        "dtype",
        "quantization",
        "max_model_len",
        "max_num_seqs",
        "gpu_memory_utilization",
        "tensor_parallel_size",
        "enable_prefix_caching",
        "enforce_eager",
        "speculative_config",
        "kv_cache_memory_bytes",
    }
    options = tier.model_dump(include=names, exclude_none=True)
    if tier.tensor_parallel_size == 1:
        options["distributed_executor_backend"] = "uni"
    environment = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine's process is ours
        "VLLM_CPU_OMP_THREADS_BIND": tier.cpus or "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "TOKENIZERS_PARALLELISM": "false",
    }
    cpus = parse_cpus(tier.cpus) if tier.cpus else ()
    threads = tier.cpu_threads or len(cpus) or _spare_cores()
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    return EngineConfig(
        model=locate(tier.model),
        price_per_hour_pusd=tier.price_per_hour_pusd,
        started_ns=started_ns,
        options=options,
        environment=environment,
        cpus=cpus,
    )


def _spare_cores() -> int | None:
    """An engine that computes on the CPU leaves one core to its worker; None: it does not.

    Threads that wait for one of them that has no core cost more than they give.
    """
    is_cpu_build = any(True for _ in Distribution.discover(name="vllm-cpu"))
    return max(1, len(os.sched_getaffinity(0)) - 1) if is_cpu_build else None


def parse_cpus(text: str) -> tuple[int, ...]:
    """Read a CPU list such as ``0-3,8``. Raises SettingsError."""
    try:
        return tuple(cpu for part in text.split(",") for cpu in _cpus_of(part))
    except ValueError:
        raise SettingsError(f"cpus: {text!r} is no CPU list; write it like 0-3,8") from None


def _cpus_of(part: str) -> range:
    first, dash, last = part.partition("-")
    cpus = range(int(first), int(last if dash else first) + 1)
    if not cpus:
        raise ValueError(part)
    return cpus
