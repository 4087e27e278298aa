"""What an operator types or pastes to say which alert is meant: labels, JSON, or the id of an incident. Pure.

All of these are understood: `alertname=X namespace="shop"`, `{alertname="X", namespace="shop"}` as Alertmanager prints
it, a JSON object of labels, a whole alert with its `labels`, and a whole webhook body, of which the first alert counts.
`source:kubernetes` among typed labels stands for an alert that a watch of the cluster made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from responder.domain.alert import AlertSource
from responder.domain.incident import Incident
from responder.domain.manifest import Json
from responder.domain.visible import visible

MAX_CHARACTERS = 64 * 1024
"""What the server takes in one request."""

_INCIDENT = re.compile(r"inc-[0-9A-Za-z]+\Z")
_PAIR = re.compile(r'[\s,]*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*)')
_SOURCE = re.compile(r"[\s,]*source:([a-z]+)")
_BETWEEN = re.compile(r"[\s,]*")
_SOURCE_LABEL = "__source__"
"""Where an incident keeps the source of its alert."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Labels to ask about; or an incident to take them from."""

    labels: Mapping[str, str] = field(default_factory=dict)
    source: AlertSource = AlertSource.ALERTMANAGER
    incident_id: str = ""
    note: str = ""
    """What was left aside of what was given."""


def parse(text: str) -> Asked:
    """Raises ValueError, with a sentence."""
    text = text.strip()
    if not text:
        raise ValueError("type labels, as alertname=X namespace=shop; or paste an alert; or type an incident's id")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"that is too long: at most {MAX_CHARACTERS} characters")
    if _INCIDENT.match(text):
        return Asked(incident_id=text)
    if text[0] in "{[" and (text.startswith("[") or re.match(r'\{\s*("|\})', text)):
        return _of_json(text)
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    return _of_pairs(text)


def of_incident(incident: Incident) -> Asked:
    """As the rules were asked when it was decided."""
    labels = dict(incident.labels)
    source = labels.pop(_SOURCE_LABEL, AlertSource.ALERTMANAGER.value)
    if incident.root is not None:
        labels |= {"owner_kind": incident.root.kind, "owner_name": incident.root.name}
    return Asked(labels=labels, source=AlertSource(source))


def spelt(asked: Asked) -> str:
    """Labels as one would type them: `parse` understands it."""
    pairs = [f"{seen(name)}={seen(json.dumps(value, ensure_ascii=False))}" for name, value in asked.labels.items()]
    return " ".join((*pairs, *([f"source:{asked.source}"] if asked.source is not AlertSource.ALERTMANAGER else [])))


def seen(text: str) -> str:
    """What cannot be seen becomes an escape that JSON and quoted labels read back as what it was. Line feeds stay."""
    return "".join(character if visible(character) == character else _escape(character) for character in text)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _of_pairs(text: str) -> Asked:
    labels: dict[str, str] = {}
    source, at = AlertSource.ALERTMANAGER, 0
    while at < len(text):
        if told := _SOURCE.match(text, at):
            source, at = _source(told[1]), told.end()
        elif pair := _PAIR.match(text, at):
            if pair[1] in labels:
                raise ValueError(f"{pair[1]} is given twice")
            labels[pair[1]], at = _value(pair[2]), pair.end()
        else:
            rest = text[_end(text, at) :]
            if not rest:
                break
            raise ValueError(f"{rest.split()[0][:32]!r} is no label: write name=value, and quotes around blanks")
    if not labels:
        raise ValueError("no labels: write them as alertname=X namespace=shop")
    return Asked(labels=labels, source=source)


def _end(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    return found.end() if found else at


def _value(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        value: str = json.loads(text, strict=False)
    except json.JSONDecodeError as exc:
        raise ValueError(f"{text[:32]} is not closed or escaped as it should be") from exc
    return value


def _source(word: str) -> AlertSource:
    if word not in set(AlertSource):
        raise ValueError(f"there is no source {word!r}: {', '.join(AlertSource)}")
    return AlertSource(word)


def _of_json(text: str) -> Asked:
    try:
        data: Json = json.loads(text)
    except json.JSONDecodeError as exc:
        raise ValueError(f"not JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}") from exc
    except RecursionError as exc:
        raise ValueError("not JSON that an alert could be: nested too deep") from exc
    alerts = data.get("alerts", data) if isinstance(data, dict) else data
    many = alerts if isinstance(alerts, list) else [alerts]
    if not many or not isinstance(many[0], dict):
        raise ValueError("no alert in this JSON: a JSON object of labels, an alert, or a webhook body is asked for")
    first = many[0]
    labels = first.get("labels", first)
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("labels have to be texts: an object of name and value")
    if not labels:
        raise ValueError("this alert has no labels")
    note = f"the first of {len(many)} alerts" if len(many) > 1 else ""
    return Asked(labels={str(name): str(value) for name, value in labels.items()}, note=note)
