"""The toys' world: what the demo sends is what the script makes, and the router knows it."""

import json
from collections import Counter
from importlib.resources import files

from penstock_producer.demo.traffic import load_prompts
from penstock_shared.routing import route
from penstock_shared.settings import Settings
from penstock_shared.words import TaskType
from penstock_workers.toys.traffic import lines, traffic


def test_the_demo_file_is_what_the_script_writes() -> None:
    written = files("penstock_producer.demo").joinpath("prompts.jsonl").read_text("utf-8")
    assert written == "\n".join(lines(traffic())) + "\n"


def test_the_demo_has_every_task_type_both_languages_and_natural_repeats() -> None:
    prompts = load_prompts()
    texts = Counter(json.dumps([m.content for m in p.messages]) for p in prompts)
    assert len(prompts) >= 300
    assert {p.task_type for p in prompts} == set(TaskType)
    assert {p.language for p in prompts} == {"en", "vi"}
    assert sum(count - 1 for count in texts.values()) >= 40


def test_the_router_recognizes_the_task_types_of_the_demo() -> None:
    prompts, settings = load_prompts(), Settings()
    recognized = [route(p.request(), settings).task_type == p.task_type for p in prompts]
    assert sum(recognized) >= 0.95 * len(prompts)


def test_every_model_has_its_tokenizer_and_a_chat_template() -> None:
    models = files("penstock_workers").joinpath("toys", "models")
    tokenizers = set()
    for size in ("draft", "small", "medium", "large"):
        tokenizers.add(models.joinpath(size, "tokenizer.json").read_text("utf-8"))
        config = json.loads(models.joinpath(size, "tokenizer_config.json").read_text("utf-8"))
        assert "<|assistant|>" in config["chat_template"]
    assert len(tokenizers) == 1
