"""The report of ``cache eval``: what is printed, as a table or as JSON."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from penstock_workers.cache.evaluating import counts
from penstock_workers.cache.evaluating.counts import Counts, Rule, is_hit
from penstock_workers.cache.evaluating.judging import Judged
from penstock_workers.cache.evaluating.pairs import Said

_PARTICULARS: Final = re.compile(r"[:;,(\"“«‘`\d]|\s'|(?<=differ)\s+in\b|(?<=differs)\s+in\b")
_NO_LABEL: Final = "(none)"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Case(_Frozen):
    """A pair that went wrong, and why; ``similarity`` is None where the two never meet."""

    line: int
    a: Said
    b: Said
    similarity: float | None
    reason: str
    kind: str | None
    language: str | None


class Part(_Frozen):
    """The pairs of one kind or language. ``recall`` is None where no pair is the same."""

    pairs: int
    same: int
    hits: int
    right: int
    wrong: int
    recall: float | None


class Outcome(_Frozen):
    """What one rule does at its threshold (a cosine). Shares are None where they have no base."""

    pairs: int
    same: int
    different: int
    hits: int
    right: int
    wrong: int
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    recall: float | None
    threshold: float
    encoder: str
    wrong_hits: tuple[Case, ...]
    by_kind: dict[str, Part]
    by_language: dict[str, Part]


class MissReason(_Frozen):
    """Same pairs that were no hits for one class of reasons.

    ``nominated`` of them were near enough, so that this reason alone stands in the way.
    """

    missed: int
    nominated: int


class Report(Outcome):
    """The cache's outcome with bare cosine's beside it. ``misses`` only where asked for."""

    bare: Outcome
    miss_reasons: dict[str, MissReason]
    misses: tuple[Case, ...] | None = None


def report_on(
    judged: Sequence[Judged],
    *,
    threshold: float,
    bare_threshold: float,
    encoder: str,
    with_misses: bool = False,
) -> Report:
    """Make the report; thresholds are cosines from 0 to 1."""
    missed = [one for one in judged if one.pair.same and not is_hit(one, counts.ours, threshold)]
    ours = _outcome(judged, counts.ours, threshold, encoder)
    return Report(
        **dict(ours),
        bare=_outcome(judged, counts.bare, bare_threshold, encoder),
        miss_reasons=_miss_reasons(missed, threshold),
        misses=tuple(_case(one, miss_reason(one, threshold)) for one in missed)
        if with_misses
        else None,
    )


def miss_reason(judged: Judged, threshold: float) -> str:
    """Why a same pair is no hit, in words: too far apart, refused, or both."""
    if judged.similarity is None or judged.similarity >= threshold:
        return judged.reason
    joined = ", else a hit" if judged.accepted else f", and {judged.reason}"
    return f"cosine below {threshold:g}{joined}"


def reason_class(reason: str) -> str:
    """A reason without its particulars: what stands before the first number, quote or colon."""
    return _PARTICULARS.split(reason, maxsplit=1)[0].strip() or reason


def _outcome(judged: Sequence[Judged], rule: Rule, threshold: float, encoder: str) -> Outcome:
    found = counts.count(judged, rule, threshold)
    low, high = found.interval or (None, None)
    return Outcome(
        pairs=found.pairs,
        same=found.same,
        different=found.pairs - found.same,
        hits=found.hits,
        right=found.right,
        wrong=found.wrong,
        precision=found.precision,
        precision_low=low,
        precision_high=high,
        recall=found.recall,
        threshold=threshold,
        encoder=encoder,
        wrong_hits=tuple(
            _case(one, one.reason if rule is counts.ours else f"cosine from {threshold:g}")
            for one in judged
            if not one.pair.same and is_hit(one, rule, threshold)
        ),
        by_kind=_parts(judged, rule, threshold, lambda one: one.pair.kind),
        by_language=_parts(judged, rule, threshold, lambda one: one.pair.language),
    )


def _parts(
    judged: Sequence[Judged],
    rule: Rule,
    threshold: float,
    label_of: Callable[[Judged], str | None],
) -> dict[str, Part]:
    """The parts by label, in alphabetical order; none where no pair has a label."""
    groups: dict[str | None, list[Judged]] = {}
    for one in judged:
        groups.setdefault(label_of(one), []).append(one)
    if groups.keys() <= {None}:
        return {}
    labelled = {_NO_LABEL if label is None else label: group for label, group in groups.items()}
    return {
        label: _part(counts.count(labelled[label], rule, threshold)) for label in sorted(labelled)
    }


def _part(found: Counts) -> Part:
    return Part(
        pairs=found.pairs,
        same=found.same,
        hits=found.hits,
        right=found.right,
        wrong=found.wrong,
        recall=found.recall,
    )


def _miss_reasons(missed: Sequence[Judged], threshold: float) -> dict[str, MissReason]:
    """By class, the most frequent first; distance counts only where nothing else is wrong."""
    every: Counter[str] = Counter()
    nominated: Counter[str] = Counter()
    for one in missed:
        near = one.similarity is not None and one.similarity >= threshold
        name = f"cosine below {threshold:g}" if one.accepted else reason_class(one.reason)
        every[name] += 1
        nominated[name] += near
    return {
        name: MissReason(missed=number, nominated=nominated[name])
        for name, number in every.most_common()
    }


def _case(judged: Judged, reason: str) -> Case:
    a, b = judged.pair.said
    return Case(
        line=judged.pair.line,
        a=a,
        b=b,
        similarity=judged.similarity,
        reason=reason,
        kind=judged.pair.kind,
        language=judged.pair.language,
    )
