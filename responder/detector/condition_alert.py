"""The alert that a condition becomes: its labels, its fingerprint and what is told beside them. Pure.

Labels name the root object and never a pod, so that they stay the same while pods come and go. Annotations quote the
server's words, and those quote anything: secrets leave them here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from responder.conditions.model import Condition
from responder.detector.alertmanager import computed_fingerprint
from responder.detector.causes import CAUSES_ANNOTATION
from responder.detector.secrets import public
from responder.domain.alert import Alert, AlertSource, AlertStatus
from responder.domain.refs import ObjectRef
from responder.patterns import well_formed

MAX_CAUSES = 8
MAX_LABEL_VALUE = 253
"""Characters; likewise below. The longest name that an object can have."""
MAX_SUMMARY = 1_000
MAX_NAME = 512

# What names and image references are made of: a colon in them stands before a port or a tag, not before a secret.
_NAMES = re.compile(r"\w+(?:/[\w.\-]+(?::\d+(?=/))?)+(?::[\w.\-]+)?(?:@\w+:[0-9a-fA-F]+)?\Z", re.ASCII)


def alert_of(condition: Condition, root: ObjectRef, *, starts_at: datetime, causes: tuple[str, ...] = ()) -> Alert:
    """The firing alert for a condition of an object whose root is `root`."""
    labels = {
        "alertname": condition.name,
        "namespace": root.namespace,
        "severity": condition.severity.value,
        "kind": root.kind,
        "name": root.name,
        "container": condition.container,
        "proactive": "true" if condition.proactive else "",
    }
    kept = {name: _storable(value)[:MAX_LABEL_VALUE] for name, value in labels.items() if value}
    annotations = {
        # Redacted before it is cut: half a secret has no shape any more.
        "summary": public(_storable(condition.summary[: 8 * MAX_SUMMARY]))[:MAX_SUMMARY],
        "object": _public_name(condition.about.key),
        CAUSES_ANNOTATION: " ".join(public_causes(causes or condition.causes)),
    }
    return Alert(
        fingerprint=fingerprint_of(kept),
        source=AlertSource.KUBERNETES,
        status=AlertStatus.FIRING,
        labels=kept,
        annotations={name: value for name, value in annotations.items() if value},
        starts_at=starts_at,
    )


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """16 hex digits over all labels but `severity`: what gets worse stays the same alert."""
    return computed_fingerprint({name: value for name, value in labels.items() if name != "severity"})


def common_causes(found: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The causes of several conditions, most common first, then in the order in which they are named; at most 8."""
    counts = Counter(cause for causes in found for cause in dict.fromkeys(causes))
    return tuple(cause for cause, _ in counts.most_common(MAX_CAUSES))


def public_causes(causes: tuple[str, ...]) -> tuple[str, ...]:
    """As they may be stored and shown: an image's tag can be anything."""
    return tuple(_public_name(cause) for cause in causes[:MAX_CAUSES])


def _public_name(name: str) -> str:
    """Names are no secrets, though `external-secrets:v1` has the form of an assignment; whatever is no name may be."""
    name = "_".join(_storable(name).split())
    plain = name.replace(":", "/")
    kept = name if _NAMES.match(name) and public(plain) == plain else "_".join(public(name).split())
    return kept[:MAX_NAME]


def _storable(text: str) -> str:
    return well_formed(text).replace("\0", "\N{REPLACEMENT CHARACTER}")
