"""Which labels a label selector picks, as its object spells it: `matchLabels` and `matchExpressions`.

Format: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#resources-that-support-set-based-requirements
"""

from __future__ import annotations

from collections.abc import Mapping

from responder.domain.manifest import Manifest, items, mapping, strings, text


def picks(selector: Manifest, labels: Mapping[str, object]) -> bool:
    """An empty selector picks everything. Whether an absent one does depends on the kind, and is left to the caller."""
    expected = mapping(selector, "matchLabels")
    return all(labels.get(name) == value for name, value in expected.items()) and all(
        _meets(expression, labels) for expression in items(selector, "matchExpressions")
    )


def _meets(expression: Manifest, labels: Mapping[str, object]) -> bool:
    value = labels.get(text(expression, "key"))
    match text(expression, "operator"):
        case "In":
            return value in strings(expression, "values")
        case "NotIn":
            return value not in strings(expression, "values")
        case "Exists":
            return value is not None
        case _:
            return value is None
