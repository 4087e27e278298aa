"""Whether a plan on the screen can be approved now, what would follow, and who else looks at it. Pure.

The server checks every approval again; what is decided here is only when a key counts. Two deliberate keys approve:
the first arms and says what the second one does. What the operator has read has to be what is approved, so everything
that changes in between takes the first key back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from console.lines.formatting import age, clock, count, flat
from console.story import action_of
from responder.domain.plan import Approval, Plan, PlanState
from responder.domain.views import PlanView, Presence, Viewer

ARMED_SECONDS = 10.0
"""After so long nobody remembers what the first key was for."""
TOO_SOON_SECONDS = 0.3
"""A second key that comes sooner was typed ahead or pasted: nobody has read what the first one said."""
KILLED = "the kill switch is on: nothing can be written, so nothing can be approved. x rejects; :mode releases it"
DIGEST_SHOWN = 12
"""Characters of it that the question names."""

_WHY_NOT = {
    PlanState.STALE: "the object was changed since it was planned",
    PlanState.EXPIRED: "nobody approved it in time",
    PlanState.CANCELLED: "withdrawn: the alert resolved, or a newer plan took its place",
}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is known of a plan that stands on the screen."""

    read: Plan
    """Whose diff is on the screen."""
    told: PlanView
    """As the server told it last."""
    session: str
    """Of this screen."""
    presence: Presence | None = None
    """None until the server has told it, and where it is older than that."""
    silent: str = ""
    """Why nothing can be heard of the server; '' while it answers."""

    @property
    def me(self) -> str:
        """Whom the server takes the operator for; '' while that is not known."""
        return next((viewer.name for viewer in self._viewers if viewer.session == self.session), "")

    @property
    def others(self) -> tuple[Viewer, ...]:
        """One for each person, deciding where any of his screens is; the operator's other screens among them."""
        found: dict[str, Viewer] = {}
        for viewer in self._viewers:
            if viewer.session != self.session and (viewer.deciding or viewer.name not in found):
                found[viewer.name] = viewer
        return tuple(found.values())

    @property
    def given(self) -> tuple[Approval, ...]:
        """By people, for this very plan."""
        return tuple(
            approval
            for approval in self.told.approvals
            if approval.kind == "human" and approval.digest == self.told.plan.digest
        )

    @property
    def own(self) -> Approval | None:
        return next((approval for approval in self.given if self.me and approval.approver == self.me), None)

    @property
    def missing(self) -> int:
        """Approvals that are still needed."""
        return max(max(self.told.plan.approvers_needed, 1) - len(self.given), 0)

    @property
    def _viewers(self) -> tuple[Viewer, ...]:
        return self.presence.viewers if self.presence else self.told.viewers


def over(look: Look, now: datetime) -> str:
    """Why nothing is left to decide about what is on the screen; '' while there is."""
    plan = look.told.plan
    if plan.digest != look.read.digest:
        return f"{plan.id} has changed since: go back and look again"
    by = ", ".join(flat(approval.approver) for approval in look.given)
    if plan.state is not PlanState.PROPOSED:
        why = _WHY_NOT.get(plan.state, f"approved by {by}" if by else "")
        return f"{plan.id} is {plan.state}{f', {why}' if why else ''}: nothing is left to decide"
    if not look.missing:
        return f"{plan.id} is approved by {by}: it is being made"
    if now >= plan.expires_at:
        return f"{plan.id} expired at {clock(plan.expires_at)} by this machine's clock: nothing is left to decide"
    if look.presence is not None and look.presence.drift:
        return f"{plan.id} has drifted: {flat(look.presence.drift)}. Go back, i looks again"
    return ""


def barred(look: Look, now: datetime) -> str:
    """Why nothing can be decided from here, neither yes nor no; '' where it can."""
    if ended := over(look, now):
        return ended
    if look.silent:
        return f"nothing is approved while the server is silent: {flat(look.silent)}"
    if look.presence is not None and not look.presence.may_decide:
        return f"{flat(look.me) or 'this credential'} may look; deciding takes an operator's credential"
    return ""


def hindrance(look: Look, now: datetime, *, unseen: int) -> str:
    """Why the first key does not count; '' where it does. `unseen` is how many lines have not been on the screen."""
    if no := barred(look, now):
        return no
    if look.own is not None:
        return f"you approved at {clock(look.own.decided_at)}: the next one has to be another person"
    if unseen:
        return f"scroll to the end first: {count(unseen, 'line')} not seen yet, and all of it is what you approve"
    return ""


def question(look: Look) -> str:
    """What the second key does, exactly; said once the first one has been pressed."""
    plan = look.told.plan
    target = plan.changes[0].target.key if plan.changes else plan.action.target.key
    digest = plan.digest[:DIGEST_SHOWN]
    more = look.missing - 1
    follows = f"{_people(more)} more needed before it is written" if more else "it is written to the cluster at once"
    way_back = "" if plan.reversible else ", and it CANNOT be taken back"
    return (
        f"Y APPROVES {flat(action_of(plan))} on {flat(target)}, digest {digest}: {follows}{way_back}. "
        f"Any other key does not"
    )


def standing(look: Look, now: datetime) -> str:
    """Time left, and the approvals where it takes several."""
    plan = look.told.plan
    seconds = (plan.expires_at - now).total_seconds()
    waits = plan.state is PlanState.PROPOSED and look.missing and seconds > 0
    told = [f"expires in {_left(seconds)}"] if waits else []
    if plan.approvers_needed > 1:
        told.append(_four_eyes(look))
    told += [_looks(viewer, look.me) for viewer in look.others]
    return "  ·  ".join(told)


def disturbance(before: Look, after: Look) -> str:
    """What became different between the two keys, so that the first one no longer counts; '' for nothing that matters.

    Somebody who leaves changes nothing; somebody who comes, or begins to decide, may.
    """
    if after.told.plan != before.told.plan:
        return "the plan changed"
    new = [approval.approver for approval in after.given if approval not in before.given]
    if new:
        return f"{_named(new)} approved it meanwhile"
    if after.presence and before.presence and after.presence.drift != before.presence.drift:
        return "the object changed"
    known = {viewer.name: viewer.deciding for viewer in before.others}
    deciding = [v.name for v in after.others if v.deciding and not known.get(v.name, False)]
    if deciding:
        return f"{_named(deciding)} is deciding too"
    came = [viewer.name for viewer in after.others if viewer.name not in known]
    return f"{_named(came)} looks at it too by now" if came else ""


def approved(look: Look) -> str:
    """What is told after one's own approval was taken, counted from what was known before it."""
    more = look.missing - 1
    return f"approved {look.read.id}" + (f": {_people(more)} more needed" if more > 0 else "")


def _four_eyes(look: Look) -> str:
    needed = look.told.plan.approvers_needed
    by = ", ".join(f"{flat(approval.approver)} at {approval.decided_at.astimezone():%H:%M}" for approval in look.given)
    not_you = ", not you" if look.own is not None and look.missing else ""
    needs = f", needs {_number(look.missing)} more{not_you}" if look.missing else ""
    return f"{len(look.given)} of {needed}{f': {by}' if by else ''}{needs}"


def _looks(viewer: Viewer, me: str) -> str:
    if viewer.name == me:
        return "you are deciding on another screen" if viewer.deciding else "you have it on another screen"
    return f"{flat(viewer.name)} is deciding" if viewer.deciding else f"{flat(viewer.name)} looks at it"


def _people(number: int) -> str:
    return "one person" if number == 1 else f"{number} people"


def _number(number: int) -> str:
    return "one" if number == 1 else str(number)


def _named(names: Iterable[str]) -> str:
    return ", ".join(flat(name) for name in names)


def _left(seconds: float) -> str:
    """To the second below ten minutes."""
    if seconds >= 600:
        return age(seconds)
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes else f"{rest}s"
