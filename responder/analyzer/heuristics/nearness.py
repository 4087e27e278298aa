"""Near misses between names: which of the names that exist was meant, if exactly one can have been.

Two names that differ in digits alone (`app-v1`, `app-v2`) are different things by intent and never a near miss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_DIGITS = re.compile(r"[0-9]+")
_SEPARATORS = re.compile(r"[-_./\s]+")
_SHORTEST_PART = 4
_SMALLEST_SHARE = 0.4


@dataclass(frozen=True, kw_only=True)
class NearMiss:
    best: str = ""
    """Empty where no name is near, or more than one is equally near."""
    rivals: tuple[str, ...] = ()
    """The equally near ones; more than one means that a human has to choose."""
    how: str = ""


def edit_distance(left: str, right: str, *, limit: int) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours; `limit + 1` where it is more than `limit`."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        row = [i]
        for j, b in enumerate(right, start=1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before, previous = previous, row
    return min(previous[-1], limit + 1)


def is_typo_of(written: str, meant: str) -> int:
    """The edit distance, where it is small enough for a slip of the hand; 0 where it is not, or the two are equal."""
    shorter = min(len(written), len(meant))
    limit = 0 if shorter < 3 else 1 if shorter < 5 else 2
    if written == meant or _differ_in_digits_only(written, meant):
        return 0
    distance = edit_distance(written, meant, limit=limit)
    return distance if 0 < distance <= limit else 0


def near_miss(written: str, existing: Iterable[str], *, spoken_for: frozenset[str] = frozenset()) -> NearMiss:
    """The one existing name that `written` most likely means.

    `spoken_for` are names that the same spec already uses elsewhere: they may be meant by a slip of the hand, but not
    by a name that merely contains them or is contained.
    """
    ranked: dict[tuple[int, int], list[str]] = {}
    for name in set(existing) - {written}:
        rank = _rank(written, name)
        if rank is not None and not (rank[0] > 1 and name in spoken_for):
            ranked.setdefault(rank, []).append(name)
    if not ranked:
        return NearMiss()
    best_rank = min(ranked)
    best = sorted(ranked[best_rank])
    if best_rank[0] > 1:  # containment has no measure of nearness: any second name is a rival
        best = sorted(name for rank, names in ranked.items() if rank[0] > 1 for name in names)
    return NearMiss(best=best[0] if len(best) == 1 else "", rivals=tuple(best), how=_HOW[best_rank[0]])


_HOW = ("the same but for case or separators", "a slip of the hand away", "a longer or shorter form of it")


def _rank(written: str, name: str) -> tuple[int, int] | None:
    if _folded(written) == _folded(name):
        return 0, 0
    distance = is_typo_of(written, name)
    if distance:
        return 1, distance
    return (2, 0) if _extends(written, name) else None


def _extends(left: str, right: str) -> bool:
    shorter, longer = sorted((left, right), key=len)
    if len(shorter) < _SHORTEST_PART or len(shorter) / len(longer) < _SMALLEST_SHARE:
        return False
    if _differ_in_digits_only(left, right):
        return False
    if longer.startswith(shorter):
        return True
    short_parts, long_parts = _SEPARATORS.split(shorter.lower()), _SEPARATORS.split(longer.lower())
    window = len(short_parts)
    return any(long_parts[at : at + window] == short_parts for at in range(len(long_parts) - window + 1))


def _folded(name: str) -> str:
    return _SEPARATORS.sub("", name.lower())


def _differ_in_digits_only(left: str, right: str) -> bool:
    return left != right and _DIGITS.sub("", left).rstrip("-v.") == _DIGITS.sub("", right).rstrip("-v.")
