"""Kubernetes quantities (`500m`, `1Gi`, `2e3`) as exact numbers.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from decimal import Decimal
from fractions import Fraction

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(m|k|M|G|T|P|E|n|u|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+)?\Z")
_SUFFIX = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{letter: Fraction(1000 ** (power + 1)) for power, letter in enumerate("kMGTPE")},
    **{f"{letter}i": Fraction(1024 ** (power + 1)) for power, letter in enumerate("KMGTPE")},
}


def parse_quantity(value: object) -> Fraction:
    """The number a quantity stands for. Raises `ValueError` with the server's words."""
    match = _FORM.match(str(value))
    if match is None or isinstance(value, bool):
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, suffix = match[1], match[2] or ""
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return Fraction(Decimal(number + suffix))
    return Fraction(Decimal(number)) * _SUFFIX[suffix]


def format_quantity(number: Fraction, like: str = "") -> str:
    """A sum written in the family of `like`: milli units for a fraction, binary suffixes where `like` has one."""
    if number.denominator != 1:
        return f"{-((-number.numerator * 1000) // number.denominator)}m"
    if like.endswith("i"):
        for power, letter in reversed(tuple(enumerate("KMGTPE"))):
            unit = 1024 ** (power + 1)
            if number and number % unit == 0:
                return f"{number // unit}{letter}i"
    return str(number.numerator)
