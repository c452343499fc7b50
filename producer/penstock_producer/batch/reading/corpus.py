"""A folder of documents becomes lines: one for each chunk of each document."""

import hashlib
from array import array
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from penstock_producer.batch.reading.chunking import Chunker
from penstock_producer.batch.reading.document_text import text_of
from penstock_producer.batch.reading.documents import MARKDOWN_SUFFIXES, Document, Folder
from penstock_producer.batch.reading.line import BadLine, Line, LineError
from penstock_producer.batch.reading.making import Maker, check_custom_id
from penstock_producer.batch.reading.options import CHAT, ReadOptions
from penstock_producer.batch.reading.stamp import facts_of
from penstock_producer.batch.reading.table import with_system
from penstock_producer.batch.reading.templates import PromptTemplate
from penstock_shared.settings import Settings

_MAX_SKIPPED: Final = 1_000


class Corpus:
    """The chunks of a folder. One document is held at a time.

    A chunk's custom_id is its document's name, ``#`` and its number in the document. What is
    wrong with a document as a whole stands before its chunks, as number 0. With a reduce prompt, a
    line with the document's name comes after its chunks.

    The first reading remembers what it read. A later one ends before the first document that is
    another one by now: the lines so far are as they were.

    ``skipped`` says which files the newest reading passed over, and why: at most 1,000 of them;
    ``skipped_count`` is how many there were.
    """

    columns: list[str] | None = None

    def __init__(self, path: Path, maker: Maker, options: ReadOptions, settings: Settings) -> None:
        self._folder = Folder(path)
        self.skipped: list[str] = []
        self.skipped_count = 0
        self.endpoint = options.endpoint or CHAT
        self._maker = maker
        self._chunker = Chunker(options, settings)
        prompt = options.map_prompt or options.template or "{{ text }}"
        self._prompt = PromptTemplate(prompt, "the map prompt")
        self._reduce = options.reduce_prompt
        PromptTemplate.maybe(self._reduce, "the reduce prompt")
        self._system = PromptTemplate.maybe(options.system, "the system template")
        self._read_bytes = 0
        self._first_marks: array[int] | None = None  # of each document, in order

    def position(self) -> float:
        """Share of the documents' bytes that was read."""
        return min(1.0, self._read_bytes / (self._size_bytes or 1))

    def digest(self) -> str:
        """SHA-256 over names, contents and how they are cut."""
        how = f"{self._folder.digest()}\0{self._chunker.identity}"
        return hashlib.sha256(how.encode()).hexdigest()

    def lines(self, start: int = 1) -> Iterator[Line]:
        """The chunks from number ``start`` on; documents before it are cut, but not rendered."""
        number = self._read_bytes = self.skipped_count = 0
        self.skipped.clear()
        marks = array("q")
        for document in self._folder.walk(self._skip):
            error, chunks = self._cut(document)
            marks.append(hash((document.name, facts_of(document.path))))
            if self._is_another(marks):
                return
            first = number + 1
            if error is not None:
                number += 1
                if number >= start:
                    yield Line(number, f"{document.name}#0", None, error, document.name)
            for chunk, text in enumerate(chunks, 1):
                number += 1
                if number >= start:
                    yield self._line(number, document, chunk, len(chunks), text)
            if self._reduce is not None and number >= first:
                number += 1
                if number >= start:
                    yield self._sum(number, document, self._reduce, (first, number - 1))
            self._read_bytes += document.size_bytes
        self._first_marks = self._first_marks or marks

    def _is_another(self, marks: "array[int]") -> bool:
        """Whether the newest document is not what the first reading found in its place."""
        place = len(marks) - 1
        known = self._first_marks
        return known is not None and known[place : place + 1] != marks[place:]

    @cached_property
    def _size_bytes(self) -> int:
        return self._folder.size_bytes()

    def _skip(self, name: str, why: str) -> None:
        self.skipped_count += 1
        if len(self.skipped) < _MAX_SKIPPED:
            self.skipped.append(f"{name}: {why}")

    def _cut(self, document: Document) -> tuple[LineError | None, list[str]]:
        text, error = text_of(document)
        is_markdown = document.name.lower().endswith(MARKDOWN_SUFFIXES)
        chunks = self._chunker.chunks(text, is_markdown=is_markdown)
        if not chunks and error is None:
            self._skip(document.name, "no text in it")
        return error, chunks

    def _line(self, number: int, document: Document, chunk: int, chunks: int, text: str) -> Line:
        custom_id = f"{document.name}#{chunk}"
        values: dict[str, Any] = {
            "text": text,
            "document": document.name,
            "chunk": chunk,
            "chunks": chunks,
        }
        try:
            check_custom_id(custom_id)
            prompt = with_system(self._system, self._prompt.render(values), values)
            made = self._maker.make(self.endpoint, prompt, {})
        except BadLine as bad:
            return Line(number, custom_id, None, bad.error, document.name)
        return Line(number, custom_id, made, None, document.name)

    def _sum(self, number: int, document: Document, prompt: str, parts: tuple[int, int]) -> Line:
        """The line that sums up a document; its prompt stays a template until its parts ended."""
        try:
            made = self._maker.make(self.endpoint, prompt, {})
        except BadLine as bad:
            return Line(number, document.name, None, bad.error, document.name)
        return Line(number, document.name, made, None, document.name, parts)
