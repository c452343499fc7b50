"""A table's rows become lines: a prompt from a template over the columns."""

from collections.abc import Iterator
from typing import Any

from penstock_producer.batch.reading.line import BadLine, Line, Routed, invalid
from penstock_producer.batch.reading.making import Maker, check_custom_id
from penstock_producer.batch.reading.options import CHAT, ReadOptions
from penstock_producer.batch.reading.rows import Row, Rows
from penstock_producer.batch.reading.templates import PromptTemplate, list_columns
from penstock_shared.errors import InvalidRequest

_USUAL: tuple[str, ...] = ("text", "prompt")


class Table:
    """The lines of a table. Raises InvalidRequest when there is no template for its columns."""

    def __init__(self, rows: Rows, maker: Maker, options: ReadOptions) -> None:
        self._rows = rows
        self._maker = maker
        self._endpoint = options.endpoint or CHAT
        self.columns: list[str] = rows.columns
        self._id_column = options.id_column
        if self.columns and self._id_column not in (None, *self.columns):
            raise InvalidRequest(
                f"there is no column {self._id_column!r}; there are {list_columns(self.columns)}"
            )
        self._template = PromptTemplate(options.template or self._usual(), "the template")
        self._system = PromptTemplate.maybe(options.system, "the system template")

    @property
    def endpoint(self) -> str:
        """The url that the requests would have."""
        return self._endpoint

    def position(self) -> float:
        """Share of the file that was read."""
        return self._rows.position()

    def digest(self) -> str:
        """SHA-256 of the file."""
        return self._rows.digest()

    def lines(self, start: int = 1) -> Iterator[Line]:
        """The rows from number ``start`` on, as lines."""
        return map(self._line, self._rows.read(start))

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each row by its number; one that cannot be read is empty."""
        return ((row.number, row.values) for row in self._rows.read())

    def _usual(self) -> str:
        for column in _USUAL:
            if column in self.columns or not self.columns:
                return f"{{{{ {column} }}}}"
        raise InvalidRequest(
            "without a template a column must be named text or prompt; "
            f"the columns are {list_columns(self.columns)}"
        )

    def _line(self, row: Row) -> Line:
        custom_id = None if self._id_column else str(row.number)
        error = row.error
        if error is None:
            try:
                custom_id = custom_id or self._custom_id(row.values)
                return Line(row.number, custom_id, self._request(row.values))
            except BadLine as bad:
                error = bad.error
        if row.line is not None:
            error = error._replace(message=f"line {row.line:,} of the file: {error.message}")
        return Line(row.number, custom_id, None, error)

    def _custom_id(self, values: dict[str, Any]) -> str:
        value = values.get(self._id_column or "")
        if value is None:
            raise invalid(f"column {self._id_column!r} has no value", self._id_column)
        return check_custom_id(str(value), self._id_column or "custom_id")

    def _request(self, values: dict[str, Any]) -> Routed:
        prompt = self._template.render(values)
        return self._maker.make(self._endpoint, with_system(self._system, prompt, values), {})


def with_system(
    system: PromptTemplate | None, prompt: str, values: dict[str, Any]
) -> str | list[dict[str, str]]:
    """The prompt, after what the system template says where there is one."""
    text = system.render(values) if system else ""
    if not text:
        return prompt
    return [{"role": "system", "content": text}, {"role": "user", "content": prompt}]
