"""The questions before a decision that more than one screen asks."""

from __future__ import annotations

from console import executions, story
from console.screens.confirm import ConfirmScreen
from responder.domain.plan import Plan
from responder.domain.views import ExecutionView


def why_rejected(plan: Plan) -> ConfirmScreen:
    """Ends with the reason."""
    return ConfirmScreen(
        title=f"Reject {plan.id}: {story.action_of(plan)}",
        build=lambda width: (),
        prompt="why? It is what the next person reads",
    )


def whether_undone(view: ExecutionView, plan: Plan | None, *, is_killed: bool) -> ConfirmScreen:
    """Ends with the word. `plan` is the one that was carried out."""
    return ConfirmScreen(
        title=f"Take {view.execution.id} back",
        build=lambda width: executions.tell_way_back(view, plan, width=width),
        prompt=executions.prompt_of_undo(is_killed=is_killed),
        word=executions.UNDO,
    )
