"""What language models were allowed to spend: one row per request, reserved before it is sent and settled after.

A reservation that was never settled, because the process ended in between, counts at its worst case for as long as it
lies in a window: the provider may have charged all of it. Windows slide over the stored times. A row from the future
counts too, so a clock that is set back frees nothing. What a request can cost at most is decided by the analyzer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.domain.errors import IllegalTransition, NotFound
from responder.domain.investigation import Usage
from responder.store.connection import Connection
from responder.store.rows import RecordTable, to_timestamp

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)

_NOISE_USD = 1e-9
"""Sums of floats miss by less; no request costs as little."""


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """The most that one request to a provider can use."""

    id: str
    investigation_id: str
    analyzer: str
    model: str
    namespace: str
    """Of the incident; '' for one about a cluster-scoped object."""
    at: datetime
    tokens: int
    """Read and written together."""
    cost_usd: float

    def __post_init__(self) -> None:
        _refuse_nonsense(self.tokens, self.cost_usd)


@dataclass(frozen=True, kw_only=True)
class Caps:
    """Limits of sliding windows; what reaches a limit exactly is still admitted."""

    hour_usd: float
    day_usd: float
    namespace_day_usd: float
    day_tokens: int


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Settled rows at what they cost, the others at their worst case."""

    hour_usd: float
    day_usd: float
    day_tokens: int
    namespace_day_usd: float
    """Of the namespace that was asked for."""


_TABLE = RecordTable("model_spending", Reservation, extra=("settled",))


def reserve(con: Connection, reservation: Reservation, caps: Caps) -> str:
    """'' where it fits under every limit and is on record now, else the sentence that says which one it would break.

    Raises IllegalTransition where the id is taken.
    """
    refusal = _refusal(spent(con, reservation.at, reservation.namespace), reservation, caps)
    if refusal:
        return refusal
    if _TABLE.knows(con, reservation.id):
        raise IllegalTransition(f"{reservation.id} is reserved already")
    _TABLE.insert(con, reservation, settled=False)
    return ""


def settle(con: Connection, reservation_id: str, *, usage: Usage, cost_usd: float) -> bool:
    """What the request did use takes the place of the worst case. False where it was settled before: that stands.

    Raises NotFound; ValueError for a count that is negative or not a number, which leaves the worst case in force.
    """
    _refuse_nonsense(min(usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens), cost_usd)
    _refuse_nonsense(usage.output_tokens, cost_usd)
    if not _TABLE.knows(con, reservation_id):
        raise NotFound(f"no reservation {reservation_id}")
    row = con.execute(
        "UPDATE model_spending SET settled = TRUE, input_tokens = ?, cache_read_tokens = ?, cache_write_tokens = ?, "
        "output_tokens = ?, tokens = ?, cost_usd = ? WHERE id = ? AND NOT settled",
        [
            usage.input_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
            usage.all_tokens,
            cost_usd,
            reservation_id,
        ],
    ).fetchone()
    return row is not None and row[0] > 0


def spent(con: Connection, at: datetime, namespace: str = "") -> Spent:
    """In the hour and the 24 hours that end at `at`, and of what is recorded as later."""
    hour, day = to_timestamp(at - HOUR), to_timestamp(at - DAY)
    row = con.execute(
        "SELECT coalesce(sum(cost_usd) FILTER (recorded_at > ?), 0), coalesce(sum(cost_usd), 0), "
        "coalesce(sum(tokens), 0), coalesce(sum(cost_usd) FILTER (namespace = ?), 0) "
        "FROM model_spending WHERE recorded_at > ?",
        [hour, namespace, day],
    ).fetchone()
    hour_usd, day_usd, tokens, namespace_usd = row if row is not None else (0, 0, 0, 0)
    return Spent(
        hour_usd=float(hour_usd),
        day_usd=float(day_usd),
        day_tokens=int(tokens),
        namespace_day_usd=float(namespace_usd),
    )


def _refusal(now: Spent, wanted: Reservation, caps: Caps) -> str:
    limits = (
        ("any 60 minutes", now.hour_usd, caps.hour_usd, "max_usd_per_hour"),
        ("any 24 hours", now.day_usd, caps.day_usd, "max_usd_per_day"),
        (
            f"any 24 hours in namespace {wanted.namespace or '(none)'}",
            now.namespace_day_usd,
            caps.namespace_day_usd,
            "max_usd_per_namespace_day",
        ),
    )
    for window, sum_usd, cap_usd, key in limits:
        if not sum_usd + wanted.cost_usd <= cap_usd + _NOISE_USD:
            return (
                f"{sum_usd:.4f} USD of {cap_usd:.2f} for {window} are spent or reserved, "
                f"and this request can cost {wanted.cost_usd:.4f} (analysis.{key})"
            )
    if now.day_tokens + wanted.tokens > caps.day_tokens:
        return (
            f"{now.day_tokens} tokens of {caps.day_tokens} for any 24 hours are used or reserved, "
            f"and this request can use {wanted.tokens} (analysis.max_tokens_per_day)"
        )
    return ""


def _refuse_nonsense(tokens: int, cost_usd: float) -> None:
    if tokens < 0 or cost_usd < 0 or not math.isfinite(cost_usd):
        raise ValueError(f"{tokens} tokens for {cost_usd} USD cannot be")
