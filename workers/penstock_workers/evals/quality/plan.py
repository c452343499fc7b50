"""What an evaluation of quality is to measure."""

from collections.abc import Sequence
from typing import NamedTuple

from penstock_workers.evals.contender import Contender
from penstock_workers.evals.quality.journal import Journal, Key
from penstock_workers.evals.suite import Case, Judge, Suite


class Quality(NamedTuple):
    """The questions, the engines that are asked (the first is the reference), and how."""

    suite: Suite
    contenders: Sequence[Contender]
    journal: Journal
    judge: Contender | None = None
    concurrency: int = 16
    in_turn: bool = False

    def key(self, contender: Contender) -> Key:
        """Where this contender's answers are in the journal; as a judge it has others."""
        role = "judge-" if contender is self.judge else ""
        return Key(role + contender.digest, self.suite.digest)

    @property
    def judged(self) -> list[Case]:
        """The cases that a judge decides."""
        return [case for case in self.suite.cases if isinstance(case.checker, Judge)]
