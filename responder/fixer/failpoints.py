"""Named places at which a test can kill the process, as a power cut would: no handler, no flush, no farewell.

For tests only. Without the environment variable `CLOPUS_FAILPOINT` nothing ever happens here.
"""

from __future__ import annotations

import os

VARIABLE = "CLOPUS_FAILPOINT"

STAGES = ("before_intent", "after_intent", "after_write", "before_outcome", "after_outcome")
FAILPOINTS = (
    *STAGES,
    *(f"rollback.{stage}" for stage in STAGES),
    "recovery.before_outcome",
    "recovery.after_outcome",
)

KILLED = 137
"""Exit status of a process that SIGKILL ended."""


def failpoint(name: str) -> None:
    """End the process here when the environment names this place."""
    if os.environ.get(VARIABLE) == name:
        os._exit(KILLED)
