"""What Clopus's own record tells: what others changed, and how earlier incidents of this kind went.

Of earlier incidents only what code wrote is told: dates, rules, signatures of the detectors, kinds of actions, outcomes
and verdicts. Their reports and findings hold text that came from outside: what could mislead a model then must not come
back as its own memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from responder.analyzer.tools.arguments import Name, Whole, argument
from responder.analyzer.tools.look import Found, Look, Unseen
from responder.analyzer.tools.scope import ANY_KIND, NAMESPACED_KINDS
from responder.analyzer.tools.showing import ago, line
from responder.domain.incident import Incident
from responder.domain.investigation import HEURISTIC, EvidenceKind
from responder.domain.refs import ObjectRef
from responder.domain.versions import ObjectVersion, told
from responder.store import executions, incidents, investigations, plans, versions
from responder.store.connection import Connection
from responder.store.store import Store

MAX_EPISODES = 10
_SEARCHED = 200
"""Newest incidents of the namespace among which those of the same alert are looked for."""
_SIGNATURE = re.compile(r"[a-z0-9_]{1,40}(?:\.[a-z0-9_]{1,40}){0,3}")


@dataclass(frozen=True, kw_only=True)
class Changes:
    kind: str = argument(ANY_KIND, "Only changes of objects of this kind", default="")
    name: str = argument(Name(), "Only changes of objects of this name", default="")
    hours: int = argument(Whole(least=1, most=336), "How far back from now, hours", default=24)
    limit: int = argument(Whole(least=1, most=100), "At most so many, the newest, count", default=30)


@dataclass(frozen=True, kw_only=True)
class History:
    limit: int = argument(Whole(least=1, most=MAX_EPISODES), "At most so many, the newest, count", default=5)


async def changes(look: Look, wanted: Changes) -> Found:
    since = look.now() - timedelta(hours=wanted.hours)
    places = tuple(_places(look))
    refs = [ObjectRef(kind=kind, name=name) for kind, name in places if name]
    kinds = [(kind, look.scope.namespace) for kind, name in places if not name]
    listed, cursor = await _store(look).read(
        lambda con: versions.page(
            con, kind=wanted.kind, name=wanted.name, since=since, refs=refs, kinds=kinds, limit=wanted.limit
        )
    )
    which = "".join(f" {word}" for word in (wanted.kind, wanted.name) if word)
    source = f"recorded changes of{which or ' all kinds'} in the last {wanted.hours} h"
    if not listed:
        words = f"no change{which} was recorded in the last {wanted.hours} h. Secrets are never recorded"
        return Found(text=words, kind=EvidenceKind.CHANGE, source=source)
    lines = [_change(look, version) for version in listed]
    more = ["(there are older ones: raise limit, at most 100)"] if cursor else []
    text = "\n".join(["newest first:", *lines, *more])
    return Found(text=text, kind=EvidenceKind.CHANGE, source=source, truncated=bool(cursor))


async def history(look: Look, wanted: History) -> Found:
    incident = look.scope.incident
    episodes = await _store(look).read(lambda con: tuple(_episodes(con, incident, wanted.limit)))
    source = f"earlier incidents like {incident.id}"
    lines = [f"- {_episode(incident, episode, look)}" for episode in episodes]
    words = "\n".join(["newest first:", *lines]) if lines else "no earlier incident of this object or alert is recorded"
    return Found(text=words, kind=EvidenceKind.HISTORY, source=source)


def _store(look: Look) -> Store:
    if look.store is None:
        raise Unseen("not known: there is no record to look into here")
    return look.store


def _places(look: Look) -> Iterator[tuple[str, str]]:
    """Kind and '' for all of it in the namespace, kind and name of a cluster object. Never empty."""
    scope = look.scope
    nodes = [("Node", name) for name in sorted(scope.nodes)]
    if not scope.namespace and not nodes:
        scope.home()
    if scope.namespace:
        yield ("Namespace", scope.namespace)
        yield from ((one, "") for one in NAMESPACED_KINDS)
    yield from nodes


def _change(look: Look, version: ObjectVersion) -> str:
    opened = look.scope.incident.opened_at
    return f"- {version.at:%Y-%m-%d %H:%M:%S} UTC | {line(told(version, since=opened, relative='the incident'), 1200)}"


@dataclass(frozen=True, kw_only=True)
class _Episode:
    incident: Incident
    signatures: tuple[str, ...]
    actions: tuple[str, ...]
    """Kind of each executed action, what became of it, and the verdict."""


def _episodes(con: Connection, incident: Incident, limit: int) -> Iterator[_Episode]:
    for earlier in _alike(con, incident)[:limit]:
        runs = investigations.of_incident(con, earlier.id)
        found = dict.fromkeys(
            finding.signature
            for run in runs
            if run.analyzer == HEURISTIC
            for finding in run.findings
            if _SIGNATURE.fullmatch(finding.signature)
        )
        yield _Episode(incident=earlier, signatures=tuple(found), actions=tuple(_actions(con, earlier.id)))


def _alike(con: Connection, incident: Incident) -> list[Incident]:
    """Of the same object, or of the same alert in the same namespace, newest first."""
    found = {one.id: one for one in incidents.of_object(con, incident.root, _SEARCHED)} if incident.root else {}
    name = incident.labels.get("alertname", "")
    if name and incident.namespace:
        listed, _ = incidents.page(con, namespace=incident.namespace, limit=_SEARCHED)
        found |= {one.id: one for one in listed if one.labels.get("alertname") == name or one.key == incident.key}
    earlier = [one for one in found.values() if one.id != incident.id and one.opened_at <= incident.opened_at]
    return sorted(earlier, key=lambda one: (one.opened_at, one.id), reverse=True)


def _actions(con: Connection, incident_id: str) -> Iterator[str]:
    kinds = {plan.id: plan.action.kind for plan in plans.of_incident(con, incident_id)}
    for execution in executions.of_incident(con, incident_id):
        verdicts = executions.verifications(con, execution.id)
        verdict = f", verdict {verdicts[-1].verdict.kind.value}" if verdicts else ""
        kind = kinds.get(execution.plan_id, "unknown action")
        yield f"{kind} ({execution.kind.value}) {execution.outcome.value}{verdict}"


def _episode(incident: Incident, episode: _Episode, look: Look) -> str:
    earlier = episode.incident
    same = "same object" if earlier.key == incident.key else "same alert, another object"
    outcome = earlier.outcome.value or "no outcome yet"
    opened = f"{earlier.opened_at:%Y-%m-%d %H:%M} UTC ({ago(earlier.opened_at, look.now())})"
    return (
        f"{opened}, {same}, {earlier.state.value}, {outcome}, rule {line(earlier.rule, 100) or 'none'} | "
        f"findings {_listed(episode.signatures)} | actions {_listed(episode.actions)}"
    )


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:20]) or "none"
