"""``penstock cache stats | entries | drop``: what the cache did, what it holds, what must go."""

import re
import sys
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from penstock_producer.cli.facts import on_one_line, open_ledger, print_json
from penstock_shared import clock, money
from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger import cache_entries, cache_stats
from penstock_shared.ledger.cache_entries import Choice, Listed
from penstock_shared.ledger.cache_stats import Counts

app = typer.Typer(
    help="The cache of answers: what it did and saved, what it holds, and what must go.",
    no_args_is_help=True,
)
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

AsJson = Annotated[bool, typer.Option("--json", help="print facts as JSON")]
Tier = Annotated[str | None, typer.Option(help="only of this tier")]
Tenant = Annotated[str | None, typer.Option(help="only of this tenant")]
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SHOWN_CHARS: Final = 200
_ENTRY: Final = (
    "entry",
    "tier",
    "tenant",
    "model",
    "age",
    "unused",
    "left",
    "hits",
    "tokens",
    "cost",
)
_RATES: Final = ("hit_rate", "false_hit_rate", "false_hit_bound")
_MONEY: Final = {"saved_pusd": "saved_usd", "exploration_pusd": "exploration_usd"}


@app.command(epilog="Example: penstock cache stats --tenant acme --json")
def stats(tenant: Tenant = None, tier: Tier = None, as_json: AsJson = False) -> None:
    """Count hits, what they saved, and how often a semantic hit was the wrong answer."""
    with open_ledger() as database:
        found = cache_stats.standings(database, tenant=tenant, tier=tier)
    total = cache_stats.total(found)
    if as_json:
        rows = [{"tenant": s.tenant, "tier": s.tier, **_facts(s.counts)} for s in found]
        print_json({"rows": rows, "total": _facts(total)})
        return
    if not found:
        out.print("no job was answered, and nothing is cached")
        return
    for title, headings, cells in _TABLES:
        table = Table(title=title, title_justify="left", title_style="bold")
        for heading in ("tenant", "tier"):
            table.add_column(heading, overflow="fold")
        for heading in headings:
            table.add_column(heading, justify="right", no_wrap=heading == "saved")
        for each in found:
            table.add_row(escape(each.tenant), escape(each.tier), *cells(each.counts))
        table.add_section()
        table.add_row("total", "", *cells(total))
        out.print(table)


@app.command(epilog="Example: penstock cache entries --tenant acme --show-questions")
def entries(
    tenant: Tenant = None,
    tier: Tier = None,
    limit: Annotated[int, typer.Option(min=1, help="the last so many")] = 100,
    show_questions: Annotated[
        bool, typer.Option("--show-questions", help="prompts too, which are private")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List cached answers, those that were used last first; no prompts."""
    with open_ledger() as database:
        found = cache_entries.listed(database, tenant=tenant, tier=tier, limit=limit)
    if as_json:
        for entry in found:
            facts = entry._asdict()
            facts["charge_usd"] = _usd(facts.pop("charge_pusd"))
            print_json(facts if show_questions else _without_question(facts))
        return
    if not found:
        out.print("nothing is cached")
        return
    table = Table()
    for heading in (*_ENTRY, *(["question"] if show_questions else [])):
        table.add_column(heading, overflow="fold")
    now = clock.now_ms()
    for entry in found:
        question = [escape(_shortened(entry.question))] if show_questions else []
        table.add_row(*_entry_cells(entry, now), *question)
    out.print(table)


@app.command(epilog="Example: penstock cache drop --tier small --older-than 7d")
def drop(
    tenant: Tenant = None,
    tier: Tier = None,
    model: Annotated[str | None, typer.Option(help="only what this model answered")] = None,
    older_than: Annotated[
        str | None, typer.Option(help="only what was stored so long ago: 90s, 15m, 12h, 7d, 2w")
    ] = None,
    entry: Annotated[
        list[int] | None, typer.Option(min=1, max=2**63 - 1, metavar="ID", help="only this one")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="the whole cache")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete cached answers; a worker serves none of them from then on."""
    before = None if older_than is None else clock.now_ms() - _duration_ms(older_than)
    choice = Choice(tenant, tier, model, before, entry or None)
    if any(part is not None for part in choice) == every:
        raise InvalidRequest(
            "say what to drop with --tenant, --tier, --model, --older-than or --entry, "
            "which narrow each other, or say --all for the whole cache"
        )
    with open_ledger() as database:
        if not yes and sys.stdin.isatty():
            count = len(cache_entries.chosen(database, choice))
            if count and not typer.confirm(f"drop {_counted(count)}?", err=True):
                raise typer.Exit(1)
        dropped = cache_entries.drop(database, **choice._asdict())
    if as_json:
        print_json({"dropped": dropped})
    elif dropped:
        out.print(f"{_counted(dropped)} dropped")
    else:
        err.print("no entry is like that")


def _facts(counts: Counts) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, value in counts._asdict().items():
        facts[_MONEY.get(name, name)] = _usd(value) if name in _MONEY else value
    return {**facts, **{name: getattr(counts, name) for name in _RATES}}


def _answers(counts: Counts) -> list[str]:
    return [
        f"{counts.answered:,}",
        f"{counts.exact:,}",
        f"{counts.semantic:,}",
        f"{counts.joined:,}",
        "" if counts.hit_rate is None else f"{counts.hit_rate:.1%}",
        _dollars(counts.saved_pusd),
    ]


def _trust(counts: Counts) -> list[str]:
    return [
        f"{counts.near_misses:,}",
        f"{counts.compared:,}",
        f"{counts.differed:,}",
        _dollars(counts.exploration_pusd),
        _false_hits(counts),
    ]


def _store(counts: Counts) -> list[str]:
    return [f"{counts.entries:,}", f"{counts.stored_bytes / 1e6:,.1f} MB"]


_TABLES: Final = (
    ("answers", ("jobs", "exact", "semantic", "joined", "hit rate", "saved"), _answers),
    ("trust", ("near misses", "compared", "differed", "cost", "false hits"), _trust),
    ("store", ("entries", "size"), _store),
)


def _false_hits(counts: Counts) -> str:
    rate, bound = counts.false_hit_rate, counts.false_hit_bound
    if rate is None or bound is None:
        return "no evidence"
    return f"{rate:.2%}, at most {bound:.2%}"


def _entry_cells(entry: Listed, now: int) -> list[str]:
    left = entry.expires_ms - now
    return [
        str(entry.entry_id),
        escape(entry.tier),
        escape(entry.tenant),
        escape(entry.model),
        _span(now - entry.created_ms),
        _span(now - entry.used_ms),
        _span(left) if left > 0 else "expired",
        f"{entry.hits:,}",
        f"{entry.prompt_tokens} + {entry.completion_tokens}",
        _dollars(entry.charge_pusd),
    ]


def _without_question(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name != "question"}


def _shortened(question: str) -> str:
    plain = on_one_line(question)
    return plain if len(plain) <= _SHOWN_CHARS else plain[: _SHOWN_CHARS - 1] + "…"


def _usd(picodollars: int) -> str:
    return money.usd_text(money.to_usd(picodollars))


def _dollars(picodollars: int) -> str:
    return f"${money.to_usd(picodollars):.6f}"


def _counted(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def _span(ms: int) -> str:
    """A time in its largest unit, rounded down: 3d."""
    seconds = max(0, ms) // 1000
    unit = next((u for u in "dhm" if seconds >= _UNITS[u]), "s")
    return f"{seconds // _UNITS[unit]}{unit}"


def _duration_ms(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9})([smhdw])", text.strip())
    if match is None:
        raise InvalidRequest(f"--older-than {text}: write a number and s, m, h, d or w, such as 7d")
    return int(match[1]) * _UNITS[match[2]] * 1000
