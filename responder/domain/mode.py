"""The brakes: ceilings and the kill switch. They only ever lower what a rule says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from responder.domain.rule import Mode


@dataclass(frozen=True, kw_only=True)
class ModeSettings:
    ceiling: Mode = Mode.AUTONOMOUS
    """Of the whole process. Rules are in report mode by themselves, so this default raises nothing."""
    namespaces: Mapping[str, Mode] = field(default_factory=dict)
    """Ceilings of single namespaces."""
    kill_switch: bool = False
    """No new write of any kind, whoever approved it. Verification of what is in flight goes on; undoing waits too."""
    breakers: Mapping[str, str] = field(default_factory=dict)
    """Namespace, or `*` for all -> why autonomous mode is lowered to dry-run there until a human clears it."""
    breakers_reset_at: datetime | None = None
    """Verdicts before this do not open a breaker again."""
    reason: str = ""
    set_by: str = ""

    @property
    def fingerprint(self) -> str:
        """Of what holds rules back, whoever set it and why: equal where two people look at the same brakes."""
        held = (self.ceiling, sorted(self.namespaces.items()), self.kill_switch, sorted(self.breakers.items()))
        return hashlib.sha256(json.dumps(held).encode()).hexdigest()[:16]

    def effective(self, rule_mode: Mode, namespace: str) -> Mode:
        """The mode in which an incident of `namespace` under a rule of `rule_mode` is handled."""
        lowered = rule_mode.lowered_to(self.ceiling)
        if self.breaker(namespace):
            lowered = lowered.lowered_to(Mode.DRY_RUN)
        return lowered.lowered_to(self.namespaces.get(namespace, Mode.AUTONOMOUS))

    def breaker(self, namespace: str) -> str:
        """Why a breaker is open for `namespace`; '' when none is."""
        return self.breakers.get(namespace, "") or self.breakers.get("*", "")
