"""When the keys of the approve screen count, and what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console.decision import Look, approved, barred, disturbance, hindrance, over, question, standing
from responder.domain.action import SetImage
from responder.domain.plan import Approval, Plan, PlanState
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk
from responder.domain.views import PlanView, Presence, Viewer

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
PLAN = Plan(
    id="pln-1",
    incident_id="inc-1",
    investigation_id="inv-1",
    finding="image.not_found",
    action=SetImage(target=WEB, container="web", image="nginx:1.27"),
    reason="a typing error",
    changes=(),
    diff="-nignx\n+nginx",
    risk=Risk.LOW,
    reversible=True,
    digest="0123456789abcdef" * 4,
    created_at=NOW,
    expires_at=NOW + timedelta(minutes=5),
)
FOUR_EYES = replace(PLAN, approvers_needed=2)


def approval(approver, **changes):
    given = Approval(
        id=f"app-{approver}",
        plan_id=PLAN.id,
        digest=PLAN.digest,
        approver=approver,
        kind="human",
        decided_at=NOW,
        expires_at=PLAN.expires_at,
    )
    return replace(given, **changes)


def viewer(name, session="other", **changes):
    return replace(Viewer(name=name, session=session, since=NOW), **changes)


def look(plan=PLAN, *, by=(), others=(), drift="", may_decide=True, silent="", read=None):
    """As ann sees it on the screen with session `mine`."""
    return Look(
        read=read or plan,
        told=PlanView(plan=plan, approvals=tuple(by)),
        session="mine",
        presence=Presence(viewers=(viewer("ann", "mine"), *others), drift=drift, may_decide=may_decide),
        silent=silent,
    )


def test_with_all_of_it_seen_the_first_key_counts():
    assert hindrance(look(), NOW, unseen=0) == ""


@pytest.mark.parametrize(("unseen", "told"), [(1, "1 line not"), (12, "12 lines not")])
def test_what_was_not_on_the_screen_is_not_approved(unseen, told):
    assert told in hindrance(look(), NOW, unseen=unseen)


@pytest.mark.inv(24)
def test_another_digest_than_the_one_that_was_read_ends_it():
    assert "has changed since" in over(look(replace(PLAN, digest="f" * 64), read=PLAN), NOW)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (PlanState.REJECTED, "is rejected"),
        (PlanState.EXPIRED, "is expired, nobody approved it in time"),
        (PlanState.STALE, "is stale, the object was changed"),
        (PlanState.CANCELLED, "is cancelled, withdrawn"),
        (PlanState.APPROVED, "is approved, approved by ben"),
        (PlanState.APPLIED, "is applied, approved by ben"),
    ],
)
def test_a_plan_that_no_longer_waits_says_why(state, told):
    assert told in over(look(replace(PLAN, state=state), by=[approval("ben")], read=PLAN), NOW)


def test_every_state_is_told():
    for state in PlanState:
        told = over(look(replace(PLAN, state=state)), NOW)
        assert (told == "") == (state is PlanState.PROPOSED)


def test_time_that_runs_out_ends_it_before_the_server_says_so():
    assert over(look(), PLAN.expires_at - timedelta(seconds=1)) == ""
    assert "expired at" in over(look(), PLAN.expires_at)


def test_enough_approvals_leave_nothing_to_decide():
    assert "approved by ben: it is being made" in over(look(by=[approval("ben")]), NOW)


def test_drift_is_told_in_the_servers_words_made_harmless():
    told = over(look(drift="changed by \x1b[31mkubectl"), NOW)
    assert "has drifted: changed by \\x1b[31mkubectl" in told


def test_while_the_server_is_silent_nothing_is_approved():
    assert "the server is silent" in hindrance(look(silent="refused"), NOW, unseen=0)


def test_a_viewer_is_told_that_deciding_takes_another_credential():
    assert hindrance(look(may_decide=False), NOW, unseen=0).startswith("ann may look")


def test_the_same_person_does_not_approve_twice():
    assert "another person" in hindrance(look(FOUR_EYES, by=[approval("ann")]), NOW, unseen=0)
    assert hindrance(look(FOUR_EYES, by=[approval("ben")]), NOW, unseen=0) == ""


@pytest.mark.parametrize(
    "ineffective", [approval("ben", kind="rollback"), approval("ben", digest="f" * 64)], ids=["kind", "digest"]
)
def test_what_is_no_approval_of_this_plan_is_not_counted(ineffective):
    assert look(by=[ineffective]).missing == 1


def test_the_question_says_exactly_what_follows():
    told = question(look())
    assert told.startswith("Y APPROVES set_image: container web, image nginx:1.27 on Deployment/shop/web")
    assert "digest 0123456789ab: it is written to the cluster at once" in told
    assert "CANNOT be taken back" in question(look(replace(PLAN, reversible=False)))


@pytest.mark.parametrize(
    ("needed", "given", "told"),
    [
        (2, [], "one person more needed"),
        (3, [], "2 people more needed"),
        (2, ["ben"], "written to the cluster at once"),
    ],
)
def test_the_question_says_how_many_more_it_takes(needed, given, told):
    plan = replace(PLAN, approvers_needed=needed)
    assert told in question(look(plan, by=[approval(name) for name in given]))


def test_four_eyes_are_told_with_who_gave_his_and_that_you_cannot_give_the_other():
    told = standing(look(FOUR_EYES, by=[approval("ann")]), NOW)
    assert f"1 of 2: ann at {NOW.astimezone():%H:%M}, needs one more, not you" in told
    assert "0 of 2, needs 2 more" in standing(look(FOUR_EYES), NOW)


@pytest.mark.parametrize(("seconds", "told"), [(0, "5:00"), (255, "45s"), (-3600, "1h"), (299, "1s")])
def test_the_time_left_counts_down(seconds, told):
    assert f"expires in {told}" in standing(look(), NOW + timedelta(seconds=seconds))


def test_others_are_named_once_and_deciding_where_any_of_their_screens_is():
    others = (viewer("ben", "b-1"), viewer("ben", "b-2", deciding=True), viewer("cat"), viewer("ann", "a-2"))
    told = standing(look(others=others), NOW)
    assert told.count("ben") == 1
    assert "ben is deciding" in told
    assert "cat looks at it" in told
    assert "you have it on another screen" in told


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (look(), ""),
        (look(others=[viewer("ben")]), "ben looks at it too by now"),
        (look(others=[viewer("ben", deciding=True)]), "ben is deciding too"),
        (look(by=[approval("ben")]), "ben approved it meanwhile"),
        (look(replace(PLAN, state=PlanState.REJECTED)), "the plan changed"),
        (look(drift="changed"), "the object changed"),
    ],
)
def test_what_comes_between_the_two_keys_takes_the_first_one_back(after, told):
    assert disturbance(look(), after) == told


def test_somebody_who_leaves_or_only_begins_to_be_known_changes_nothing():
    assert disturbance(look(others=[viewer("ben", deciding=True)]), look()) == ""
    assert disturbance(look(others=[viewer("ben")]), look(others=[viewer("ben", "again")])) == ""


def test_after_the_approval_it_is_told_what_is_still_missing():
    assert approved(look()) == "approved pln-1"
    assert approved(look(FOUR_EYES)) == "approved pln-1: one person more needed"


def test_whoever_approved_may_still_reject():
    assert barred(look(FOUR_EYES, by=[approval("ann")]), NOW) == ""


@pytest.mark.parametrize("changes", [{"may_decide": False}, {"silent": "refused"}, {"drift": "changed"}])
def test_what_bars_a_yes_bars_a_no(changes):
    assert barred(look(**changes), NOW) == hindrance(look(**changes), NOW, unseen=0) != ""
