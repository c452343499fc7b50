"""Settings: built once per process, frozen, from penstock.toml and PENSTOCK_* variables.

Order, strongest first: arguments, PENSTOCK_* variables, penstock.toml, the running stack of the
home (stack.json), defaults. Nested keys in variables are joined by two underscores:
``PENSTOCK_CACHE__THRESHOLD=0.98``.
"""

import math
import os
from pathlib import Path
from typing import Annotated, Any, Final, Self

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

from penstock_shared.budgets import Budget, check_apart
from penstock_shared.cache_settings import CacheSettings
from penstock_shared.errors import SettingsError
from penstock_shared.gates import (
    DEFAULT_GATES,
    GATES_NAME,
    Gate,
    in_force,
    read_gates,
    warn_of_stale,
)
from penstock_shared.report_settings import ReportSettings
from penstock_shared.settings_source import (
    as_values,
    connection_of_home,
    explain,
    nearest,
    read_toml,
)
from penstock_shared.tier_settings import TierSettings, default_tiers
from penstock_shared.words import TaskType

TOML_NAME: Final = "penstock.toml"
_NO_PLACE_FOR_GATES: Final = "gates are measured, not set; penstock-worker eval gates writes them"


TierName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


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
            task_types=(
                TaskType.FACTUAL_QA,
                TaskType.CHAT,
                TaskType.TRANSLATION,
                TaskType.CODE,
            ),
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
    engine_silence_s: float = Field(
        600.0, ge=1, description="an engine that says nothing for so long is killed; a step is less"
    )
    interactive_slowdown: float = Field(
        1.6, gt=1, le=100, description="of interactive jobs, by batch lines in the engine, at most"
    )
    accept_unrouted: bool = Field(
        default=True, description="also take penstock.infer from Celery's default queue"
    )


class FlowerSettings(_Section):
    """Flower's address and its user."""

    host: str = "127.0.0.1"
    port: int = Field(0, ge=0, le=65535, description="0: a free one")
    user: str = "penstock"
    password: SecretStr | None = None


def _shipped_gates(values: dict[str, Any]) -> dict[str, dict[TaskType, Gate]]:
    """The gates that the default tiers were measured to have."""
    return in_force(read_gates(DEFAULT_GATES), values.get("tiers", {}))


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
    report: ReportSettings = ReportSettings()
    budgets: tuple[Budget, ...] = ()
    gates: dict[TierName, dict[TaskType, Gate]] = Field(
        default_factory=_shipped_gates,
        description="what gates.json says of these tiers; stands in no other place",
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        for rule in self.routing.rules:
            if rule.tier not in self.tiers:
                known = ", ".join(self.tiers)
                raise ValueError(
                    f"routing rule {rule.name!r} sends to tier {rule.tier!r}, "
                    f"which is not among the tiers ({known})"
                )
        if self.worker.heartbeat_s * 2 > self.worker.lease_s:
            raise ValueError("worker.lease_s must be at least twice worker.heartbeat_s")
        check_apart(self.budgets)
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
    def gates_file(self) -> Path:
        """Where gates are read from: beside the penstock.toml in force, else in the home."""
        return (self.config.parent if self.config else self.home) / GATES_NAME

    @property
    def largest_tier(self) -> str:
        """The tier with the longest context, the most expensive among equals.

        A context that is the model's own, so not known here, counts as the longest.
        """
        return max(
            self.tiers,
            key=lambda t: (self.tiers[t].context_tokens or math.inf, self.tiers[t].price_per_hour),
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
        values = {k: v for k, v in super().__call__().items() if k not in {"home", "config"}}
        tiers = values.get("tiers")
        for tier in tiers.values() if isinstance(tiers, dict) else ():
            if isinstance(tier, dict) and "speculative_config" in tier:
                tier["speculative_config"] = as_values(tier["speculative_config"])
        return values


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
    defaults = {name: tier.model_dump(exclude_unset=True) for name, tier in default_tiers().items()}
    values.setdefault("tiers", defaults)
    if "gates" in values:
        raise SettingsError(f"gates (in {toml}): {_NO_PLACE_FOR_GATES}")
    try:
        settings = Settings(**{**values, "home": place, "config": toml})
    except ValidationError as error:
        raise SettingsError(explain(error, Settings, toml)) from None
    except PydanticSettingsError as error:
        raise SettingsError(f"a PENSTOCK_ variable cannot be read: {error}") from None
    if not settings.gates_file.is_file():
        return settings
    gates = read_gates(settings.gates_file)
    warn_of_stale(gates, settings.tiers, settings.gates_file)
    return settings.model_copy(update={"gates": in_force(gates, settings.tiers)})


def _refuse_unknown_variables() -> None:
    for variable in os.environ:
        if variable.startswith("PENSTOCK_"):
            key = variable.removeprefix("PENSTOCK_").split("__")[0].lower()
            if key == "gates":
                raise SettingsError(f"{variable}: {_NO_PLACE_FOR_GATES}")
            if key not in Settings.model_fields:
                hint = nearest((key,), Settings)
                raise SettingsError(f"unknown variable {variable}: no setting {key!r}{hint}")
