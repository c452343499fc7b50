"""The two outputs of a batch: every line that has ended stands in exactly one of them."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, Final, Protocol

from penstock_producer.batch.ended_line import EndedLine
from penstock_producer.batch.layouts import Layout, Written
from penstock_producer.batch.line_set import LineSet
from penstock_producer.batch.output_file import OutputFile
from penstock_shared.words import JobState

_PAGE: Final = 1_000

RowOf = Callable[[EndedLine], Mapping[str, Any] | None]
StatesOf = Callable[[Sequence[int]], Mapping[int, JobState]]


class Sink(Protocol):
    """Where records go."""

    lines: int

    def append(self, records: list[bytes]) -> None:
        """Add records."""

    def close(self) -> None:
        """No more will follow."""


class Stream:
    """Standard output, or the given stream: what went there is gone."""

    def __init__(self, stream: BinaryIO | None = None, header: bytes = b"") -> None:
        self._stream = stream or sys.stdout.buffer
        self._is_own = stream is not None
        self._header = header
        self._is_begun = False
        self.lines = 0

    def append(self, records: list[bytes]) -> None:
        """Add records."""
        if not self._is_begun:
            self._stream.write(self._header)
            self._is_begun = True
        self._stream.write(b"".join(records))
        self._stream.flush()
        self.lines += len(records)

    def close(self) -> None:
        """Close the given stream; standard output stays open."""
        if self._is_own:
            self._stream.close()


class Nowhere:
    """Lines that nobody wants written are counted."""

    lines = 0

    def append(self, records: list[bytes]) -> None:
        """Count them."""
        self.lines += len(records)

    def close(self) -> None:
        """Nothing is open."""


class Outputs:
    """OUT and, where there is one, ERR. ``known`` are the lines that stand in one of them.

    Without ERR, lines without an answer stand in OUT as well.
    """

    def __init__(
        self, out: Sink, errors: Sink | None, layout: Layout | None, row_of: RowOf
    ) -> None:
        self._out = out
        self._errors = errors
        self._layout = layout
        self._row_of = row_of
        self._failed = LineSet()
        self.known = LineSet()
        self.cached = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0

    @property
    def out_lines(self) -> int:
        """Records in OUT."""
        return self._out.lines

    @property
    def error_lines(self) -> int:
        """Records in ERR."""
        return self._errors.lines if self._errors else 0

    def restore(self, states_of: StatesOf) -> None:
        """See what earlier commands have written, without lines that were retried since then."""
        for file in self._files():
            here, dropped = LineSet(), LineSet()
            file.restore(partial(self._see, here=here, dropped=dropped))
            if dropped:
                file.without(dropped)
        self._out.append([])
        self.drop_retried(states_of)

    def drop_retried(self, states_of: StatesOf) -> int:
        """Take lines out that stand there without an answer and are open again or have one.

        Returns how many; they are not known any more.
        """
        retried = LineSet()
        numbers = iter(self._failed)
        while some := list(islice(numbers, _PAGE)):
            for number, state in states_of(some).items():
                if not state.is_terminal or state is JobState.SUCCEEDED:
                    retried.add(number)
        if retried:
            for file in self._files():
                if file is self._errors or self._errors is None:
                    file.without(retried)
            for number in retried:
                self._failed.discard(number)
                self.known.discard(number)
        return len(retried)

    def write(self, ended: Sequence[EndedLine]) -> None:
        """Append lines, each to the file in which it belongs."""
        if self._errors is None:
            self._append(self._out, ended)
        else:
            self._append(self._out, [each for each in ended if not each.is_failed])
            self._append(self._errors, [each for each in ended if each.is_failed])
        for each in ended:
            self.known.add(each.line)
            self._count(each)

    def close(self) -> None:
        """Wait until the disk has everything."""
        self._out.close()
        if self._errors is not None:
            self._errors.close()

    def _append(self, sink: Sink, ended: Sequence[EndedLine]) -> None:
        if not ended:
            return
        if self._layout is None:
            sink.append([b""] * len(ended))
        else:
            layout, row_of = self._layout, self._row_of
            sink.append([layout.render(each, row_of(each)) for each in ended])

    def _count(self, ended: EndedLine) -> None:
        if ended.is_failed:
            self._failed.add(ended.line)
        elif ended.result is not None:
            self.cached += ended.result.cached
            self.prompt_tokens += ended.result.prompt_tokens or 0
            self.completion_tokens += ended.result.completion_tokens or 0

    def _see(self, written: Written, *, here: LineSet, dropped: LineSet) -> None:
        """A line stands where it was seen first; one that is twice in a file is written anew."""
        if not here.add(written.line):
            dropped.add(written.line)
            self.known.discard(written.line)
        elif not self.known.add(written.line):
            dropped.add(written.line)
        else:
            if written.is_failed:
                self._failed.add(written.line)
            self.cached += written.cached
            self.prompt_tokens += written.prompt_tokens
            self.completion_tokens += written.completion_tokens

    def _files(self) -> Iterator[OutputFile]:
        return (sink for sink in (self._out, self._errors) if isinstance(sink, OutputFile))
