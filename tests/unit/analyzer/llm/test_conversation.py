"""How large a conversation is, and that it only grows at its end."""

from __future__ import annotations

import pytest

from responder.analyzer.llm.budget import Charge
from responder.analyzer.llm.conversation import Conversation
from responder.analyzer.llm.turn import Message, Question, Reply, Stop, Text, ToolCall, ToolResult, ToolSpec
from responder.domain.investigation import Usage

TOOL = ToolSpec(name="look", description="Look.", parameters={"type": "object"})
CALL = ToolCall(id="1", name="look", arguments={}, raw="{}")
REPLY = Reply(blocks=(Text(text="x" * 1000), CALL), stop=Stop.TOOLS, stop_reason="tool_use", usage=None, model="m")


def _conversation(question: str = "why?") -> Conversation:
    return Conversation("be brief", (TOOL,), question)


def _counted(tokens: int) -> Charge:
    return Charge(usage=Usage(input_tokens=tokens), usd=0.0, believed=True)


@pytest.mark.parametrize(
    "message", [Question(text="y" * 1000), (ToolResult(call=CALL, text="é" * 500),)], ids=["question", "results"]
)
def test_what_is_said_counts_by_its_bytes_until_the_provider_has_counted_it(message: Message) -> None:
    conversation = _conversation()
    before = conversation.size.new_tokens
    conversation.add(message)
    assert conversation.size.new_tokens >= before + 1000
    conversation.counted(_counted(700))
    assert (conversation.size.known_tokens, conversation.size.new_tokens) == (700, 0)


def test_a_reply_is_part_of_the_count_that_came_with_it() -> None:
    conversation = _conversation()
    conversation.counted(_counted(500))
    before = conversation.size.request_bytes
    conversation.add(REPLY)
    assert conversation.size.tokens == 500
    assert conversation.size.request_bytes > before + 1000


def test_earlier_messages_stay_what_they_were() -> None:
    conversation = _conversation()
    first = conversation.request(output_tokens=100, must_call="")
    conversation.add(REPLY)
    conversation.add((ToolResult(call=CALL, text="seen"),))
    second = conversation.request(output_tokens=50, must_call="conclude")
    assert second.messages[: len(first.messages)] == first.messages
    assert (second.system, second.tools) == (first.system, first.tools)
