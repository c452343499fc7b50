"""The renderer on the built-in toys' own tokenizer."""

from decimal import Decimal

import pytest

from penstock_shared.request import Request
from penstock_shared.settings import TierSettings
from penstock_workers.rendering import Renderer


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """What a worker of the smallest toy loads."""
    pytest.importorskip("transformers")
    return Renderer.load(TierSettings(model="penstock-toys/small", price_per_hour=Decimal(1)))


@pytest.mark.parametrize("text", ["What is a dam?", "Thủ đô của Pháp là gì?", "日本 🙂"])
def test_the_prompt_is_in_its_tokens(renderer: Renderer, text: str) -> None:
    ids = renderer.render(Request.build(text))
    assert text in renderer.decode(ids)


def test_the_roles_are_told_apart_and_the_answer_may_begin(renderer: Renderer) -> None:
    def render(role: str) -> tuple[int, ...]:
        messages = [
            {"role": role, "content": "Be brief."},
            {"role": "user", "content": "What is a dam?"},
        ]
        return renderer.render(Request.build(messages))

    assert render("system") != render("assistant")
    question = renderer.render(Request.build("What is a dam?"))
    assert render("system")[-1] == question[-1]


def test_special_tokens_are_not_text(renderer: Renderer) -> None:
    ids = renderer.render(Request.build("What is a dam?"))
    assert len(renderer.decode(ids)) < len(renderer._tokenizer.decode(list(ids)))
