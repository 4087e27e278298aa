"""Kubernetes quantities (`500m`, `1Gi`, `2e3`) as exact numbers, to compare what two texts mean.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from fractions import Fraction

_FORM = re.compile(
    r"(?P<digits>[0-9]{1,18}(?:\.[0-9]{1,9})?)"
    r"(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<power>[+-]?[0-9]{1,2}))?\Z"
)

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def parse_quantity(text: str) -> Fraction | None:
    """The number a quantity stands for; None for what is none, or is negative."""
    match = _FORM.match(text)
    if match is None:
        return None
    digits, suffix = Fraction(match["digits"]), match["suffix"] or ""
    if match["power"]:
        return digits * Fraction(10) ** int(match["power"])
    if suffix in _BINARY:
        return digits * Fraction(1024) ** _BINARY[suffix]
    return digits * Fraction(10) ** _DECIMAL[suffix]


def same_quantity(one: str, other: str) -> bool:
    """True where both mean the same amount: the API server may write `1024Mi` back as `1Gi`."""
    return one == other or ((number := parse_quantity(one)) is not None and number == parse_quantity(other))
