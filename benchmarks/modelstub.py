"""A stub provider as a process of its own, so that what it works is not counted with what is measured.

    python -m benchmarks.modelstub claude|openai_compatible TURNS

TURNS is a JSON list of turns, each a list of [tool, arguments]; after them the model concludes. Prints its URL.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from benchmarks.processes import child, ready, wait_for_parent
from responder.sandbox.providers.chat_api import ChatApi
from responder.sandbox.providers.messages_api import MessagesApi
from responder.sandbox.providers.script import Call, Script, Turn, turns

Looks: TypeAlias = Sequence[tuple[str, dict[str, Any]]]
"""Of one turn: tools and their arguments."""
SERVERS = {"claude": MessagesApi, "openai_compatible": ChatApi}

_CONCLUDES = {
    "conclusion": "fault_found",
    "summary": "the program ends at its start because a setting is missing",
    "findings": [
        {"fault": "model.setting", "cause": "a setting it needs is missing", "confidence": 0.8, "evidence": ["e1"]}
    ],
    "ruled_out": [{"hypothesis": "no memory", "because": "nothing was killed", "evidence": ["e1"]}],
    "unchecked": [],
    "proposals": [],
}


def script(looks: Sequence[Looks]) -> Script:
    """Looks as told, thinking a little before each turn, then concludes."""
    looking = [
        Turn(
            thinking="What is known so far leaves several causes open, so the next looks have to tell them apart.",
            calls=tuple(Call(name=name, arguments=arguments) for name, arguments in turn),
        )
        for turn in looks
    ]
    return turns(*looking, Turn(thinking="One cause is left.", calls=(Call(name="conclude", arguments=_CONCLUDES),)))


@contextmanager
def stub(analyzer: str, looks: Sequence[Looks]) -> Iterator[str]:
    """Its URL, until the end of the block."""
    with child("benchmarks.modelstub", analyzer, json.dumps(looks)) as process:
        yield process.said


async def _serve(analyzer: str, looks: Sequence[Looks]) -> None:
    async with SERVERS[analyzer](script(looks)) as server:
        ready(server.url)
        await asyncio.to_thread(wait_for_parent)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], json.loads(sys.argv[2])))
