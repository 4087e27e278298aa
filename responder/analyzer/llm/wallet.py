"""What models may cost over an hour, a day, and a day of one namespace: kept in the store, so a restart frees nothing.

The worst case of a request is committed before the request is sent, and what it did cost after. A reservation that was
never settled, because the process ended between, goes on counting at its worst case. The sums are `store.spending`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from responder.analyzer.llm.budget import Charge
from responder.analyzer.protocol import Assignment
from responder.domain.errors import AnalyzerUnavailable
from responder.settings import Analysis
from responder.store import spending
from responder.store.spending import Caps, Reservation, Spent
from responder.store.store import Store


class BudgetSpent(AnalyzerUnavailable):
    """The next request could cost more than what is left of an hour, a day, or a namespace's day."""


def caps_of(analysis: Analysis) -> Caps:
    return Caps(
        hour_usd=analysis.max_usd_per_hour,
        day_usd=analysis.max_usd_per_day,
        namespace_day_usd=analysis.max_usd_per_namespace_day,
        day_tokens=analysis.max_tokens_per_day,
    )


class Wallet:
    """One for all models."""

    def __init__(self, store: Store, caps: Caps, *, now: Callable[[], datetime], mint: Callable[[str], str]) -> None:
        self._store = store
        self._caps = caps
        self._now = now
        self._mint = mint

    async def reserve(self, assignment: Assignment, *, analyzer: str, model: str, most: Charge) -> Reservation:
        """Set the worst case of one request aside; committed when it returns.

        Raises:
            BudgetSpent: it does not fit; nothing is reserved.
            StoreUnavailable, QueueFull: it cannot be committed, so the request must not be sent.
        """
        reservation = Reservation(
            id=self._mint("rsv"),
            investigation_id=assignment.id,
            analyzer=analyzer,
            model=model,
            namespace=assignment.incident.namespace,
            at=self._now(),
            tokens=most.usage.all_tokens,
            cost_usd=most.usd,
        )
        refusal = await self._store.write(lambda con: spending.reserve(con, reservation, self._caps))
        if refusal:
            raise BudgetSpent(refusal)
        return reservation

    async def spent(self) -> Spent:
        """By all models, in the windows that end now."""
        return await self._store.read(lambda con: spending.spent(con, self._now()))

    async def settle(self, reservation: Reservation, charge: Charge) -> None:
        """Raises StoreUnavailable, QueueFull: the reservation then goes on counting at its worst case."""
        await self._store.write(
            lambda con: spending.settle(con, reservation.id, usage=charge.usage, cost_usd=charge.usd)
        )
