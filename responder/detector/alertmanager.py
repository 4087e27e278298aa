"""Webhook bodies of Alertmanager, and of Grafana's unified alerting, to alerts. Pure.

Format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config (version "4", Alertmanager 0.25 to
0.34); Grafana's has the same alerts with fields of its own
(https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/).
Everything but `alerts` is optional, and unknown fields are ignored.

Decided here: which bodies can never succeed (`WebhookInvalid`), which single alerts are set aside with a reason while
the others of their body pass, and what stands in for what a sender left out. Secrets leave the texts here, after the
fingerprint has been taken of them. Which alerts are duplicates is the store's
question; what they are about is `grouping`'s.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeGuard

import orjson

from responder.detector.secrets import public, public_json, public_link, without_secrets
from responder.domain.alert import Alert, AlertStatus, Delivery, QuarantinedAlert
from responder.domain.errors import PermanentError
from responder.domain.manifest import Json, Manifest, number, text
from responder.domain.timestamps import parse_time
from responder.redact import may_hold_secret

KNOWN_VERSIONS = ("4", "1")
"""Alertmanager's, and Grafana's."""

MAX_LABELS = 256
MAX_LABEL_NAME = 512
"""Characters; likewise below. Labels identify the alert, so one beyond a cap sets the alert aside."""
MAX_LABEL_VALUE = 8_192
MAX_LABELS_TOTAL = 65_536
MAX_ANNOTATIONS = 128
"""Annotations are evidence: what is beyond a cap is cut, and the cut is marked."""
MAX_ANNOTATION = 16_384
MAX_ANNOTATIONS_TOTAL = 65_536
MAX_URL = 8_192
MAX_RAW = 16_384
"""Of an alert that is set aside, this much is kept."""

_MOST_TRUNCATED = 2**31 - 1
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FINGERPRINT = re.compile(r"[0-9a-f]{16}\Z")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""NUL and lone surrogates: neither the database nor UTF-8 takes them."""
_CUT = " …[cut]"


class WebhookInvalid(PermanentError):
    """The body can never succeed, however often it is sent."""


class _AlertInvalid(Exception):
    """This alert cannot be read; the text says why."""


@dataclass(frozen=True, kw_only=True)
class _Group:
    status: str
    received_at: datetime


def parse_webhook(body: bytes, *, received_at: datetime) -> Delivery:
    """The alerts of one body in their order, and the unreadable ones with the reason.

    Raises:
        WebhookInvalid: not JSON, not UTF-8, nested beyond reason, no object, or without a list of alerts.
    """
    document = _decode(body)
    raw_alerts = document.get("alerts")
    if not isinstance(raw_alerts, list):
        raise WebhookInvalid("the body has no list named alerts")
    group = _Group(status=text(document, "status"), received_at=received_at)
    alerts: list[Alert] = []
    quarantined: list[QuarantinedAlert] = []
    for raw in raw_alerts:
        try:
            alerts.append(_parse_alert(raw, group))
        except _AlertInvalid as exc:
            quarantined.append(QuarantinedAlert(reason=public(str(exc)), raw=_keep(raw)))
    return Delivery(
        alerts=tuple(alerts),
        quarantined=tuple(quarantined),
        receiver=_storable(text(document, "receiver"), MAX_LABEL_VALUE),
        group_key=_storable(public(text(document, "groupKey")), MAX_LABEL_VALUE),
        truncated_alerts=min(max(0, number(document, "truncatedAlerts")), _MOST_TRUNCATED),
        warnings=_warnings(document),
    )


def computed_fingerprint(labels: Mapping[str, str]) -> str:
    """16 hex digits over the sorted labels, for senders that give none. Not Alertmanager's own hash."""
    material = json.dumps(sorted(labels.items()), separators=(",", ":"))
    return hashlib.sha256(material.encode()).hexdigest()[:16]


def _decode(body: bytes) -> Manifest:
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        document: Json = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        document = _decode_leniently(body, str(exc))
    if not isinstance(document, Mapping):
        raise WebhookInvalid("the body is not a JSON object")
    return document


def _decode_leniently(body: bytes, problem: str) -> Json:
    """The standard library reads lone surrogates and NaN, so that one bad alert does not take its group along."""
    try:
        return json.loads(body.decode())
    except UnicodeDecodeError as exc:
        raise WebhookInvalid("the body is not UTF-8") from exc
    except RecursionError as exc:
        raise WebhookInvalid("the body is nested too deeply") from exc
    except ValueError as exc:
        raise WebhookInvalid(f"the body is not JSON: {problem}") from exc


def _warnings(document: Manifest) -> tuple[str, ...]:
    version = document.get("version")
    if version is None or version in KNOWN_VERSIONS:
        return ()
    return (f"unknown webhook version {_storable(str(version), 32)!r}: read as version 4",)


def _parse_alert(raw: Json, group: _Group) -> Alert:
    if not isinstance(raw, Mapping):
        raise _AlertInvalid("the alert is not an object")
    labels = _labels(raw.get("labels"))
    status = _status(raw.get("status"), group.status)
    starts_at = _time(raw, "startsAt") or group.received_at
    fingerprint = _fingerprint(raw.get("fingerprint"), labels)  # of the labels as sent: redaction moves no identity
    annotations = _annotations(raw.get("annotations"))
    link = _link(text(raw, "generatorURL"))
    if may_hold_secret("\n".join((*labels, *labels.values(), *annotations, *annotations.values(), link))):
        labels, annotations = without_secrets(labels, names_objects=True), without_secrets(annotations)
        link = public_link(link)
    return Alert(
        fingerprint=fingerprint,
        status=status,
        labels=labels,
        annotations=annotations,
        starts_at=starts_at,
        ends_at=_ends_at(raw, starts_at, group.received_at) if status is AlertStatus.RESOLVED else None,
        generator_url=link,
    )


def _status(value: Json, group_status: str) -> AlertStatus:
    """An alert without a word of its own has its group's; whatever is not resolved fires."""
    own = value if isinstance(value, str) and value else group_status
    return AlertStatus.RESOLVED if own.strip().casefold() == AlertStatus.RESOLVED else AlertStatus.FIRING


def _fingerprint(value: Json, labels: Mapping[str, str]) -> str:
    given = value.casefold() if isinstance(value, str) else ""
    return given if _FINGERPRINT.match(given) else computed_fingerprint(labels)


def _labels(value: Json) -> Mapping[str, str]:
    """An empty value is an absent label, as in Prometheus."""
    if not isinstance(value, Mapping):
        raise _AlertInvalid("labels: missing or not an object")
    if len(value) > MAX_LABELS:
        raise _AlertInvalid(f"labels: {len(value)} of them, more than {MAX_LABELS}")
    labels = {name: item for name, item in value.items() if item != ""}
    if not labels:
        raise _AlertInvalid("labels: none")
    if _all_short(labels):
        return labels
    checked = {name: _label(name, item) for name, item in labels.items()}
    if sum(len(name) + len(item) for name, item in checked.items()) > MAX_LABELS_TOTAL:
        raise _AlertInvalid(f"labels: more than {MAX_LABELS_TOTAL} characters in all")
    return checked


def _all_short(texts: Mapping[str, Json]) -> TypeGuard[Mapping[str, str]]:
    """True where all of it together is within every cap and can be stored: nearly always, and told in one look."""
    if len(texts) > MAX_ANNOTATIONS:
        return False
    try:
        together = "".join((*texts, *texts.values()))  # what is no text raises
    except TypeError:
        return False
    return len(together) <= MAX_LABEL_NAME and "" not in texts and _is_storable(together)


def _label(name: str, value: Json) -> str:
    shown = ascii(name[:64])
    if not name or len(name) > MAX_LABEL_NAME:
        raise _AlertInvalid(f"labels: name {shown} has {len(name)} characters")
    if not isinstance(value, str):
        raise _AlertInvalid(f"labels: value of {shown} is not a string")
    if len(value) > MAX_LABEL_VALUE:
        raise _AlertInvalid(f"labels: value of {shown} has {len(value)} characters, more than {MAX_LABEL_VALUE}")
    if not (_is_storable(name) and _is_storable(value)):
        raise _AlertInvalid(f"labels: {shown} holds NUL or a lone surrogate")
    return value


def _annotations(value: Json) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        return {}
    if _all_short(value):
        return value
    annotations: dict[str, str] = {}
    left = MAX_ANNOTATIONS_TOTAL
    for name, item in list(value.items())[:MAX_ANNOTATIONS]:
        # Redacted before it is cut: half a secret has no shape any more.
        content = public(item[: 2 * MAX_ANNOTATION]) if isinstance(item, str) else _keep(item)
        kept = _storable(content, min(MAX_ANNOTATION, left))
        annotations[_storable(name, MAX_LABEL_NAME)] = kept
        left -= len(kept)
        if left <= 0:
            break
    return annotations


def _time(raw: Manifest, field: str) -> datetime | None:
    """None where the sender gave no time; a time that cannot be read sets the alert aside."""
    value = raw.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _AlertInvalid(f"{field}: not a string")
    try:
        return parse_time(value)
    except ValueError as exc:
        raise _AlertInvalid(f"{field}: {value[:64]!a} is not a time") from exc


def _ends_at(raw: Manifest, starts_at: datetime, received_at: datetime) -> datetime:
    """A resolved alert ended by now, and not before it began, whatever the sender's clock says."""
    given = _time(raw, "endsAt")
    return max(starts_at, received_at if given is None else min(given, received_at))


def _link(url: str) -> str:
    """Only what a person could open safely."""
    fit = url.startswith(("http://", "https://")) and len(url) <= MAX_URL and not _UNSTORABLE.search(url)
    return url if fit else ""


def _storable(content: str, limit: int) -> str:
    content = content if len(content) <= limit else content[: max(0, limit - len(_CUT))] + _CUT
    return content if _is_storable(content) else _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", content)


def _is_storable(content: str) -> bool:
    return (content.isascii() and "\0" not in content) or not _UNSTORABLE.search(content)


def _keep(raw: Json) -> str:
    """JSON in ASCII, which takes every string there is, without secrets."""
    try:
        return json.dumps(public_json(raw))[:MAX_RAW]
    except RecursionError:
        return "(nested too deeply to keep)"
