"""What an input is, told by its name or its first bytes; packed inputs; standard input."""

import gzip
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock_producer.batch.preparing import prepare
from penstock_producer.batch.reading import ReadOptions, Source
from penstock_producer.batch.reading.input_file import DAMAGE, InputFile
from penstock_shared.errors import InvalidBatch, InvalidRequest
from tests.batch_inputs import SETTINGS, lines_of, openai_line, opened, packed, write_lines

LINES = "".join(openai_line(f"dòng-{n}") + "\n" for n in range(200)).encode()


@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz", "in.jsonl.zst", "named-otherwise"])
def test_packed_lines_are_the_plain_lines(tmp_path: Path, name: str) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(LINES)
    source = opened(packed(tmp_path / name, LINES))
    assert source.kind == "openai"
    assert list(source.lines()) == lines_of(plain)
    assert list(source.lines(190)) == lines_of(plain)[189:]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(parts=st.lists(st.binary(max_size=500), min_size=1, max_size=4))
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_several_packed_parts_are_one_content(
    tmp_path: Path, pack: object, parts: list[bytes]
) -> None:
    path = tmp_path / "packed"
    path.write_bytes(b"".join(pack(part) for part in parts))  # type: ignore[operator]
    with InputFile(path).open() as stream:
        assert stream.read() == b"".join(parts)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("is_cut_off", [True, False])
def test_a_packed_file_that_is_damaged_is_refused_as_a_whole(
    tmp_path: Path, pack: object, is_cut_off: bool
) -> None:
    path = tmp_path / "in.jsonl"
    whole = pack(LINES * 100)  # type: ignore[operator]
    path.write_bytes(whole[: len(whole) // 2] if is_cut_off else whole + b"and more")
    good = []
    with pytest.raises(InvalidBatch, match="is damaged or cut off after line") as refusal:
        good.extend(opened(path).lines())
    assert refusal.value.reason == "invalid_request"
    assert refusal.value.line == len(good) + 1
    assert is_cut_off or len(good) == 20_000
    assert all(line.error is None for line in good)
    with pytest.raises(InvalidBatch, match="nobody knows what is missing"):
        prepare(opened(path), SETTINGS)


@given(content=st.binary(max_size=300), magic=st.sampled_from([b"\x1f\x8b", b"\x28\xb5\x2f\xfd"]))
def test_random_bytes_behind_a_magic_are_damage(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random"
    path.write_bytes(magic + content)
    with InputFile(path).open() as stream, pytest.raises(DAMAGE):
        stream.read()
    for kind in ("openai", "jsonl", "csv", None):
        with pytest.raises(InvalidBatch, match="damaged"):
            lines_of(path, format=kind)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jsonl", openai_line(), "openai"),
        ("a.ndjson", f"\n{openai_line()}", "openai"),
        ("a.jsonl", '{"text": "sông"}', "jsonl"),
        ("a.jsonl", "not json", "jsonl"),
        ("a.jsonl", '{"custom_id": "a", "url": "https://báo.vn", "body": "Tin"}', "jsonl"),
        ("a.jsonl", '{"custom_id": "a", "method": "POST", "url": "/v1/embeddings"}', "openai"),
        ("a.jsonl", '{"method": "POST", "url": "/v1/embeddings"}', "openai"),
        ("a.jsonl", '{"url": "/v1/chat/completions", "body": "x"}', "openai"),
        ("a.jsonl", '{"body": {}}', "openai"),
        ("a.jsonl", f'{{}}\n{{"id": 1}}\n{openai_line()}', "openai"),
        ("a.JSONL.GZ", '{"text": "sông"}', "jsonl"),
        ("a", f"\ufeff \n{openai_line()}", "openai"),
        ("a.csv", "text\nsông\n", "csv"),
        ("a.tsv", "text\tb\nsông\t1\n", "csv"),
    ],
)
def test_the_kind_is_told_by_name_and_first_bytes(
    tmp_path: Path, name: str, content: str, kind: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    source = opened(path, template=None if kind != "jsonl" else "x")
    assert source.kind == kind
    assert source.label == str(path)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("absent.jsonl", {}, "there is no file or folder"),
        ("text", {}, "say --format"),
        ("text", {"format": "folder"}, "is a file"),
        (".", {"format": "csv"}, "is a folder"),
        ("text", {"tier": "huge"}, "there is no tier 'huge'; known are small"),
        ("text", {"format": "xml"}, "known are openai"),
        ("text", {"endpoint": "/v1/responses"}, "known are /v1/chat"),
        ("text", {"sampling": {"max_token": 3}}, "known are max_tokens"),
        ("text", {"chunk_tokens": 0}, "at least 1"),
        ("text", {"chunk_overlap": -1}, "at least 0"),
        ("text", {"response_format": {"type": "xml"}}, "json_schema"),
    ],
)
def test_what_would_be_wrong_with_every_line_is_refused_at_once(
    tmp_path: Path, name: str, options: dict[str, object], why: str
) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InvalidRequest, match=why):
        opened(tmp_path / name, **options)


def test_a_pipe_with_a_name_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(InvalidRequest, match="pipe it into -"):
        opened(tmp_path / "pipe.jsonl")


def test_standard_input_is_read_as_often_as_one_likes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(gzip.compress(LINES))))
    source = Source.open("-", ReadOptions(), SETTINGS, spool=tmp_path)
    assert (source.kind, source.label) == ("openai", "standard input")
    assert len(list(source.lines())) == 200
    assert list(source.lines()) == list(source.lines())
    assert [path.name for path in tmp_path.iterdir()] == ["standard-input"]


def test_progress_counts_the_bytes_that_lie_there(tmp_path: Path) -> None:
    path = packed(tmp_path / "in.jsonl.gz", LINES * 20)
    source = opened(path)
    seen = [source.position() for _ in source.lines()]
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= 1
    assert source.position() == 1


def test_the_digest_changes_with_the_content_only(tmp_path: Path) -> None:
    one = opened(write_lines(tmp_path / "one.jsonl", [openai_line("a")]))
    same = opened(write_lines(tmp_path / "two.jsonl", [openai_line("a")]))
    other = opened(write_lines(tmp_path / "three.jsonl", [openai_line("b")]))
    assert one.digest() == same.digest() != other.digest()
    assert len(one.digest()) == 64


@pytest.mark.parametrize("content", ["", "\ufeff", "\n \n", " " * 3_000])
@pytest.mark.parametrize("name", ["a", "a.jsonl", "a.csv", "a.parquet", "a.gz", "a.jsonl.zst"])
def test_an_empty_file_is_refused_as_such_whatever_it_is_called(
    tmp_path: Path, name: str, content: str
) -> None:
    path = packed(tmp_path / name, content.encode())
    for kind in (None, "openai", "jsonl", "csv", "parquet"):
        with pytest.raises(InvalidBatch, match=f"empty_file: {path} has no lines") as refusal:
            opened(path, format=kind)
        assert refusal.value.reason == "empty_file"


def test_an_empty_standard_input_is_refused_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    with pytest.raises(InvalidBatch, match="empty_file: standard input has no lines"):
        Source.open("-", ReadOptions(), SETTINGS, spool=tmp_path)


_ROWS = "{{ text }}"


@pytest.mark.parametrize(
    ("name", "options", "flag"),
    [
        ("a.jsonl", {"template": _ROWS}, "--template"),
        ("a.jsonl", {"system": "Ngắn gọn."}, "--system"),
        ("a.jsonl", {"id_column": "id"}, "--id-column"),
        ("a.jsonl", {"reduce_prompt": "{{ parts }}"}, "--reduce"),
        ("a.csv", {"map_prompt": _ROWS}, "--map"),
        ("a.csv", {"reduce_prompt": "{{ parts }}"}, "--reduce"),
        ("a.csv", {"chunk_tokens": 9}, "--chunk"),
        ("a.csv", {"chunk_overlap": 9}, "--overlap"),
        ("", {"id_column": "text"}, "--id-column"),
        ("", {"template": _ROWS, "map_prompt": _ROWS}, "--map"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused_by_its_name(
    tmp_path: Path, name: str, options: dict[str, object], flag: str
) -> None:
    (tmp_path / "a.jsonl").write_text(openai_line())
    (tmp_path / "a.csv").write_text("text\nsông\n")
    with pytest.raises(InvalidRequest, match=flag):
        opened(tmp_path / name, **options)
