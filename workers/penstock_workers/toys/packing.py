"""Conversations as rows of token ids: short ones packed side by side, long ones a row each."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from penstock_workers.toys.tokenizer import PAD_ID

Encoded = tuple[list[int], list[bool]]
OFFSET_SHARE, STRETCHED_SHARE = 0.3, 0.5
SHORT_WIDTH = 512


@dataclass(frozen=True, slots=True)
class Batch:
    """ids, positions, targets: [rows, tokens]; a target of -100 is not learned.

    `mask` [rows or 1, 1, tokens, tokens] keeps packed neighbours apart; None is plain causal.
    """

    ids: Tensor
    positions: Tensor
    targets: Tensor
    mask: Tensor | None


def pack(rng: Random, samples: Sequence[Encoded], width: int, max_tokens: int) -> Batch:
    """Rows of `width` tokens, first fit, longest first; what is longer than a row is left out."""
    rows: list[list[Encoded]] = []
    room: list[int] = []
    for sample in sorted(samples, key=lambda item: -len(item[0])):
        length = len(sample[0])
        if length > width:
            continue
        index = next((i for i, left in enumerate(room) if left >= length), len(rows))
        if index == len(rows):
            rows.append([])
            room.append(width)
        rows[index].append(sample)
        room[index] -= length
    return _masked([_lay(rng, row, width, max_tokens) for row in rows], width)


def _lay(rng: Random, row: list[Encoded], width: int, max_tokens: int) -> list[list[int]]:
    """ids, positions, targets and segment numbers of a row, padded to `width`."""
    ids: list[int] = []
    positions: list[int] = []
    targets: list[int] = []
    segments: list[int] = []
    for number, (tokens, learned) in enumerate(row):
        start = rng.randint(0, max_tokens - width) if rng.random() < OFFSET_SHARE else 0
        ids += tokens
        positions += range(start, start + len(tokens))
        targets += shift(tokens, learned)
        segments += [number] * len(tokens)
    gap = width - len(ids)
    pads = ([PAD_ID] * gap, [0] * gap, [-100] * gap, [-1] * gap)
    return [part + pad for part, pad in zip((ids, positions, targets, segments), pads, strict=True)]


def shift(tokens: list[int], learned: list[bool]) -> list[int]:
    """For each token the next one where that is to be learned, else -100."""
    following = zip(tokens[1:], learned[1:], strict=True)
    return [token if learn else -100 for token, learn in following] + [-100]


def _masked(rows: list[list[list[int]]], width: int) -> Batch:
    ids, positions, targets, segments = torch.tensor(rows).unbind(1)
    same = segments[:, :, None] == segments[:, None, :]
    mask = (same & torch.ones(width, width, dtype=torch.bool).tril())[:, None]
    return Batch(ids, positions, targets, mask)


def lay_documents(rng: Random, samples: Sequence[Encoded], max_tokens: int) -> Batch:
    """A row for each sample, padded to the longest, with positions stretched up to `max_tokens`."""
    width = max(len(tokens) for tokens, _ in samples)
    ids = torch.full((len(samples), width), PAD_ID)
    positions = torch.zeros(len(samples), width, dtype=torch.long)
    targets = torch.full((len(samples), width), -100)
    for row, (tokens, learned) in enumerate(samples):
        end = len(tokens)
        ids[row, :end] = torch.tensor(tokens)
        positions[row, :end] = torch.tensor(stretch(rng, end, max_tokens))
        targets[row, :end] = torch.tensor(shift(tokens, learned))
    mask = torch.ones(width, width, dtype=torch.bool).tril()[None, None]
    return Batch(ids, positions, targets, mask if width <= SHORT_WIDTH else None)


def stretch(rng: Random, length: int, max_tokens: int) -> list[int]:
    """Rising positions for `length` tokens, half the time with jumps, so that far looks near."""
    spare = max_tokens - length
    if spare <= 0 or rng.random() >= STRETCHED_SHARE:
        return list(range(length))
    jumps = sorted(rng.sample(range(1, length), min(12, length - 1)))
    total = rng.randint(0, spare)
    cuts = sorted(rng.randint(0, total) for _ in jumps)
    positions: list[int] = []
    bounds = [0, *jumps, length]
    for shift_by, start, end in zip([0, *cuts], bounds[:-1], bounds[1:], strict=True):
        positions += range(start + shift_by, end + shift_by)
    return positions
