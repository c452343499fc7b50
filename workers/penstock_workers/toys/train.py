"""Train a toy: python -m penstock_workers.toys.train --size small --steps 6000 --out DIR."""

import argparse
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from penstock_workers.toys.data import DRILL, MIXTURES, Size, draw_document, draw_mixed
from penstock_workers.toys.evaluate import scores
from penstock_workers.toys.export import export, load_weights
from penstock_workers.toys.model import DIMENSIONS, ToyLlama
from penstock_workers.toys.packing import Batch, Encoded, lay_documents, pack
from penstock_workers.toys.recall import LEVELS, Level, drill, level_at
from penstock_workers.toys.sample import TaskType
from penstock_workers.toys.schedule import (
    DRILL_STAGES,
    RECALL_STAGES,
    STAGES,
    Stage,
    draw_sentences,
    learning_rate,
    stage_at,
)
from penstock_workers.toys.tokenizer import encode_sample, load_tokenizer

log = logging.getLogger(__name__)

ROW_TOKENS = 160
BATCH_TOKENS = {"draft": 3072, "small": 3072, "medium": 4096, "large": 4096}
DOCUMENT_BATCH_TOKENS = DRILL_BATCH_TOKENS = 3072
PEAK_RATE = 4e-3


class Optimizer:
    """Muon for the matrices within the layers, AdamW for the rest."""

    def __init__(self, model: ToyLlama) -> None:
        inner = [p for p in model.layers.parameters() if p.ndim > 1]
        rest = [p for p in model.layers.parameters() if p.ndim <= 1]
        rest += [model.embed_tokens.weight, *model.norm.parameters()]
        self._parts = (
            torch.optim.Muon(
                inner, lr=PEAK_RATE, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(rest, lr=PEAK_RATE, betas=(0.9, 0.97), weight_decay=0.01),
        )

    def step(self, rate: float) -> None:
        """Apply the gradients at this learning rate and clear them."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
            part.zero_grad(set_to_none=True)


@dataclass(frozen=True, slots=True)
class Diet:
    """What a training draws from."""

    size: Size
    mixture: Mapping[TaskType, float]
    stages: Sequence[Stage]
    levels: Sequence[Level] = ()


def diet_of(size: Size, name: str) -> Diet:
    """The size's own diet, or that of a later round."""
    if name == "sums":
        return Diet(size, DRILL, DRILL_STAGES)
    if name == "recall":
        return Diet(size, MIXTURES[size], RECALL_STAGES, LEVELS)
    return Diet(size, MIXTURES[size], STAGES[size])


def short_batch(rng: Random, tokenizer: Tokenizer, diet: Diet) -> Batch:
    """Short samples of the mixture, BATCH_TOKENS in all, packed in rows."""
    samples: list[Encoded] = []
    left = BATCH_TOKENS[diet.size]
    while left > 0:
        encoded = encode_sample(tokenizer, draw_mixed(rng, diet.mixture))
        samples.append(encoded)
        left -= len(encoded[0])
    return pack(rng, samples, ROW_TOKENS, DIMENSIONS[diet.size].max_tokens)


def document_batch(rng: Random, tokenizer: Tokenizer, diet: Diet, stage: Stage) -> Batch:
    """Documents of one length, at least one, DOCUMENT_BATCH_TOKENS in all."""
    limit = DIMENSIONS[diet.size].max_tokens
    sentences = draw_sentences(rng, stage)
    samples: list[Encoded] = []
    taken = 0
    while not samples or taken + taken // len(samples) <= DOCUMENT_BATCH_TOKENS:
        ids, learned = encode_sample(tokenizer, draw_document(rng, sentences))
        samples.append((ids[:limit], learned[:limit]))
        taken += len(ids)
    return lay_documents(rng, samples, limit)


def drill_batch(rng: Random, tokenizer: Tokenizer, diet: Diet, level: Level) -> Batch:
    """Drills in looking things up, DRILL_BATCH_TOKENS in all."""
    samples: list[Encoded] = []
    left = DRILL_BATCH_TOKENS
    while left > 0:
        samples.append(drill(rng, tokenizer, level))
        left -= len(samples[-1][0])
    return lay_documents(rng, samples, DIMENSIONS[diet.size].max_tokens)


def batches_of(rng: Random, tokenizer: Tokenizer, diet: Diet, progress: float) -> list[Batch]:
    """What one step learns from: short samples always, and documents and drills now and then."""
    batches = [short_batch(rng, tokenizer, diet)]
    stage, level = stage_at(diet.stages, progress), level_at(diet.levels, progress)
    if rng.random() < stage.share:
        batches.append(document_batch(rng, tokenizer, diet, stage))
    if level and rng.random() < level.share:
        batches.append(drill_batch(rng, tokenizer, diet, level))
    return batches


def loss_of(model: ToyLlama, batch: Batch, device: torch.device) -> Tensor:
    """Mean cross entropy over the answer tokens."""
    mask = None if batch.mask is None else batch.mask.to(device)
    with torch.autocast(device.type, torch.bfloat16):
        hidden = model(batch.ids.to(device), batch.positions.to(device), mask)
        targets = batch.targets.to(device)
        learned = targets >= 0
        logits = model.logits(hidden[learned])
    return functional.cross_entropy(logits.float(), targets[learned])


def train(size: Size, options: argparse.Namespace) -> None:
    """The whole training of one toy, with a checkpoint every `save_s` seconds."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    rng = Random(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = load_tokenizer()
    model = ToyLlama(DIMENSIONS[size])
    if options.start_from:
        model.load_state_dict(load_weights(options.start_from))
    model.to(device)
    optimizer = Optimizer(model)
    diet = diet_of(size, options.diet)
    started = saved = time.monotonic()
    for step, progress in progress_of(options.steps, options.max_minutes):
        batches = batches_of(rng, tokenizer, diet, progress)
        losses = [loss_of(model, batch, device) for batch in batches]
        torch.stack(losses).sum().backward()
        optimizer.step(learning_rate(options.peak_rate, step, progress))
        if step % 100 == 0:
            shown = " ".join(f"{loss.item():.3f}" for loss in losses)
            log.info("%s step %d %.3f loss %s", size, step, progress, shown)
        if time.monotonic() - saved > options.save_s:
            export(model, DIMENSIONS[size], tokenizer, options.out)
            saved = time.monotonic()
    finish(options, model.cpu(), tokenizer, step + 1, time.monotonic() - started)


def progress_of(steps: int, max_minutes: float) -> Iterator[tuple[int, float]]:
    """Step numbers, and the share of the training that is behind: by steps or by the clock."""
    started = time.monotonic()
    for step in range(steps):
        passed = (time.monotonic() - started) / 60 / max_minutes
        if passed >= 1:
            return
        yield step, max(step / steps, passed)


def finish(
    options: argparse.Namespace, model: ToyLlama, tokenizer: Tokenizer, steps: int, took_s: float
) -> None:
    """Export the model and write what it scores on the held-out test."""
    export(model, DIMENSIONS[options.size], tokenizer, options.out)
    # The test runs on the weights as they are served.
    model.to(torch.bfloat16).float()
    found = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "training_s": round(took_s),
        "held_out_exact": scores(model, tokenizer),
    }
    (options.out / "metrics.json").write_text(json.dumps(found, indent=2) + "\n")
    log.info("%s", json.dumps(found, indent=2))


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=tuple(DIMENSIONS), required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start-from", type=Path, help="folder of an earlier toy of this size")
    later = "sums and recall: later rounds of large"
    parser.add_argument("--diet", choices=("all", "sums", "recall"), default="all", help=later)
    parser.add_argument("--peak-rate", type=float, default=PEAK_RATE)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-minutes", type=float, default=float("inf"))
    parser.add_argument("--save-s", type=float, default=300.0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(options.size, options)


if __name__ == "__main__":
    main()
