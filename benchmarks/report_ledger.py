"""A large ledger, made in bulk by the database itself, for benchmarks/report_speed.py."""

from typing import Final

import psycopg
from sqlalchemy import text

from penstock_shared.ledger.database import Database

END_MS: Final = 1_796_000_000_000  # the last job is answered before it
_DAYS: Final = 30
_BEGIN_MS: Final = END_MS - _DAYS * 86_400_000
_HOUR_PUSD: Final = 4 * 10**12

# n is the number of a job. Ids grow with time, as those of real jobs do. Large primes scatter what
# would otherwise repeat. Six of ten jobs are small, every fifth answer comes from the cache.
_TIER: Final = "CASE WHEN n % 10 < 6 THEN 'small' WHEN n % 10 < 9 THEN 'medium' ELSE 'large' END"
_TENANT: Final = "'tenant-' || (n * 7919 % 997 % 20)"
_CREATED: Final = f"{_BEGIN_MS} + n * {END_MS - _BEGIN_MS} / :count"
_PROMPT: Final = "50 + n * 104729 % 1009 * (1 + n % 10)"
_OUTPUT: Final = "20 + n * 15485863 % 503"
_COST: Final = f"(({_PROMPT}) + 4 * ({_OUTPUT})) * (1000 + n * 32452843 % 1013) * (1 + n % 10)"
_IS_HIT: Final = "n % 5 = 3"
_NUMBERS: Final = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers "
    "WHERE n + 1 < :count)",
    "postgresql": "WITH numbers AS (SELECT generate_series(0, CAST(:count AS bigint) - 1) AS n)",
}
_TASKS: Final = (
    "CASE n * 7907 % 8 WHEN 0 THEN 'code' WHEN 1 THEN 'reasoning' WHEN 2 THEN 'translation' "
    "WHEN 3 THEN 'summarization' WHEN 4 THEN 'long_context' WHEN 5 THEN 'creative' "
    "WHEN 6 THEN 'chat' ELSE 'factual_qa' END"
)
_WORKFLOW: Final = "CASE WHEN n % 3 = 0 THEN NULL ELSE 'run-' || (n * 6151 % 20011) END"
_TEXT: Final = "'{}-' || n || ' ' || :words"


def _id() -> str:
    return "'00000000-0000-7000-8000-' || substr('000000000000' || n, -12, 12)"


_STATEMENTS: Final = (
    f"""INSERT INTO jobs (id, tenant, workflow, tier, reason, task_type, state, request, digest,
        created_ms, published_ms, attempts, fence, cancel_requested, finished_ms)
    {{numbers}} SELECT {{id}}, {_TENANT}, {_WORKFLOW}, {_TIER}, 'rule: everything', {_TASKS},
        'succeeded', {_TEXT.format("prompt")}, 'digest', {_CREATED}, {_CREATED}, 1, 1, false,
        {_CREATED} FROM numbers""",
    f"""INSERT INTO results (job_id, text, finish_reason, source, model, prompt_tokens,
        cached_tokens, completion_tokens, queue_ms, prefill_ms, decode_ms, created_ms, saved_pusd,
        speculation)
    {{numbers}} SELECT {{id}}, {_TEXT.format("answer")}, 'stop',
        CASE WHEN {_IS_HIT} THEN 'exact' ELSE 'engine' END, 'model-' || {_TIER}, {_PROMPT}, 0,
        {_OUTPUT}, 10, 20, 200, {_CREATED}, CASE WHEN {_IS_HIT} THEN {_COST} ELSE 0 END,
        CASE WHEN n % 10 = 9 AND n % 4 = 1 THEN 'ngram' END FROM numbers""",
    f"""INSERT INTO charges (job_id, tenant, tier, worker_id, amount_pusd, created_ms)
    {{numbers}} SELECT {{id}}, {_TENANT}, {_TIER}, 'worker-' || {_TIER},
        CASE WHEN {_IS_HIT} THEN 0 ELSE {_COST} END, {_CREATED} FROM numbers""",
    f"""INSERT INTO worker_time (worker_id, tier, host, price_per_hour_pusd, started_ms, seen_ms,
        ended_ms, paid_pusd, charged_pusd, waste_pusd, idle_pusd)
    SELECT 'worker-' || tier, tier, 'here', {_HOUR_PUSD}, {_BEGIN_MS}, {END_MS}, {END_MS},
        2 * sum(amount_pusd), sum(amount_pusd), sum(amount_pusd) / 50,
        sum(amount_pusd) - sum(amount_pusd) / 50
    FROM charges GROUP BY tier""",
)  # fmt: skip


def fill(database: Database, count: int) -> None:
    """Write so many jobs with their results and charges, and let the database look at them."""
    kind = "sqlite" if database.is_sqlite else "postgresql"
    job_id = _id() if database.is_sqlite else "'00000000-0000-7000-8000-' || lpad(n::text, 12, '0')"
    words = "What one person would say to another about dams, rivers and turbines. " * 5
    with database.write() as connection:
        for statement in _STATEMENTS:
            made = statement.format(numbers=_NUMBERS[kind], id=job_id.replace("::", r"\:\:"))
            connection.execute(text(made), {"count": count, "words": words}
                               if ":count" in made else {})  # fmt: skip
    if database.is_sqlite:
        with database.write() as connection:
            connection.exec_driver_sql("ANALYZE")
    else:  # as autovacuum does in time; not possible in a transaction
        address = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as direct:
            direct.execute("VACUUM ANALYZE")
