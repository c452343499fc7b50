"""A tier's settings: Penstock's own, and the engine's under vLLM's names."""

from decimal import Decimal
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from penstock_shared import money
from penstock_shared.engine_catalogue import catalogue
from penstock_shared.engine_options import check_devices, check_tier, one_of
from penstock_shared.speculative_options import check_speculation
from penstock_shared.words import Metering, TaskType

FIT_MEMORY: Final = -1  # max_model_len: as long as the KV cache can hold
_LEAST_LENGTH: Final = 16
_NOT_OPTIONS: Final = frozenset(
    {"model", "price_per_hour", "metering", "task_types", "cpus", "cpu_threads"}
)


class TierSettings(BaseModel):
    """A tier: a queue, an engine configuration, a price, and the tasks that it may serve.

    Every other option of vLLM may stand beside these fields, under its own name. What is not set
    is not passed, so that vLLM's default holds.
    """

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    model: str = Field(description="folder, hub name, or a built-in toy: penstock-toys/small")
    revision: str | None = None
    price_per_hour: Decimal = Field(ge=0, description="USD for all devices of one worker")
    metering: Metering = Field(Metering.KV, description="how its price is divided: kv or computed")
    task_types: tuple[TaskType, ...] = Field(tuple(TaskType), min_length=1)
    dtype: str = "auto"
    quantization: str | None = None
    max_model_len: int | None = Field(None, description="tokens of prompt and answer together")
    max_num_seqs: int | None = Field(None, ge=1, le=4096, description="requests in the engine")
    gpu_memory_utilization: float = Field(0.92, gt=0, le=1)
    kv_cache_memory_bytes: int | None = Field(None, gt=0, description="instead of a share")
    tensor_parallel_size: int = Field(1, ge=1)
    enable_prefix_caching: bool | None = None
    enforce_eager: bool = Field(default=False, description="no compilation at start")
    speculative_config: dict[str, Any] | None = None
    cpus: str | None = Field(None, description="CPU cores of the engine process, such as 0-3,8")
    cpu_threads: int | None = Field(None, ge=1, description="CPU builds: threads of the engine")

    @property
    def price_per_hour_pusd(self) -> int:
        """The price in picodollars."""
        return money.from_usd(self.price_per_hour)

    @property
    def context_tokens(self) -> int | None:
        """Tokens of prompt and answer together; None where only the loaded engine knows."""
        return None if self.max_model_len == FIT_MEMORY else self.max_model_len

    @property
    def other_options(self) -> dict[str, Any]:
        """The options of vLLM that are no fields here."""
        return dict(self.model_extra or {})

    def engine_options(self) -> dict[str, Any]:
        """All that was set for vLLM, under vLLM's names."""
        return self.model_dump(exclude=set(_NOT_OPTIONS), exclude_unset=True, exclude_none=True)

    def identity(self) -> dict[str, Any]:
        """What makes this tier's answers others than another's.

        Of the options that are passed on to vLLM, nobody knows which change an answer: all count.
        """
        named = {"model", "revision", "quantization", "dtype", "max_model_len"}
        return {**self.other_options, **self.model_dump(include=named)}

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, values: Any) -> Any:
        if isinstance(values, dict):
            check_tier(values, cls.model_fields.keys())
        return values

    @field_validator("dtype")
    @classmethod
    def _dtype_is_known(cls, value: str) -> str:
        one_of(catalogue().dtypes, value, what="dtype")
        return value

    @field_validator("quantization")
    @classmethod
    def _quantization_is_known(cls, value: str | None) -> str | None:
        if value is not None:
            one_of(catalogue().quantization_methods, value, what="quantization")
        return value

    @field_validator("max_model_len")
    @classmethod
    def _length_is_usable(cls, value: int | None) -> int | None:
        if value is not None and value != FIT_MEMORY and value < _LEAST_LENGTH:
            raise ValueError(
                f"write at least {_LEAST_LENGTH} tokens, or {FIT_MEMORY} for what memory can hold"
            )
        return value

    @field_validator("speculative_config")
    @classmethod
    def _speculation_is_known(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            check_speculation(value)
        return value

    @model_validator(mode="after")
    def _executor_has_devices(self) -> Self:
        check_devices(self.engine_options())
        return self


def default_tiers() -> dict[str, TierSettings]:
    """Three tiers of built-in toy models, which run anywhere on a CPU.

    Their engines and their gates are what docs/measurements.md found best.
    """
    return {
        "small": TierSettings(
            model="penstock-toys/small",
            price_per_hour=Decimal("0.40"),
            max_model_len=1024,
            max_num_seqs=128,
            kv_cache_memory_bytes=256 * 2**20,
            cpu_threads=1,
            enforce_eager=True,
        ),
        "medium": TierSettings(
            model="penstock-toys/medium",
            price_per_hour=Decimal("1.20"),
            max_model_len=2048,
            max_num_seqs=64,
            kv_cache_memory_bytes=256 * 2**20,
            cpu_threads=1,
            enforce_eager=True,
        ),
        "large": TierSettings(
            model="penstock-toys/large",
            price_per_hour=Decimal("4.00"),
            max_model_len=8192,
            max_num_seqs=32,
            kv_cache_memory_bytes=512 * 2**20,
            cpu_threads=1,
            enforce_eager=True,
        ),
    }
