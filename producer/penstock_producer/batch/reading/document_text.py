"""The text of one document, which is held whole."""

import zlib
from typing import Any, Final, NamedTuple

from penstock_producer.batch.reading.documents import PDF_SUFFIXES, Document
from penstock_producer.batch.reading.input_file import missing_extra
from penstock_producer.batch.reading.line import BadLine, LineError, invalid

MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
_SHOWN_PAGES: Final = 20
# What pypdf is known to raise over a file that is broken, besides its own.
_BROKEN: Final = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
    AssertionError, NotImplementedError, OSError, EOFError, zlib.error,
)  # fmt: skip


class Text(NamedTuple):
    """The text of a document, and what of it could not be read."""

    text: str
    error: LineError | None = None


def text_of(document: Document) -> Text:
    """Read a document. What cannot be read is an error beside the text of the rest."""
    try:
        if document.size_bytes > MAX_DOCUMENT_BYTES:
            raise invalid(
                f"the document has {document.size_bytes:,} bytes and may have "
                f"{MAX_DOCUMENT_BYTES:,}; split it"
            )
        if document.name.lower().endswith(PDF_SUFFIXES):
            return _text_of_pdf(document)
        return Text(_plain_text(document))
    except BadLine as bad:
        return Text("", bad.error)


def _plain_text(document: Document) -> str:
    try:
        return document.path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid(
            f"the document is not UTF-8 (byte {error.start + 1:,}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise invalid(f"the document cannot be read: {error.strerror}") from None


def _text_of_pdf(document: Document) -> Text:
    try:
        import pypdf
        from pypdf.errors import DependencyError, PyPdfError
    except ImportError:
        raise missing_extra("a PDF document", "pypdf") from None
    texts: list[str] = []
    scanned: list[int] = []
    try:
        with pypdf.PdfReader(document.path) as reader:
            for number, page in enumerate(reader.pages, 1):
                text = page.extract_text().encode(errors="replace").decode().strip()
                if text:
                    texts.append(text)
                elif _has_pictures(page):
                    scanned.append(number)
    except (PyPdfError, DependencyError, *_BROKEN) as error:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise invalid(f"the PDF cannot be read: {reason}; print it to a new PDF") from None
    return Text("\n\n".join(texts), _no_text(scanned) if scanned else None)


def _has_pictures(page: Any) -> bool:
    """A page without text is scanned when it shows something; else it is only empty."""
    return bool((page.get("/Resources") or {}).get("/XObject"))


def _no_text(pages: list[int]) -> LineError:
    shown = ", ".join(str(page) for page in pages[:_SHOWN_PAGES])
    more = f" and {len(pages) - _SHOWN_PAGES:,} more" if len(pages) > _SHOWN_PAGES else ""
    return LineError("invalid_request", f"no text on page(s) {shown}{more}; OCR it first")
