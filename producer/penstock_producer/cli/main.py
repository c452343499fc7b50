"""The command line of producers and operators."""

import os

import typer

from penstock_producer.cli import audit, batch, budget, cache, dead, jobs, plan, report, stack
from penstock_shared.cli import Home, guarded

app = typer.Typer(
    help="Penstock: prompts in, priced answers out.",
    epilog="First steps: penstock up, then in another terminal: "
    "penstock submit 'What is the capital of France?' --wait 60. "
    "Exit statuses: 0 done, 1 the job has no answer or the books do not add up, 2 wrong usage, "
    "65 bad input, 66 no such job, 69 ledger or broker away, 73 home in use, 75 still waiting, "
    "77 over the budget, 78 settings, 79 a batch's --max-cost, 80 a batch was stopped.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command(epilog=stack.UP_EXAMPLES)(stack.up)
app.command(epilog=stack.DEMO_EXAMPLES)(stack.demo)
app.command(epilog=stack.MIGRATE_EXAMPLES)(stack.migrate)
app.command(epilog=jobs.SUBMIT_EXAMPLES)(jobs.submit)
app.command(epilog=jobs.RESULT_EXAMPLES)(jobs.result)
app.command(epilog=jobs.STATUS_EXAMPLES)(jobs.status)
app.command(epilog=jobs.CANCEL_EXAMPLES)(jobs.cancel)
app.command(epilog=audit.AUDIT_EXAMPLES)(audit.audit)
app.command(epilog=report.REPORT_EXAMPLES)(report.report)
app.add_typer(batch.app, name="batch")
app.add_typer(budget.app, name="budget")
app.add_typer(dead.app, name="dead")
app.add_typer(cache.app, name="cache")
app.add_typer(plan.app, name="plan")


@app.callback()
def _main(home: Home = None) -> None:
    if home is not None:
        os.environ["PENSTOCK_HOME"] = str(home)


def run() -> None:
    """Entry point: errors of ours become one line and their exit status."""
    guarded(app)
