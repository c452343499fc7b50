"""The family's byte-level BPE tokenizer and its chat template.

`python -m penstock_workers.toys.tokenizer` trains it anew; models trained before no longer fit it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from penstock_workers.toys.data import draw
from penstock_workers.toys.documents import KEYS
from penstock_workers.toys.sample import TASK_TYPES, Sample

PAD, END, SYSTEM, USER, ASSISTANT = (
    "<|pad|>",
    "<|end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
)
SPECIALS = (PAD, END, SYSTEM, USER, ASSISTANT)
PAD_ID, END_ID, SYSTEM_ID, USER_ID, ASSISTANT_ID = range(5)
VOCABULARY = 2048
FILE = Path(__file__).with_name("tokenizer.json")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train_tokenizer(seed: int = 0, samples: int = 24_000) -> Tokenizer:
    """A tokenizer of VOCABULARY tokens, with single digits, trained on generated text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(seed, samples), trainer)
    return tokenizer


def _corpus(seed: int, samples: int) -> Iterator[str]:
    rng = Random(seed)
    for i in range(samples):
        sample = draw(rng, TASK_TYPES[i % len(TASK_TYPES)])
        yield sample.system or ""
        for turn in sample.turns:
            yield turn.prompt
            yield turn.answer
    for key in KEYS:
        yield f"of {key} is, does {key} have, của {key} là " * 200


def save_tokenizer(tokenizer: Tokenizer, folder: Path, max_tokens: int) -> None:
    """Write tokenizer.json, tokenizer_config.json and generation_config.json."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "eos_token": END,
        "additional_special_tokens": [SYSTEM, USER, ASSISTANT],
        "model_max_length": max_tokens,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    generation = {"eos_token_id": END_ID, "pad_token_id": PAD_ID, "do_sample": False}
    _write(folder / "tokenizer_config.json", config)
    _write(folder / "generation_config.json", generation)


def _write(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_tokenizer() -> Tokenizer:
    """The tokenizer that all models of the family share."""
    return Tokenizer.from_file(str(FILE))


def encode_sample(tokenizer: Tokenizer, sample: Sample) -> tuple[list[int], list[bool]]:
    """Token ids of the whole conversation, and which of them the model must produce."""
    texts = [sample.system or ""]
    for turn in sample.turns:
        texts += [turn.prompt.strip(), turn.answer]
    encoded = [item.ids for item in tokenizer.encode_batch(texts, add_special_tokens=False)]
    ids: list[int] = []
    learned: list[bool] = []

    def extend(part: list[int], learn: bool) -> None:
        ids.extend(part)
        learned.extend([learn] * len(part))

    if sample.system:
        extend([SYSTEM_ID, *encoded[0], END_ID], False)
    for i in range(len(sample.turns)):
        prompt, answer = encoded[1 + 2 * i], encoded[2 + 2 * i]
        extend([USER_ID, *prompt, END_ID, ASSISTANT_ID], False)
        extend([*answer, END_ID], True)
    return ids, learned


if __name__ == "__main__":
    train_tokenizer().save(str(FILE))
