"""The report of ``cache eval`` on a terminal; words say what colours might."""

import json
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from penstock_workers.cache.evaluating.pairs import Said
from penstock_workers.cache.evaluating.report import Case, Outcome, Part, Report

NOTHING = "-"


def show(report: Report, out: Console) -> None:
    """Print everything: the two rules, the parts, what was missed, and every wrong hit."""
    _summary(report, out)
    _parts("kind", report.by_kind, out)
    _parts("language", report.by_language, out)
    _miss_reasons(report, out)
    if report.misses:
        _cases("Missed same pairs", report.misses, out)
    if report.wrong_hits:
        _cases("Wrong hits", report.wrong_hits, out)
    else:
        _say(out, "No wrong hit.")


def _summary(report: Report, out: Console) -> None:
    table = _table(
        f"{report.pairs:,} pairs: {report.same:,} the same, {report.different:,} different", "rule"
    )
    for name in ("hits", "right", "wrong", "precision % (95 %)", "recall %"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, outcome in (("verified", report), ("bare cosine", report.bare)):
        table.add_row(
            f"{name} from {outcome.threshold:g}",
            f"{outcome.hits:,}",
            f"{outcome.right:,}",
            f"{outcome.wrong:,}",
            _precision(outcome),
            percent(outcome.recall),
        )
    out.print(table, "")
    _say(out, f"Encoder: {report.encoder}. Precision's interval is that of Clopper and Pearson.")
    _say(out, "")


def _parts(name: str, parts: Mapping[str, Part], out: Console) -> None:
    if not parts:
        return
    table = _table(f"By {name}, verified", name)
    for column in ("pairs", "same", "hits", "wrong", "recall %"):
        table.add_column(column, justify="right", no_wrap=True)
    for label, part in parts.items():
        table.add_row(
            Text(label),
            f"{part.pairs:,}",
            f"{part.same:,}",
            f"{part.hits:,}",
            f"{part.wrong:,}",
            percent(part.recall),
        )
    out.print(table, "")


def _miss_reasons(report: Report, out: Console) -> None:
    if not report.miss_reasons:
        _say(out, "No same pair was missed.")
        return
    table = _table("Missed same pairs by reason", "reason")
    for column in ("missed", "nominated"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, reason in report.miss_reasons.items():
        table.add_row(Text(name), f"{reason.missed:,}", f"{reason.nominated:,}")
    out.print(table, "")


def _cases(title: str, cases: Sequence[Case], out: Console) -> None:
    out.print(Text(title, style="bold"))
    for case in cases:
        cosine = NOTHING if case.similarity is None else f"{case.similarity:.3f}"
        labels = ", ".join(label for label in (case.kind, case.language) if label)
        one_line = " ".join(case.reason.split())
        _say(out, f"line {case.line}  cosine {cosine}  {labels}".rstrip() + f": {one_line}")
        _say(out, f"  a: {text_of(case.a)}")
        _say(out, f"  b: {text_of(case.b)}")
    _say(out, "")


def text_of(said: Said) -> str:
    """A question on one line, as it stands in the file."""
    return json.dumps(said, ensure_ascii=False)


def percent(share: float | None) -> str:
    """A share in percent with one decimal, never rounded up to 100."""
    if share is None:
        return NOTHING
    return f"{min(100 * share, 100.0 if share == 1 else 99.9):.1f}"


def _precision(outcome: Outcome) -> str:
    low, high = outcome.precision_low, outcome.precision_high
    if outcome.precision is None:
        return NOTHING
    return f"{percent(outcome.precision)} ({percent(low)} to {percent(high)})"


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=Text(title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _say(out: Console, text: str) -> None:
    out.print(Text(text), soft_wrap=True)
