"""A batch file as OpenAI has it: ``custom_id, method, url, body`` on each line."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from penstock_producer.batch.reading.bodies import read_body
from penstock_producer.batch.reading.input_file import InputFile
from penstock_producer.batch.reading.line import BadLine, Line, LineError, Routed, invalid
from penstock_producer.batch.reading.making import Maker, check_custom_id
from penstock_producer.batch.reading.models import Models
from penstock_producer.batch.reading.numbered import is_blank, numbered_lines
from penstock_producer.batch.reading.objects import json_object
from penstock_producer.batch.reading.options import CHAT, ENDPOINTS


class OpenAIFile:
    """The lines of a batch file, each one checked.

    All lines have one url. OpenAI wants one model in a file as well; here a model is a tier, and
    a file may mix them.
    """

    columns: list[str] | None = None

    def __init__(self, file: InputFile, maker: Maker, models: Models, endpoint: str | None) -> None:
        self._file = file
        self._maker = maker
        self._models = models
        self._endpoint = endpoint

    def position(self) -> float:
        """Share of the file's bytes that was read."""
        return self._file.position()

    def digest(self) -> str:
        """SHA-256 of the file."""
        return self._file.digest()

    @cached_property
    def endpoint(self) -> str:
        """The url of all lines: as the options say, else that of the first line with a good one."""
        if self._endpoint is not None:
            return self._endpoint
        with self._file.open() as stream:
            for _, raw in numbered_lines(stream):
                url = None if isinstance(raw, LineError) else _url_of(raw)
                if url in ENDPOINTS:
                    return url
        return CHAT

    def lines(self, start: int = 1) -> Iterator[Line]:
        """The lines from number ``start`` on; blank ones are counted and left out."""
        endpoint = self.endpoint
        with self._file.open() as stream:
            for number, raw in numbered_lines(stream, start):
                if isinstance(raw, LineError):
                    yield Line(number, None, None, raw)
                elif not is_blank(raw):
                    yield self._line(number, raw, endpoint)

    def _line(self, number: int, raw: bytes, endpoint: str) -> Line:
        custom_id = None
        try:
            values = json_object(raw)
            custom_id = check_custom_id(values.get("custom_id"))
            return Line(number, custom_id, self._request(values, endpoint))
        except BadLine as bad:
            return Line(number, custom_id, None, bad.error)

    def _request(self, values: dict[str, Any], endpoint: str) -> Routed:
        if values.get("method") != "POST":
            raise invalid("method must be POST", "method")
        if values.get("url") != endpoint:
            raise _other_url(values.get("url"), endpoint)
        if not isinstance(values.get("body"), dict):
            raise invalid("body must be an object, the same as of a single request", "body")
        body = read_body(endpoint, values["body"], self._models)
        return self._maker.make(endpoint, body.prompt, body.fields)


def _url_of(raw: bytes) -> str | None:
    try:
        url = json_object(raw).get("url")
    except BadLine:
        return None
    return url if isinstance(url, str) else None


def _other_url(url: object, endpoint: str) -> BadLine:
    if url in ENDPOINTS:
        message = f"url is {url} and this batch is for {endpoint}; put it in a file of its own"
    else:
        message = f"url is {str(url)[:200]!r}; known are {', '.join(ENDPOINTS)}"
    return BadLine("url_mismatch", message, "url")
