"""Keeps the rules in force equal to the files. A set with a mistake changes nothing: the old one stays in force.

The swap is one assignment on the event loop: whoever took `current` keeps a whole set, never half of two.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import watchfiles

from responder.domain.errors import ConfigErrors
from responder.domain.rule import RuleSet
from responder.rules.loader import load
from responder.rules.matcher import RuleIndex

OnReload = Callable[["LiveRules"], None]


class LiveRules:
    """The rules in force.

    Raises:
        ConfigErrors: at construction only, when the first set is bad; there is no old one to keep then.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self.current = RuleIndex(load(self._paths))
        self.error: ConfigErrors | None = None
        """Why the files as they are now are not in force; None when they are."""

    @property
    def rule_set(self) -> RuleSet:
        return self.current.rule_set

    async def reload(self) -> bool:
        """Read the files again. True when another set is in force now; a refused one is in `error`."""
        try:
            index = await asyncio.to_thread(lambda: RuleIndex(load(self._paths)))
        except ConfigErrors as exc:
            self.error = exc
            return False
        self.error = None
        changed = index.rule_set.digest != self.rule_set.digest
        if changed:
            self.current = index
        return changed

    async def watch(self, on_reload: OnReload, stop: asyncio.Event) -> None:
        """Reload whenever the files change, until `stop`. `on_reload` is told after each attempt, good or bad."""
        async for _ in self._changes(stop):
            await self.reload()
            on_reload(self)

    def _changes(self, stop: asyncio.Event) -> AsyncIterator[object]:
        # The parent of a single file is watched, because editors and ConfigMaps replace the file, not its content.
        folders = {path if path.is_dir() else path.parent for path in self._paths}
        return watchfiles.awatch(*folders, watch_filter=_concerns_rules, stop_event=stop, recursive=False)


def _concerns_rules(_: watchfiles.Change, path: str) -> bool:
    """Rule files, and the `..data` links by which a mounted ConfigMap swaps all of its files at once."""
    name = Path(path).name
    return name.endswith((".yaml", ".yml")) or name.startswith("..")
