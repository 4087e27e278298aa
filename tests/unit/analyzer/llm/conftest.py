"""A world that answers of a model are held against: Deployment `shop/web` with one crashing pod, and three records."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from responder.analyzer.llm.reply import Concluded, parse_conclusion
from responder.domain.investigation import Conclusion, Finding, Investigation
from responder.domain.snapshot import Snapshot

EVIDENCE = ("e1", "e2", "e3")
TARGET = {"kind": "Deployment", "namespace": "shop", "name": "web"}
ACTION = {"kind": "set_image", "target": TARGET, "container": "web", "image": "nginx:1.27"}
FINDING = {"fault": "image.typo", "cause": "the tag does not exist", "confidence": 0.8, "evidence": ["e1", "e2"]}
PROPOSAL = {"answers": "image.typo", "reason": "the tag before it ran", "evidence": ["e2"], "action": ACTION}
ANSWER = {
    "conclusion": "fault_found",
    "summary": "the image cannot be pulled",
    "findings": [FINDING],
    "ruled_out": [{"hypothesis": "no memory", "because": "nothing was killed", "evidence": ["e3"]}],
    "unchecked": [{"what": "the registry", "why": "no tool reaches it"}],
    "proposals": [PROPOSAL],
}


@dataclass(frozen=True)
class Model:
    """What one says, and what comes of it."""

    snapshot: Snapshot
    detected: Investigation

    def answer(self, **changes: Any) -> dict[str, Any]:
        """A valid answer. `changes` by dotted path: `findings__0__cause="..."`; `None` deletes."""
        answer = copy.deepcopy(ANSWER)
        for path, value in changes.items():
            *above, last = (int(token) if token.isdigit() else token for token in path.split("__"))
            holder: Any = answer
            for token in above:
                holder = holder[token]
            if value is None:
                del holder[last]
            else:
                holder[last] = value
        return answer

    def parse(self, answer: Mapping[str, Any] | None, raw: str = "", **given: Any) -> Concluded:
        defaults = {"evidence": EVIDENCE, "snapshot": self.snapshot, "detected": self.detected}
        return parse_conclusion(answer, raw, **{**defaults, **given})

    def conclude(self, **changes: Any) -> Concluded:
        return self.parse(self.answer(**changes))

    def say(self, raw: str) -> Concluded:
        """As a backend does that takes any JSON object for one."""
        try:
            read = json.loads(raw)
        except (ValueError, RecursionError):
            read = None
        return self.parse(read if isinstance(read, dict) else None, raw)

    def act(self, **fields: Any) -> Concluded:
        """One proposal with an action of these fields, on the Deployment unless they name another target."""
        return self.conclude(proposals__0__action={"target": TARGET, **fields})


@pytest.fixture
def model(build: Any) -> Model:
    snapshot = build.broken(build.crashing(), container=build.container(ports={8080: "http"}))
    found = Finding(
        signature="permission.write_denied",
        subject=snapshot.pods[0].ref,
        container="web",
        about="/var/cache",
        cause="it may not write",
        confidence=0.8,
        evidence=("e1",),
    )
    detected = Investigation(
        id="inv-1",
        incident_id="inc-1",
        number=1,
        analyzer="heuristic",
        started_at=build.now,
        ended_at=build.now,
        conclusion=Conclusion.FAULT_FOUND,
        summary="it may not write",
        findings=(found, replace(found, signature="pod.not_ready", about="", container="")),
    )
    return Model(snapshot=snapshot, detected=detected)
