"""Documents of a folder become chunks, in order, with nothing of their text lost."""

import logging
from pathlib import Path
from typing import Any

import pypdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject
from tokenizers import Tokenizer

from penstock_producer.batch.reading import Line, corpus, document_text
from penstock_producer.batch.reading.chunking import Chunker
from penstock_producer.batch.reading.documents import Folder
from penstock_producer.batch.reading.options import ReadOptions
from penstock_producer.plan.kv.sources import find_config
from penstock_shared.errors import InvalidRequest
from tests.batch_inputs import SETTINGS, lines_of, opened

STORY = "Ngày xưa có một con sông. Nước chảy ra biển. Ai cũng biết điều đó. " * 12
MAP = "{{ document }} {{ chunk }}/{{ chunks }}: {{ text }}"


def tokenizer() -> Tokenizer:
    folder = find_config("penstock-toys/large").folder
    assert folder is not None
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def page_with(writer: pypdf.PdfWriter, text: str, *, is_scanned: bool = False) -> None:
    page = writer.add_blank_page(width=300, height=300)
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    resources = {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
    if is_scanned:
        resources[NameObject("/XObject")] = DictionaryObject({NameObject("/Im0"): font})
    page[NameObject("/Resources")] = DictionaryObject(resources)
    content = DecodedStreamObject()
    content.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode() if text else b"")
    page[NameObject("/Contents")] = content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    files = {
        "sông/chuyện.md": f"# Chuyện\n\n{STORY}\n\n## Hết\n\nHết rồi.",
        "sông.txt": STORY,
        "b.TXT": "\ufeffNgắn thôi.",
        "empty.txt": " \n ",
        "picture.png": "x",
        ".hidden.txt": "x",
        ".git/config.txt": "x",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_chunks_come_in_the_order_of_the_names_and_fit(folder: Path) -> None:
    source = opened(folder, chunk_tokens=60, map_prompt=MAP, system="Tóm tắt {{ document }}.")
    lines = list(source.lines())
    assert source.kind == "folder"
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0].custom_id == "b.TXT#1"
    assert lines[0].request is not None
    assert lines[0].request.text == "Tóm tắt b.TXT.\nb.TXT 1/1: Ngắn thôi."
    assert list(dict.fromkeys(line.document for line in lines)) == [
        "b.TXT", "sông.txt", "sông/chuyện.md",
    ]  # fmt: skip
    plain = list(opened(folder, chunk_tokens=60).lines())
    for line in plain:
        assert line.request is not None
        assert len(tokenizer().encode(line.request.text).ids) <= 60


def test_what_was_passed_over_is_said(folder: Path) -> None:
    source = opened(folder)
    for line in source.lines():
        assert line.number == 1 or 0 < source.position() < 1
        source.digest()
    source.digest()
    assert source.skipped == [
        "empty.txt: no text in it",
        "picture.png: no document; read are .txt, .md, .markdown, .pdf",
    ]
    assert source.skipped_count == 2


def test_the_list_of_files_passed_over_is_bounded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "_MAX_SKIPPED", 1)
    source = opened(folder)
    list(source.lines())
    assert (len(source.skipped), source.skipped_count) == (1, 2)


@pytest.mark.parametrize("change", ["written", "added", "taken away"])
def test_a_later_reading_ends_before_a_document_that_has_changed(folder: Path, change: str) -> None:
    source = opened(folder, chunk_tokens=60)
    first = list(source.lines())
    assert [line.custom_id for line in source.lines()] == [line.custom_id for line in first]
    if change == "written":
        (folder / "sông.txt").write_text(STORY + "Hết.", encoding="utf-8")
    elif change == "added":
        (folder / "c.txt").write_text("Ngắn.", encoding="utf-8")
    else:
        (folder / "sông.txt").unlink()
    assert [line.custom_id for line in source.lines()] == ["b.TXT#1"]


def test_a_start_gives_the_tail(folder: Path) -> None:
    source = opened(folder, chunk_tokens=40)
    lines = list(source.lines())
    assert len(lines) > 10
    for start in (1, 2, 7, len(lines), len(lines) + 1):
        assert list(source.lines(start)) == lines[start - 1 :]


def test_chunks_end_with_sentences_and_overlap_by_them(folder: Path) -> None:
    lines = [x for x in lines_of(folder, chunk_tokens=60) if x.document == "sông.txt"]
    texts = [x.request.text for x in lines if x.request]
    assert all(text.endswith(".") for text in texts)
    overlapping = opened(folder, chunk_tokens=60, chunk_overlap=25)
    others = [x.request.text for x in overlapping.lines() if x.request]
    assert len(others) > len(texts)


_TEXTS = st.lists(st.sampled_from([*STORY.split(), "# Một", "\n", "\n\n", "- ", "😀", "ệ" * 30]))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=_TEXTS, is_markdown=st.booleans())
def test_chunks_cover_the_text_in_order(words: list[str], is_markdown: bool) -> None:
    text = " ".join(words)
    chunks = _chunker().chunks(text, is_markdown=is_markdown)
    position = 0
    for chunk in chunks:
        found = text.index(chunk, position)
        assert not text[position:found].strip()
        position = found + len(chunk)
    assert not text[position:].strip()


def _chunker(model: str = "penstock-toys/large", **options: Any) -> Chunker:
    tier = SETTINGS.tiers["large"].model_copy(update={"model": model})
    changed = SETTINGS.model_copy(update={"tiers": {**SETTINGS.tiers, "large": tier}})
    return Chunker(ReadOptions(**{"chunk_tokens": 20, **options}), changed)


def test_without_a_tokenizer_tokens_are_estimated_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        chunks = _chunker("somebody/unknown-model").chunks(STORY, is_markdown=False)
    assert len(caplog.records) == 1
    assert "an estimate of 3.0 bytes per token" in caplog.text
    assert all(len(chunk.encode()) <= 60 for chunk in chunks)


def test_chunks_of_the_default_size_leave_half_of_the_context() -> None:
    assert Chunker(ReadOptions(tier="small"), SETTINGS).chunk_tokens == 512
    assert Chunker(ReadOptions(), SETTINGS).chunk_tokens == 1_000
    with pytest.raises(InvalidRequest, match="must be smaller than chunk_tokens"):
        _chunker(chunk_overlap=20)


def error_of(line: Line) -> str:
    assert line.error is not None
    assert line.error.code == "invalid_request"
    return line.error.message


def test_pages_of_a_pdf_without_text_are_named_before_the_rest(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter()
    page_with(writer, "The river flows.")
    page_with(writer, "", is_scanned=True)
    page_with(writer, "")  # an empty page is no scan
    page_with(writer, "It ends here.")
    (tmp_path / "docs").mkdir()
    writer.write(tmp_path / "docs" / "a.pdf")
    error, chunk = lines_of(tmp_path / "docs")
    assert error_of(error) == "no text on page(s) 2; OCR it first"
    assert (error.custom_id, error.document, chunk.custom_id) == ("a.pdf#0", "a.pdf", "a.pdf#1")
    assert chunk.request is not None
    assert chunk.request.text == "The river flows.\n\nIt ends here."


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
@pytest.mark.filterwarnings("ignore::Warning")
def test_random_bytes_are_no_document(tmp_path: Path, content: bytes) -> None:
    root = tmp_path / "docs"
    root.mkdir(exist_ok=True)
    (root / "a.pdf").write_bytes(b"%PDF-1.7\n" + content)
    (root / "b.txt").write_bytes(content + b"\xff")
    pdf, text = lines_of(root)
    assert "the PDF cannot be read" in error_of(pdf)
    assert "not UTF-8" in error_of(text)


def test_a_document_that_is_too_large_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_text, "MAX_DOCUMENT_BYTES", 100)
    assert "may have 100; split it" in error_of(lines_of(folder)[1])


def test_the_digest_is_of_names_and_contents(folder: Path) -> None:
    digest = opened(folder).digest()
    (folder / "picture.png").write_text("y")
    assert opened(folder).digest() == digest
    (folder / "b.TXT").rename(folder / "c.txt")
    renamed = opened(folder).digest()
    (folder / "c.txt").write_text("Ngắn quá.")
    digests = {digest, renamed, opened(folder).digest(), opened(folder, chunk_tokens=9).digest()}
    assert len(digests) == 4


def test_a_folder_is_walked_in_the_order_of_whole_paths(tmp_path: Path) -> None:
    for name in ("a/z.txt", "a.txt", "a-b/c.txt", "a/b/c.txt", "B.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    found = Folder(tmp_path)
    names = [document.name for document in found.walk()]
    assert names == sorted(names) == ["B.txt", "a-b/c.txt", "a.txt", "a/b/c.txt", "a/z.txt"]
    noted: list[str] = []
    list(found.walk(lambda name, _: noted.append(name)))
    assert noted == ["a/loop", "gone.txt"]


def test_progress_goes_from_nothing_to_all(folder: Path) -> None:
    source = opened(folder, chunk_tokens=40)
    assert source.position() == 0
    seen = [source.position() for _ in source.lines()]
    assert seen == sorted(seen)
    assert source.position() == 1


def test_a_reduce_prompt_gives_each_document_a_line_after_its_chunks(folder: Path) -> None:
    options: dict[str, Any] = {
        "chunk_tokens": 60,
        "map_prompt": MAP,
        "reduce_prompt": "Sum up: {{ parts | join }}",
    }
    lines = lines_of(folder, **options)
    sums = [line for line in lines if line.parts is not None]
    assert [line.custom_id for line in sums] == [line.document for line in sums]
    for line in sums:
        assert line.parts is not None
        first, last = line.parts
        assert last == line.number - 1
        parts = [each for each in lines if first <= each.number <= last]
        assert [each.document for each in parts] == [line.document] * len(parts)
        assert line.request is not None
        assert line.request.question == "Sum up: {{ parts | join }}"
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert lines_of(folder, **options)[5:] == list(opened(folder, **options).lines(6))


def test_a_reduce_prompt_that_is_no_template_is_refused_at_once(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="the reduce prompt, line 1"):
        opened(folder, reduce_prompt="{% if %}")


def test_what_cuts_otherwise_is_another_input() -> None:
    ways = {
        _chunker().identity,
        _chunker(chunk_tokens=21).identity,
        _chunker("somebody/unknown-model").identity,
    }
    assert len(ways) == 3
    assert _chunker().identity in ways
