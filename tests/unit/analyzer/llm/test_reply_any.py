"""Whatever JSON a model sends, it is refused as ReplyInvalid or stays within the incident and the bounds."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from responder.analyzer.llm.reply import Concluded
from responder.analyzer.llm.schema import CONCLUDE, CONCLUSIONS, MOST_FINDINGS, MOST_PROPOSALS, SCALARS, Whole, Word
from responder.analyzer.llm.strict import LONGEST_REASON
from responder.domain.action import ACTION_TYPES, Action
from responder.domain.errors import ReplyInvalid

pytestmark = pytest.mark.inv(22, 23, 40, 44)

FREELY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)

WORDS = st.sampled_from(
    [
        "fault_found", "unfixable", "unexplained", "recovered", "web", "web-b-1", "shop", "kube-system", "Deployment",
        "Pod", "Secret", "e1", "e3", "e9", "image.typo", "pod.not_ready", "nginx:1.27", "1Gi", "999Ti", "1Ki", "/tmp",
        "/../etc", "*", "", " ", "-1", "dеlete_pod", "set_image\u200b", "we\u202eb", "\ud800", "\x1b[31m", "x" * 1001,
        "readinessProbe", "ConfigMap", *(action_type.kind for action_type in ACTION_TYPES),
    ]
)  # fmt: skip
NUMBERS = st.sampled_from([0, 1, -1, 3, 80, 65535, 65536, 10**9, 10**400, 0.5, 1.0, 3.0, -0.0, 1e308])
SCALAR = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS, st.integers(), st.floats(), st.text(max_size=8))
JSON = st.recursive(
    SCALAR,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(WORDS, st.sampled_from(sorted(CONCLUDE.parameters["properties"]))), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value below its root."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*above, key)
        yield from paths(item, (*above, key))


def put(value: Any, path: tuple[Any, ...], item: Any) -> Any:
    changed = copy.deepcopy(value)
    holder = changed
    for token in path[:-1]:
        holder = holder[token]
    holder[path[-1]] = item
    return changed


@st.composite
def actions(draw: st.DrawFn, *, hostile: bool) -> dict[str, Any]:
    """An action of a kind that exists, with its own fields, each of its form; some are not where it is hostile."""
    action_type = draw(st.sampled_from(ACTION_TYPES))
    pod = {"kind": "Pod", "namespace": "shop", "name": "web-b-1"}
    target = pod if action_type.kind == "delete_pod" else {"kind": "Deployment", "namespace": "shop", "name": "web"}
    given_: dict[str, Any] = {"kind": action_type.kind, "target": target}
    for name, scalar in SCALARS[action_type].items():
        right = st.just("web") if name == "container" else fitting(scalar.form)
        if scalar.default is None or draw(st.booleans()):
            given_[name] = draw(st.one_of(right, right, right, SCALAR) if hostile else right)
    return given_


def fitting(form: Any) -> st.SearchStrategy[Any]:
    match form:
        case Whole():
            return st.integers(form.least, form.most)
        case Word():
            return st.one_of(WORDS, st.text("az09./:-Gim", max_size=12)).filter(
                lambda text: len(text) <= form.longest and form.fits(text)
            )
        case _:
            return st.sampled_from([member.value for member in form.of])


def check_within(concluded: Concluded, model: Any) -> None:
    """What must hold of everything that was accepted."""
    snapshot = model.snapshot
    assert concluded.conclusion in CONCLUSIONS
    assert len(concluded.findings) <= MOST_FINDINGS
    assert len(concluded.proposals) <= MOST_PROPOSALS
    subjects = {snapshot.root, *(pod.ref for pod in snapshot.pods)}
    detected = {finding.fault for finding in model.detected.findings}
    for finding in concluded.findings:
        assert finding.subject in subjects
        assert finding.fault in detected or finding.fault.startswith("model.")
        assert 0 <= finding.confidence <= 1
        assert set(finding.evidence) <= {"e1", "e2", "e3"}
        assert not (finding.unsupported and finding.evidence)
    faults = {finding.fault: finding for finding in concluded.findings}
    for proposal in concluded.proposals:
        assert proposal.suggested_by == ()
        assert proposal.finding in faults
        assert set(proposal.evidence) <= {"e1", "e2", "e3"}
        assert not (proposal.evidence and not faults[proposal.finding].evidence)
        check_action(proposal.action, subjects)
    # Whatever stands in the record has a form on the disk.
    assert concluded.summary.encode()


def check_action(action: Action, targets: set[Any]) -> None:
    assert action.target in targets
    assert action.target.uid
    for field in fields(action):
        value = getattr(action, field.name)
        if field.name == "target":
            continue
        assert isinstance(value, str | int)
        assert not isinstance(value, bool)
        assert str(value).isascii()
        assert str(value).isprintable()
        assert len(str(value)) <= 512
        if isinstance(value, int):
            assert -1 <= value < 2**31


def refusal(model: Any, said: Any, raw: str = "") -> str:
    """Why it was refused; '' where it was accepted. Anything raised but ReplyInvalid fails the test."""
    try:
        concluded = model.parse(said, raw)
    except ReplyInvalid as exc:
        reason = str(exc)
    else:
        check_within(concluded, model)
        return ""
    assert reason.startswith("$")
    assert reason.isascii()
    assert reason.isprintable()
    assert len(reason) <= LONGEST_REASON
    return reason


@FREELY
@given(said=JSON)
def test_any_json_is_refused_or_within_bounds(model: Any, said: Any) -> None:
    refusal(model, said)


@FREELY
@given(data=st.data(), item=JSON)
def test_a_valid_answer_with_anything_in_one_place_is_refused_or_within_bounds(
    model: Any, data: st.DataObject, item: Any
) -> None:
    answer = model.answer()
    refusal(model, put(answer, data.draw(st.sampled_from(list(paths(answer)))), item))


@FREELY
@given(proposed=st.lists(actions(hostile=True), min_size=1, max_size=3))
def test_actions_of_any_scalars_are_refused_or_within_bounds(model: Any, proposed: list[dict[str, Any]]) -> None:
    answer = model.answer()
    answer["proposals"] = [{**answer["proposals"][0], "action": action} for action in proposed]
    refusal(model, answer)


@FREELY
@given(raw=st.text(max_size=60))
@example(raw='{"a":1}')
@example(raw="\ud800")
def test_any_text_is_refused_with_a_reason(model: Any, raw: str) -> None:
    assert refusal(model, None, raw)
    with pytest.raises(ReplyInvalid):
        model.say(raw)


@FREELY
@given(data=st.data())
def test_an_answer_cut_anywhere_is_refused(model: Any, data: st.DataObject) -> None:
    raw = json.dumps(model.answer())
    cut = raw[: data.draw(st.integers(1, len(raw) - 1))]
    assert refusal(model, model.answer(), cut)


@FREELY
@given(action=actions(hostile=False))
def test_actions_with_scalars_of_their_form_are_accepted(model: Any, action: dict[str, Any]) -> None:
    answer = model.answer()
    answer["proposals"][0]["action"] = action
    reason = refusal(model, answer)
    # Each value alone is right; together they may say nothing.
    assert not reason or "it changes nothing" in reason or "name both from_key and to_key" in reason
