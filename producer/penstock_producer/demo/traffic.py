"""The demo's prompts, from the file beside this one."""

import json
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict

from penstock_shared.request import Message, Request, normalize


class DemoPrompt(BaseModel):
    """One prompt, with what a right answer looks like where there is one right answer."""

    model_config = ConfigDict(frozen=True)

    id: str
    messages: tuple[Message, ...]
    max_tokens: int
    task_type: str
    expect: str | None = None
    check: str | None = None
    language: str

    def request(self) -> Request:
        """The request; its task type is left for the router to recognize."""
        sampling: dict[str, Any] = {"max_tokens": self.max_tokens}
        return Request.build(self.messages, metadata={"demo": self.id}, **sampling)

    def is_right(self, answer: str) -> bool | None:
        """Whether the answer is right; None where many answers would be."""
        if self.expect is None or self.check is None:
            return None
        expected, given = normalize(self.expect).lower(), normalize(answer).lower()
        return expected == given if self.check == "exact" else expected in given


def load_prompts() -> list[DemoPrompt]:
    """All prompts, in the order in which they are sent."""
    lines = files("penstock_producer.demo").joinpath("prompts.jsonl").read_text(encoding="utf-8")
    return [DemoPrompt.model_validate(json.loads(line)) for line in lines.splitlines() if line]
