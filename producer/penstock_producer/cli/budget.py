"""``penstock budget list``: how much of each budget is spent, reserved and left."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from penstock_producer.cli.facts import open_ledger, print_json
from penstock_shared import clock, money
from penstock_shared.cli import settings_of
from penstock_shared.ledger import budgeting
from penstock_shared.ledger.budgeting import Standing

app = typer.Typer(
    help="Budgets of tenants and workflows: what is spent, reserved and left.",
    no_args_is_help=True,
)
out = Console(highlight=False, emoji=False)


@app.callback()
def _main() -> None:
    """Keep ``list`` a word of its own."""


@app.command("list", epilog="Example: penstock budget list --json")
def show_list(
    as_json: Annotated[bool, typer.Option("--json", help="print facts as JSON lines")] = False,
) -> None:
    """List the budgets of penstock.toml in their present day or month."""
    budgets = settings_of().budgets
    with open_ledger() as database:
        found = budgeting.standings(database, budgets, clock.now_ms()) if budgets else []
    if as_json:
        for standing in found:
            print_json(_facts(standing))
        return
    if not found:
        out.print("there are no budgets; write [[budgets]] into penstock.toml", markup=False)
        return
    table = Table("budget")
    for heading in ("spent $", "reserved $", "left $"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("renews", no_wrap=True)
    for standing in found:
        amounts = (standing.spent_pusd, standing.reserved_pusd, standing.left_pusd)
        shown = (f"{money.to_usd(amount):.6f}" for amount in amounts)
        renews = clock.to_iso(standing.period.ends_ms)
        table.add_row(escape(standing.budget.label), *shown, renews)
    out.print(table)


def _facts(standing: Standing) -> dict[str, Any]:
    """Amounts are exact decimals, in USD."""
    budget, period = standing.budget, standing.period
    return {
        "tenant": budget.tenant,
        "workflow": budget.workflow,
        "per": budget.per,
        "timezone": budget.timezone,
        "limit_usd": _usd(period.limit_pusd),
        "spent_usd": _usd(standing.spent_pusd),
        "reserved_usd": _usd(standing.reserved_pusd),
        "left_usd": _usd(standing.left_pusd),
        "renews_at": clock.to_iso(period.ends_ms),
    }


def _usd(picodollars: int) -> str:
    return money.usd_text(money.to_usd(picodollars))
