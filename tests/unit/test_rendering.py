"""Messages become token ids, and a prompt that does not fit is told so to the token."""

from collections.abc import Sequence
from typing import Any

import pytest

from penstock_shared.errors import ContextTooLong, InvalidRequest
from penstock_shared.request import Request
from penstock_shared.tier_settings import TierSettings
from penstock_workers.rendering import Renderer

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is a dam?"},
]


class FakeTokenizer:
    """One token per word of the text, two more per message where there is a template."""

    def __init__(self, chat_template: str | None = None) -> None:
        self.chat_template = chat_template
        self.asked: list[tuple[Any, dict[str, Any]]] = []

    def encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def apply_chat_template(self, messages: list[dict[str, str]], **options: Any) -> list[int]:
        self.asked.append((messages, options))
        if self.chat_template == "refusing":
            raise RuntimeError(f"roles must alternate in {messages}")
        return [t for m in messages for t in (0, *self.encode(m["content"]), 0)]

    def decode(self, token_ids: Sequence[int], **options: Any) -> str:
        return f"{token_ids} {options}"


def test_with_a_template_the_messages_are_rendered_ready_for_the_answer() -> None:
    tokenizer = FakeTokenizer("a template")
    ids = Renderer(tokenizer).render(Request.build(MESSAGES))
    assert ids == (0, 2, 6, 0, 0, 4, 2, 1, 4, 0)
    [(messages, options)] = tokenizer.asked
    assert messages == MESSAGES
    assert options["add_generation_prompt"] is True


def test_without_a_template_the_text_of_all_messages_is_encoded() -> None:
    tokenizer = FakeTokenizer()
    assert Renderer(tokenizer).render(Request.build(MESSAGES)) == (2, 6, 4, 2, 1, 4)
    assert tokenizer.asked == []


@pytest.mark.parametrize("template", [None, "a template"])
def test_prompt_and_answer_may_fill_the_context_and_not_a_token_more(
    template: str | None,
) -> None:
    renderer = Renderer(FakeTokenizer(template))
    words = 40 if template is None else 38
    renderer.render(Request.build("word " * words, max_tokens=60), 100)
    with pytest.raises(ContextTooLong, match=r"41 tokens; with max_tokens 60 .* the 100 of"):
        renderer.render(Request.build("word " * (words + 1), max_tokens=60), 100)
    with pytest.raises(ContextTooLong, match="40 tokens; with max_tokens 61"):
        renderer.render(Request.build("word " * words, max_tokens=61), 100)


def test_messages_that_the_template_refuses_are_an_invalid_request_without_their_text() -> None:
    with pytest.raises(InvalidRequest, match="RuntimeError") as refusal:
        Renderer(FakeTokenizer("refusing")).render(Request.build("secret"))
    assert "secret" not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_without_a_limit_every_length_is_rendered() -> None:
    assert len(Renderer(FakeTokenizer()).render(Request.build("word " * 9000))) == 9000


def test_the_tokenizer_is_the_one_that_the_engine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    asked: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(
        transformers.AutoTokenizer,
        "from_pretrained",
        lambda name, **options: asked.append((name, options)),
    )
    Renderer.load(TierSettings(model="m", price_per_hour=0, revision="r"))
    Renderer.load(
        TierSettings(
            model="m",
            price_per_hour=0,
            revision="r",
            tokenizer="t",
            tokenizer_revision="r2",
            trust_remote_code=True,
        )
    )
    assert asked == [
        ("m", {"revision": "r", "trust_remote_code": False}),
        ("t", {"revision": "r2", "trust_remote_code": True}),
    ]


def test_an_answer_is_decoded_without_special_tokens() -> None:
    text = Renderer(FakeTokenizer()).decode((1, 2))
    assert text == "[1, 2] {'skip_special_tokens': True}"


def test_a_completion_is_encoded_without_the_template() -> None:
    tokenizer = FakeTokenizer("refusing")
    assert Renderer(tokenizer).render(Request.build("What is a", kind="completion")) == (4, 2, 1)
    assert tokenizer.asked == []
