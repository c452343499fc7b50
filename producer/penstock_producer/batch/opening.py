"""A batch from a program: of a file, or of whatever it iterates over."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

from penstock_producer.batch.handle import BatchHandle
from penstock_producer.batch.inputs import Input
from penstock_producer.batch.options import RunOptions, usd
from penstock_producer.batch.own_folder import own_folder
from penstock_producer.batch.preparing import prepare
from penstock_producer.batch.reading import ReadOptions, Source
from penstock_producer.batch.request_file import Item, RequestFile, spooled
from penstock_producer.batch.running import BatchRun
from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger.database import Database
from penstock_shared.request import Sampling
from penstock_shared.settings import Settings

_COMMON: Final = {"tier", "task_type", "cache"}

ReadItem = Callable[[int, Any, Mapping[str, Any]], tuple[str | None, Any]]


@dataclass(frozen=True)
class BatchArguments:
    """What ``Client.batch`` takes beside its input.

    ``name`` finds the batch again when nothing is written, ``out`` when something is. ``reading``
    are fields of ReadOptions, for files: template, system, id_column, chunk_tokens and so on.
    ``common`` holds for all lines: tier, task_type, cache, workflow, sampling parameters.
    """

    name: str | None = None
    out: str | None = None
    errors: str | None = None
    skip_invalid: bool = False
    max_cost_usd: Decimal | None = None
    tenant: str = "default"
    workflow: str | None = None
    label: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)
    common: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Self:
        """Sort keyword arguments. Raises InvalidRequest for one that nobody knows."""
        own = {each.name for each in fields(cls)} - {"reading", "common"}
        reading = {each.name for each in fields(ReadOptions)} - {"sampling", "tenant", "workflow"}
        reading -= _COMMON
        known = own | reading | _COMMON | set(Sampling.model_fields)
        for name in arguments:
            if name not in known:
                raise InvalidRequest(
                    f"unknown parameter {name!r}; known are {', '.join(sorted(known))}"
                )
        given = {name: value for name, value in arguments.items() if value is not None}
        for name, as_field in (("out", str), ("errors", str), ("max_cost_usd", _limit)):
            if name in given:
                given[name] = as_field(given[name])
        return cls(
            **{name: value for name, value in given.items() if name in own},
            reading={name: value for name, value in given.items() if name in reading},
            common={n: v for n, v in given.items() if n not in own and n not in reading},
        )

    @property
    def run_options(self) -> RunOptions:
        """The same for the run."""
        key = None if self.name is None or self.out is not None else f"name:{self.name}"
        return RunOptions(
            out=self.out,
            errors=self.errors,
            skip_invalid=self.skip_invalid,
            max_cost_usd=self.max_cost_usd,
            tenant=self.tenant,
            workflow=self.workflow,
            label=self.label or self.name,
            key=key,
        )


def _limit(amount: object) -> Decimal:
    return usd(amount, "max_cost_usd")


def open_batch(
    settings: Settings,
    database: Database,
    source: Any,
    read_item: ReadItem,
    arguments: Mapping[str, Any],
) -> BatchHandle:
    """Check everything, find or make the batch, and let it go on in the background."""
    wanted = BatchArguments.of(arguments)
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder(settings.home))
        content: Input
        if isinstance(source, (str, Path)):
            content = _file(source, wanted, settings, folder)
        else:
            content = _spooled(source, read_item, wanted, settings, folder)
        run = BatchRun(settings, database, content, wanted.run_options)
        record = run.start(prepare(content, settings))
        return BatchHandle(database, record.id, run, when_done=stack.pop_all().close)


def _file(source: str | Path, wanted: BatchArguments, settings: Settings, folder: Path) -> Input:
    common = dict(wanted.common)
    options = ReadOptions(
        **wanted.reading,
        **{name: common.pop(name) for name in _COMMON & common.keys()},
        tenant=wanted.tenant,
        workflow=wanted.workflow,
        sampling=common,
    )
    return Source.open(str(source), options, settings, spool=folder)


def _spooled(
    items: Iterable[Any],
    read_item: ReadItem,
    wanted: BatchArguments,
    settings: Settings,
    folder: Path,
) -> RequestFile:
    """The items in a file, until their lines are in the ledger."""
    if wanted.reading:
        raise InvalidRequest(
            f"{next(iter(wanted.reading))!r} says how a file is read; "
            "prompts from a program are taken as they are"
        )
    common = {**wanted.common, "tenant": wanted.tenant}
    if wanted.workflow is not None:
        common["workflow"] = wanted.workflow

    def read(number: int, item: Any) -> Item:
        return Item(*read_item(number, item, common))

    path = spooled(items, read, folder / "requests.jsonl")
    return RequestFile(path, wanted.label or wanted.name or "a program", settings)
