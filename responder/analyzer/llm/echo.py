"""A provider's key, taken out of what the provider says: a gateway that shows a request back must not put its key on
record. A key of a provider's own has no form by which redaction could know it, so it is looked for by itself.
"""

from __future__ import annotations

import json
from dataclasses import replace

from responder.analyzer.llm.turn import Block, OnBlock, Reply, Text, Thinking, ToolCall

LEAST_KEY = 12
"""Characters. Servers that need no key are given a word in its place, and that may stand anywhere."""
_MARK = "[key]"


def reply_without(key: str, reply: Reply) -> Reply:
    """`own` stays as it came: it goes back to where the key is known, and nowhere else."""
    if len(key) < LEAST_KEY:
        return reply
    return replace(
        reply,
        blocks=tuple(block_without(key, block) for block in reply.blocks),
        model=reply.model.replace(key, _MARK),
        stop_reason=reply.stop_reason.replace(key, _MARK),
        request_id=reply.request_id.replace(key, _MARK),
    )


def blocks_without(key: str, on_block: OnBlock) -> OnBlock:
    """`on_block`, told of blocks that do not hold the key."""

    async def told(block: Block) -> None:
        await on_block(block_without(key, block))

    return on_block if len(key) < LEAST_KEY else told


def block_without(key: str, block: Block) -> Block:
    """A call that holds the key is none: its arguments would carry the key on."""
    match block:
        case Text(text=text):
            return Text(text=text.replace(key, _MARK))
        case Thinking(text=text):
            return Thinking(text=text.replace(key, _MARK))
        case ToolCall():
            if not _holds(key, block):
                return replace(block, name=block.name.replace(key, _MARK))
            raw = block.raw.replace(key, _MARK) if key in block.raw else "[arguments that hold the key]"
            return replace(block, name=block.name.replace(key, _MARK), arguments=None, raw=raw)


def _holds(key: str, call: ToolCall) -> bool:
    """Arguments may spell it with escapes."""
    if key in call.raw or call.arguments is None:
        return key in call.raw
    try:
        return json.dumps(key)[1:-1] in json.dumps(call.arguments)
    except RecursionError:
        return True
