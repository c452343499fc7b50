"""What a report says about itself."""

from penstock_producer.report import local
from penstock_producer.report.making import Report


def about(report: Report) -> str:
    """What it is of but for the time, and in which zone and money."""
    chosen = [
        f"{name} {value}"
        for name in ("tenant", "tier")
        if (value := getattr(report.scope, name)) is not None
    ]
    return "; ".join([*chosen, f"time zone {report.zone.key}", money_words(report)])


def period(report: Report) -> str:
    """From when to when: as asked for, else the first and the last charge."""
    since, until = report.scope.window
    begin, end = since, until
    if begin is None:
        begin = report.first_ms
    if end is None:
        end = report.last_ms
    if begin is None or end is None:
        return "the whole ledger" if since is None and until is None else "a period without charges"
    words = "until" if until is None else "until before"
    return f"{local.local_text(begin, report.zone)} {words} {local.local_text(end, report.zone)}"


def money_words(report: Report) -> str:
    """In which currency, and at what rate."""
    currency = report.currency
    if currency.code == "USD" and currency.per_usd == 1:
        return "amounts in USD"
    return f"amounts in {currency.code}, at {currency.per_usd:f} for one USD"
