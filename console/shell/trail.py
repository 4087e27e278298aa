"""Where the operator has been, as a browser keeps it. Pure.

A spot is the name of a place, or the id of an incident.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

MOST_SPOTS = 100


@dataclass(frozen=True, kw_only=True)
class Trail:
    spots: tuple[str, ...] = ()
    at: int = 0
    last: str = ""
    """Where one was before; '' at the start."""

    @property
    def here(self) -> str:
        return self.spots[self.at] if self.spots else ""

    def visited(self, spot: str) -> Trail:
        """What had been ahead is forgotten, unless this is where one stands already."""
        if spot == self.here:
            return self
        spots = (*self.spots[: self.at + 1], spot)[-MOST_SPOTS:]
        return Trail(spots=spots, at=len(spots) - 1, last=self.here)

    def moved(self, by: int) -> Trail | None:
        """One step back (-1) or ahead (1); None at the end."""
        at = self.at + by
        return replace(self, at=at, last=self.here) if 0 <= at < len(self.spots) else None
