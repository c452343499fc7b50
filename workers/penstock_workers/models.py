"""Where a tier's model is, and how its engine is started."""

import os
from importlib.metadata import Distribution
from importlib.resources import files
from pathlib import Path
from typing import Final

from penstock_shared.engine_options import devices_of
from penstock_shared.errors import SettingsError
from penstock_shared.tier_settings import TierSettings
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


def checkpoint_bytes(model: str) -> int | None:
    """Size of the weights' files; None where they are in no folder here."""
    sizes = [path.stat().st_size for path in Path(locate(model)).glob("*.safetensors")]
    return sum(sizes) or None


def engine_config(tier: TierSettings, started_ns: int) -> EngineConfig:
    """The engine configuration of a tier, in vLLM's words."""
    options = tier.engine_options()
    if devices_of(options) == 1:
        options["distributed_executor_backend"] = "uni"
    if "tokenizer" in options:
        options["tokenizer"] = locate(options["tokenizer"])
    speculation = options.get("speculative_config", {})
    if "model" in speculation:
        options["speculative_config"] = {**speculation, "model": locate(speculation["model"])}
    environment = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine's process is ours
        "VLLM_CPU_OMP_THREADS_BIND": tier.cpus or "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "TOKENIZERS_PARALLELISM": "false",
        # The n-gram proposer uses one thread; a pool of them stalls a busy CPU for seconds.
        "NUMBA_NUM_THREADS": "1",
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
        metering=tier.metering,
    )


def _spare_cores() -> int | None:
    """An engine that computes on the CPU leaves one core to its worker; None: it does not.

    Threads that wait for one of them that has no core cost more than they give.
    """
    return max(1, len(os.sched_getaffinity(0)) - 1) if is_cpu_build() else None


def is_cpu_build() -> bool:
    """True where the installed vLLM computes on the CPU."""
    return any(True for _ in Distribution.discover(name="vllm-cpu"))


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
