"""One look at a time: from a tool's name and arguments to an observation, whatever happens on the way.

A call is checked before the first request and has a time limit. What it found is redacted, then made visible, then cut,
in this order, in one place. Nothing that goes wrong leaves as absence: it is an error or a refusal, in words.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from responder.analyzer.apart import apart
from responder.analyzer.llm.turn import Given, Observation, ToolSpec
from responder.analyzer.tools.arguments import Refused, shown
from responder.analyzer.tools.look import Absent, Found, Look, ToolOptions, Unseen, reason
from responder.analyzer.tools.scope import Scope
from responder.analyzer.tools.showing import beginning
from responder.analyzer.tools.table import SPECS, TOOLS
from responder.cluster.protocol import Cluster
from responder.datasource.protocol import Datasource
from responder.domain.errors import ResponderError
from responder.domain.investigation import EvidenceKind
from responder.domain.manifest import Manifest
from responder.domain.visible import visible
from responder.redact import cut
from responder.redact.placeholders import Placeholders
from responder.store.store import Store

_LONGEST_PROBLEM = 1_000
"""Bytes of what went wrong, in the words of a server."""


class Toolbox:
    """Implements `turn.Tools` on the cluster, the metrics source and the record. Of one incident."""

    specs: tuple[ToolSpec, ...] = SPECS

    def __init__(
        self,
        *,
        cluster: Cluster,
        datasource: Datasource | None,
        store: Store | None,
        scope: Scope,
        secrets: Placeholders,
        options: ToolOptions,
        now: Callable[[], datetime],
    ) -> None:
        self._look = Look(
            cluster=cluster,
            datasource=datasource,
            store=store,
            scope=scope,
            secrets=secrets,
            options=options,
            now=now,
        )

    async def call(self, name: str, arguments: Manifest) -> Observation:
        seconds = self._look.options.seconds
        try:
            prepared = _prepared(name, arguments)
            async with asyncio.timeout(seconds):
                return await self._finished(await self._found(prepared))
        except Refused as exc:
            return await self._without(Given.REFUSED, f"refused: {exc}")
        except TimeoutError:
            return await self._without(Given.ERROR, f"error: not known: no answer within {seconds:g} s")
        except RecursionError:
            return await self._without(Given.ERROR, "error: not told: what was read is nested too deeply")
        except (Unseen, ResponderError) as exc:
            return await self._without(Given.ERROR, f"error: {reason(exc)}")

    async def _found(self, prepared: Callable[[Look], Awaitable[Found]]) -> Found:
        try:
            return await prepared(self._look)
        except Absent as exc:
            return Found(text=str(exc), kind=EvidenceKind.OBJECT, source=exc.ref.key, subject=exc.ref)

    async def _finished(self, found: Found) -> Observation:
        limit = self._look.options.max_result_bytes
        text = found.text if found.redacted else await self._look.text(found.text)
        source = await self._look.text(found.source)
        shown_text, truncated = await apart(partial(_shown, text, limit, keep_end=found.keep_end))
        return Observation(
            given=Given.SEEN,
            text=shown_text,
            kind=found.kind,
            source=visible(source),
            subject=found.subject,
            truncated=found.truncated or truncated,
        )

    async def _without(self, given: Given, problem: str) -> Observation:
        """A server's words are text from outside as well."""
        try:
            problem = await self._look.text(problem)
        except Unseen as exc:
            problem = f"error: {exc}"
        text, truncated = _shown(problem, _LONGEST_PROBLEM, keep_end=False)
        return Observation(given=given, text=text, truncated=truncated)


def _shown(text: str, limit: int, *, keep_end: bool) -> tuple[str, bool]:
    """Cut before it is made visible, which takes time, and again after it, because escapes are longer."""
    shorter, truncated = _cut(text, limit, keep_end=keep_end)
    safe, again = _cut(visible(shorter), limit, keep_end=keep_end)
    return safe, truncated or again


def _cut(text: str, limit: int, *, keep_end: bool) -> tuple[str, bool]:
    if not keep_end:
        return beginning(text, limit)
    kept, truncated = cut(text, limit)
    if not truncated:
        return kept, False
    head = text.partition("\n")[0][:300]
    note = f"{head}\n(cut: the last {limit} bytes)\n"
    return note + cut(text, max(0, limit - len(note.encode("utf-8", "replace"))))[0], True


def _prepared(name: str, arguments: Manifest) -> Callable[[Look], Awaitable[Found]]:
    """The call, checked. Raises Refused."""
    if (tool := TOOLS.get(name)) is not None:
        return tool.prepared(arguments)
    near = difflib.get_close_matches(name[:80], TOOLS, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise Refused(f"there is no tool {shown(name)}: {hint}The tools: {', '.join(TOOLS)}")
