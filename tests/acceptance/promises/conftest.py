"""Stacks for the proofs: one on PostgreSQL that many share, others with settings of their own."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from penstock_workers.drill.stack import DrillStack, LedgerKind
from tests.acceptance.promises.world import World, world_of

WORKER = "tests.acceptance.promises.worker"
REPOSITORY = Path(__file__).parents[3]


class Worlds:
    """Stacks whose workers fail in the ways that ``worker.py`` beside this file knows."""

    def __init__(self, patch: pytest.MonkeyPatch, folders: pytest.TempPathFactory) -> None:
        self._patch = patch
        self._folders = folders
        self._opened = ExitStack()
        for name in ("PENSTOCK_HOME", "PENSTOCK_CONFIG"):
            patch.setenv(name, "")  # a stack sets them; afterwards they are as before
        patch.setenv("PYTHONPATH", str(REPOSITORY), prepend=os.pathsep)

    def make(
        self,
        workers: int,
        *,
        ledger: LedgerKind = "sqlite",
        max_num_seqs: int = 32,
        switches: Mapping[str, object] | None = None,
        **settings: object,
    ) -> World:
        """Start a stack, with these failures from the start and these settings of its workers."""
        folder = self._folders.mktemp("promise")
        for name, value in (switches or {}).items():
            (folder / name).write_text(str(value))
        self._patch.setenv("PROMISE_FOLDER", str(folder))
        stack = DrillStack(
            folder / "home",
            workers=workers,
            ledger=ledger,
            worker_settings=settings,
            max_num_seqs=max_num_seqs,
            worker_module=WORKER,
        )
        return self._opened.enter_context(world_of(stack))

    def close(self) -> None:
        """Stop them all."""
        self._opened.close()


@pytest.fixture(scope="package")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three workers on PostgreSQL."""
    with pytest.MonkeyPatch.context() as patch, closing(Worlds(patch, tmp_path_factory)) as worlds:
        yield worlds.make(3, ledger="postgresql")


@pytest.fixture
def world(shared_world: World) -> World:
    """The shared stack, everything in it up and ready whatever the test before did to it."""
    heal(shared_world.stack)
    shared_world.wait_ready()
    return shared_world


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """Stacks of this file."""
    with pytest.MonkeyPatch.context() as patch, closing(Worlds(patch, tmp_path_factory)) as worlds:
        yield worlds


def heal(stack: DrillStack) -> None:
    """Hold nothing down and freeze nobody any more."""
    names = ["redis", *(worker.child.name for worker in stack.workers)]
    for name in [*names, *(["postgres"] if stack.postgres else [])]:
        stack.let_up(name)
    for number in range(len(stack.workers)):
        pid = stack.worker_pid(number)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
