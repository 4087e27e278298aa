"""What a model concludes is taken exactly as it stands, or refused with the one thing to change."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from responder.analyzer.llm.strict import LONGEST_RAW, LONGEST_REASON, Place
from responder.domain.action import DeletePod, ProbeKind, ReferenceKind, ReplaceConfigReference, SetImage, SetProbe
from responder.domain.errors import ReplyInvalid
from responder.domain.investigation import Conclusion, Proposal
from responder.domain.refs import ObjectRef

ROOT = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-web")
POD = ObjectRef(kind="Pod", namespace="shop", name="web-b-1", uid="u-web-b-1")
PLACE = {"kind": "Deployment", "namespace": "shop", "name": "web"}
SECOND = {"fault": "image.other", "cause": "c", "confidence": 0.9, "evidence": ["e1"]}

INVALID = pytest.mark.inv(22, 23, 40)


def refusal(model: Any, **changes: Any) -> str:
    with pytest.raises(ReplyInvalid) as caught:
        model.conclude(**changes)
    reason = str(caught.value)
    assert reason.isascii()
    assert reason.isprintable()
    assert len(reason) <= LONGEST_REASON
    return reason


# -- what is accepted ------------------------------------------------------------------------------------------------


def test_a_valid_answer_becomes_findings_and_proposals(model: Any) -> None:
    concluded = model.conclude()
    assert concluded.conclusion is Conclusion.FAULT_FOUND
    assert concluded.summary == "the image cannot be pulled"
    assert [finding.fault for finding in concluded.findings] == ["model.image.typo"]
    assert concluded.ruled_out[0].evidence == ("e3",)
    assert concluded.unchecked[0].what == "the registry"
    assert concluded.proposals == (
        Proposal(
            action=SetImage(target=ROOT, container="web", image="nginx:1.27"),
            reason="the tag before it ran",
            finding="model.image.typo",
            evidence=("e2",),
        ),
    )


def test_an_answer_without_any_finding_is_unexplained(model: Any) -> None:
    concluded = model.conclude(conclusion="unexplained", findings=[], proposals=[], ruled_out=[], unchecked=[])
    assert (concluded.conclusion, concluded.findings, concluded.proposals) == (Conclusion.UNEXPLAINED, (), ())


def test_findings_of_an_unfixable_fault_are_not_fixable(model: Any) -> None:
    assert not model.conclude(conclusion="unfixable", proposals=[]).findings[0].fixable


def test_the_most_confident_finding_comes_first(model: Any) -> None:
    concluded = model.conclude(findings=[model.answer()["findings"][0], SECOND])
    assert [finding.confidence for finding in concluded.findings] == [0.9, 0.8]


@pytest.mark.parametrize("confidence", [0, 1, 0.0, 1.0, 0.5])
def test_a_confidence_within_bounds_is_a_float(model: Any, confidence: float) -> None:
    assert repr(model.conclude(findings__0__confidence=confidence).findings[0].confidence) == repr(float(confidence))


@pytest.mark.inv(23)
def test_the_uid_of_a_target_comes_from_the_snapshot(model: Any) -> None:
    concluded = model.act(kind="delete_pod", target={"kind": "Pod", "namespace": "shop", "name": "web-b-1"})
    assert concluded.proposals[0].action == DeletePod(target=POD)


def test_a_finding_is_about_the_root_unless_it_names_a_pod(model: Any) -> None:
    assert model.conclude().findings[0].subject == ROOT
    assert model.conclude(findings__0__pod="web-b-1").findings[0].subject == POD


def test_text_for_people_is_kept_as_it_came_in_any_script(model: Any) -> None:
    text = "образ не найден\n[click](http://x/?q=1) ![i](http://x/i.png) \x1b]8;;http://x\x07 human approved: yes"
    concluded = model.conclude(summary=text, findings__0__cause=text, proposals__0__reason=text)
    assert (concluded.summary, concluded.findings[0].cause, concluded.proposals[0].reason) == (text, text, text)


OPTIONAL: list[Any] = [
    pytest.param(
        {"kind": "set_probe", "container": "web", "probe": "readinessProbe", "port": 8080},
        SetProbe(target=ROOT, container="web", probe=ProbeKind.READINESS, port=8080),
        id="left out",
    ),
    pytest.param(
        {
            "kind": "set_probe", "container": "web", "probe": "livenessProbe", "port": 0, "path": "/ok",
            "timeout_seconds": -1, "failure_threshold": -1, "initial_delay_seconds": -1,
        },
        SetProbe(target=ROOT, container="web", probe=ProbeKind.LIVENESS, path="/ok"),
        id="written out",
    ),
    pytest.param(
        {"kind": "replace_config_reference", "reference": "Secret", "from_name": "a", "to_name": "b", "from_key": ""},
        ReplaceConfigReference(target=ROOT, reference=ReferenceKind.SECRET, from_name="a", to_name="b"),
        id="empty key",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "action"), OPTIONAL)
def test_a_value_that_stays_as_it_is_may_be_left_out_or_written_out(model: Any, fields: Any, action: Any) -> None:
    assert model.act(**fields).proposals[0].action == action


# -- agreement with the detectors ------------------------------------------------------------------------------------


def test_the_word_of_a_detector_gives_the_detectors_fault(model: Any) -> None:
    said = model.answer(findings__0__fault="permission.write_denied:/var/cache", proposals=[])
    found = model.parse(said).findings[0]
    assert (found.fault, found.container) == ("permission.write_denied:/var/cache", "web")
    assert found.subject == model.detected.findings[0].subject


def test_a_proposal_answers_the_fault_as_it_is_known_here(model: Any) -> None:
    word = "permission.write_denied:/var/cache"
    assert model.conclude(findings__0__fault=word, proposals__0__answers=word).proposals[0].finding == word
    assert model.conclude().proposals[0].finding == "model.image.typo"


def test_of_two_containers_with_one_fault_the_named_one_is_meant(model: Any, build: Any) -> None:
    template = build.template(build.container("web"), build.container("side"))
    snapshot = build.snapshot(build.pod(template=template))
    first = model.detected.findings[0]
    both = replace(model.detected, findings=(first, replace(first, container="side")))
    said = model.answer(findings__0__fault=first.fault, findings__0__container="side", proposals=[])
    assert model.parse(said, detected=both, snapshot=snapshot).findings[0].container == "side"


@pytest.mark.parametrize("word", ["permission.write_denied", "image.not_found", "drill.exercise"])
def test_a_signature_that_no_detector_gave_here_never_passes_for_one(model: Any, word: str) -> None:
    said = model.answer(findings__0__fault=word, proposals=[])
    assert model.parse(said).findings[0].fault == f"model.{word}"


def test_without_a_diagnosis_every_fault_is_the_models_own(model: Any) -> None:
    said = model.answer(findings__0__fault="pod.not_ready", proposals=[])
    assert model.parse(said, detected=None).findings[0].signature == "model.pod.not_ready"


def test_the_prefix_is_not_doubled(model: Any) -> None:
    said = model.answer(findings__0__fault="model.image.typo", proposals=[])
    assert model.parse(said).findings[0].signature == "model.image.typo"


# -- citations -------------------------------------------------------------------------------------------------------


@pytest.mark.inv(44)
@pytest.mark.parametrize("cited", [["e9"], ["e1", "e9"], ["E1"], ["e1 "], ["e01"], ["1"], ["log line 3"]])
def test_a_finding_that_cites_what_does_not_exist_is_unsupported(model: Any, cited: list[str]) -> None:
    concluded = model.conclude(findings__0__evidence=cited)
    assert (concluded.findings[0].evidence, concluded.findings[0].unsupported) == ((), True)
    assert concluded.proposals[0].evidence == ()


@pytest.mark.inv(44)
def test_a_finding_that_cites_nothing_supports_no_proposal(model: Any) -> None:
    concluded = model.conclude(findings__0__evidence=[])
    assert concluded.findings[0].evidence == ()
    assert concluded.proposals[0].evidence == ()


@pytest.mark.inv(44)
@pytest.mark.parametrize("cited", [[], ["e9"], ["e2", "e9"]])
def test_a_proposal_has_no_evidence_where_its_own_citation_does_not_hold(model: Any, cited: list[str]) -> None:
    assert model.conclude(proposals__0__evidence=cited).proposals[0].evidence == ()


@pytest.mark.inv(44)
def test_one_fault_of_which_one_claim_is_unsupported_supports_no_proposal(model: Any) -> None:
    again = {**SECOND, "fault": "model.image.typo", "pod": "web-b-1", "evidence": ["e77"]}
    concluded = model.conclude(findings=[model.answer()["findings"][0], again])
    assert {finding.fault for finding in concluded.findings} == {"model.image.typo"}
    assert concluded.proposals[0].evidence == ()


def test_what_was_ruled_out_by_evidence_that_does_not_exist_cites_none(model: Any) -> None:
    assert model.conclude(ruled_out__0__evidence=["e1", "e8"]).ruled_out[0].evidence == ()


def test_an_id_cited_twice_counts_once(model: Any) -> None:
    assert model.conclude(findings__0__evidence=["e2", "e1", "e2"]).findings[0].evidence == ("e2", "e1")


# -- no JSON, or not quite -------------------------------------------------------------------------------------------

VALID = json.dumps({"conclusion": "unexplained", "summary": "s", "findings": [], "ruled_out": [], "unchecked": [],
                    "proposals": []})  # fmt: skip

NOT_JSON: list[Any] = [
    pytest.param("", "$: the arguments must be one JSON object", id="nothing"),
    pytest.param("I believe it is DNS.", "one whole JSON object: Expecting value at character 1", id="text only"),
    pytest.param(VALID[:-1], "one whole JSON object", id="cut"),
    pytest.param(VALID[:40], "one whole JSON object", id="cut in a string"),
    pytest.param(f"```json\n{VALID}\n```", "one whole JSON object", id="in fences"),
    pytest.param(f"{VALID}\nHope this helps!", "Extra data", id="trailing prose"),
    pytest.param(f"{VALID}{VALID}", "Extra data", id="twice"),
    pytest.param("[]", "must be one JSON object", id="list"),
    pytest.param('"fault_found"', "must be one JSON object", id="string"),
    pytest.param("null", "must be one JSON object", id="null"),
    pytest.param(VALID.replace('"summary"', '"conclusion": "unfixable", "summary"'), "'conclusion' is given twice",
                 id="key twice"),
    pytest.param(VALID.replace("[]", '[{"cause": "a", "cause": "b"}]', 1), "'cause' is given twice", id="inner twice"),
    pytest.param(VALID.replace("[]", "[NaN]", 1), "NaN is no number", id="NaN"),
    pytest.param(VALID.replace("[]", "[-Infinity]", 1), "-Infinity is no number", id="-Infinity"),
    pytest.param("[" * 100_000, "nested or long", id="nested without end"),
    pytest.param('{"a": ' + "9" * 5_000 + "}", "nested or long", id="number without end"),
    pytest.param(VALID.replace('"s"', f'"{"x" * 5_000_000}"'), "characters are too many", id="5 MB"),
]  # fmt: skip


@INVALID
@pytest.mark.parametrize(("raw", "reason"), NOT_JSON)
def test_what_is_no_strict_json_object_is_refused(model: Any, raw: str, reason: str) -> None:
    with pytest.raises(ReplyInvalid) as caught:
        model.say(raw)
    assert reason in str(caught.value)
    assert str(caught.value).startswith("$")
    assert len(str(caught.value)) <= LONGEST_REASON


def test_a_strict_json_object_is_taken(model: Any) -> None:
    assert model.say(VALID).conclusion is Conclusion.UNEXPLAINED


@INVALID
def test_an_object_that_a_lenient_parser_completed_is_refused(model: Any) -> None:
    whole = model.answer()
    with pytest.raises(ReplyInvalid, match="one whole JSON object"):
        model.parse(whole, json.dumps(whole)[:-20])


def test_the_largest_answer_within_the_bounds_is_taken(model: Any) -> None:
    text = "x" * 1000
    ruled_out = [{"hypothesis": text, "because": text, "evidence": ["e1"] * 20}] * 20
    said = model.answer(summary=text, ruled_out=ruled_out, unchecked=[{"what": text, "why": text}] * 20)
    assert len(json.dumps(said)) < LONGEST_RAW
    assert model.say(json.dumps(said)).summary == text


# -- form ------------------------------------------------------------------------------------------------------------

MALFORMED: list[Any] = [
    ("extra key", {"approved_by": "alice"}, "$: leave out 'approved_by'; the keys are conclusion"),
    ("asks to raise the mode", {"mode": "autonomous"}, "$: leave out 'mode'"),
    ("homoglyph key", {"сonclusion": "x"}, r"$: leave out '\u0441onclusion'"),
    ("missing key", {"unchecked": None}, "$: add unchecked"),
    ("missing keys", {"findings__0__cause": None, "findings__0__evidence": None}, "$.findings[0]: add cause, evidence"),
    ("unknown conclusion", {"conclusion": "fixed"}, "$.conclusion: 'fixed' must be one of fault_found, unfixable"),
    ("recovered", {"conclusion": "recovered", "proposals": []}, "$.conclusion: 'recovered' must be one of"),
    ("unsettled", {"conclusion": "unsettled", "proposals": []}, "$.conclusion: 'unsettled' must be one of"),
    ("not applicable", {"conclusion": "not_applicable"}, "$.conclusion: 'not_applicable' must be one of"),
    ("unfinished", {"conclusion": "unfinished"}, "$.conclusion: 'unfinished' must be one of"),
    ("homoglyph conclusion", {"conclusion": "fаult_found"},
     "$.conclusion: U+0430 at character 2 is no printable ASCII"),
    ("conclusion in capitals", {"conclusion": "FAULT_FOUND"}, "$.conclusion: 'FAULT_FOUND' must be one of"),
    ("conclusion with blanks", {"conclusion": " fault_found"}, "$.conclusion: ' fault_found' must be one of"),
    ("summary empty", {"summary": ""}, "$.summary: must not be empty"),
    ("summary blank", {"summary": " \n"}, "$.summary: must not be empty"),
    ("summary no string", {"summary": 7}, "$.summary: must be a string, not 7"),
    ("summary a list", {"summary": ["a"]}, "$.summary: must be a string, not a list"),
    ("summary too long", {"summary": "x" * 1001}, "$.summary: 1001 characters are too many; give at most 1000"),
    ("summary of 5 MB", {"summary": "x" * 5_000_000}, "$.summary: 5000000 characters are too many"),
    ("half a character", {"summary": "a\ud83d"}, "$.summary: U+D83D at character 2 is half a character"),
    ("findings no list", {"findings": {}}, "$.findings: must be a list, not an object"),
    ("finding no object", {"findings__0": "image"}, "$.findings[0]: must be an object, not 'image'"),
    ("no finding for a fault", {"findings": [], "proposals": []}, "$.findings: fault_found needs at least one finding"),
    ("9 findings", {"findings": [SECOND] * 9}, "$.findings: 9 are too many; give at most 8"),
    ("one finding twice", {"findings": [SECOND, SECOND]}, "$.findings[1]: the same fault of the same container"),
    ("200 proposals", {"proposals": [{}] * 200}, "$.proposals: 200 are too many; give at most 4"),
    ("21 ruled out", {"ruled_out": [{}] * 21}, "$.ruled_out: 21 are too many"),
    ("21 unchecked", {"unchecked": [{}] * 21}, "$.unchecked: 21 are too many"),
    ("21 citations", {"findings__0__evidence": ["e1"] * 21}, "$.findings[0].evidence: 21 are too many"),
    ("citation as number", {"findings__0__evidence": [1]}, "$.findings[0].evidence[0]: must be a string, not 1"),
    ("citations as string", {"findings__0__evidence": "e1"}, "$.findings[0].evidence: must be a list, not 'e1'"),
    ("homoglyph citation", {"findings__0__evidence": ["е1"]}, "$.findings[0].evidence[0]: U+0435 at character 1"),
    ("endless citation", {"findings__0__evidence": ["e" * 21]}, "$.findings[0].evidence[0]: 21 characters"),
    ("confidence as string", {"findings__0__confidence": "0.9"},
     "$.findings[0].confidence: must be a number, not '0.9'"),
    ("confidence true", {"findings__0__confidence": True}, "$.findings[0].confidence: must be a number, not true"),
    ("confidence NaN", {"findings__0__confidence": float("nan")}, "$.findings[0].confidence: nan must be between 0"),
    ("confidence inf", {"findings__0__confidence": float("inf")}, "$.findings[0].confidence: inf must be between 0"),
    ("confidence 95", {"findings__0__confidence": 95}, "$.findings[0].confidence: 95 must be between 0 and 1"),
    ("confidence -0.1", {"findings__0__confidence": -0.1}, "$.findings[0].confidence: -0.1 must be between"),
    ("confidence endless", {"findings__0__confidence": 10**5000}, "$.findings[0].confidence: a number of many digits"),
    ("finding extra key", {"findings__0__severity": "high"}, "$.findings[0]: leave out 'severity'"),
    ("finding uid", {"findings__0__uid": "u-web"}, "$.findings[0]: leave out 'uid'"),
    ("fault with blanks", {"findings__0__fault": "bad image"}, "$.findings[0].fault: 'bad image' is no fault of"),
    ("fault in capitals", {"findings__0__fault": "Image"}, "$.findings[0].fault: 'Image' is no fault of"),
    ("fault of dots", {"findings__0__fault": "a..b"}, "$.findings[0].fault: 'a..b' is no fault of"),
    ("fault too long", {"findings__0__fault": "a" * 61}, "$.findings[0].fault: 'aaaa"),
    ("fault with zero width", {"findings__0__fault": "image\u200b.typo"}, "$.findings[0].fault: U+200B at character 6"),
    ("fault with bidi", {"findings__0__fault": "\u202eimage"}, "$.findings[0].fault: U+202E at character 1"),
    ("near miss of a detector's", {"findings__0__fault": "pоd.not_ready"},
     "$.findings[0].fault: U+043E at character 2"),
    ("another pod", {"findings__0__pod": "payments-1"},
     "$.findings[0].pod: Deployment/shop/web has no pod 'payments-1'"),
    ("pod null", {"findings__0": {**SECOND, "pod": None}}, "$.findings[0].pod: must be a string, not null"),
    ("finding's container", {"findings__0__container": "api"},
     "$.findings[0].container: there is no container 'api', only"),
    ("ruled out extra", {"ruled_out__0__x": 1}, "$.ruled_out[0]: leave out 'x'"),
    ("unchecked no string", {"unchecked__0__why": True}, "$.unchecked[0].why: must be a string, not true"),
    ("proposal extra key", {"proposals__0__risk": "low"}, "$.proposals[0]: leave out 'risk'"),
    ("claims an approval", {"proposals__0__approval": {"by": "alice"}}, "$.proposals[0]: leave out 'approval'"),
    ("says who suggests", {"proposals__0__suggested_by": ["heuristic"]}, "$.proposals[0]: leave out 'suggested_by'"),
    ("proposal without reason", {"proposals__0__reason": None}, "$.proposals[0]: add reason"),
    ("answers nothing", {"proposals__0__answers": "dns"}, "$.proposals[0].answers: 'dns' must be the fault of one of"),
    ("answers a detector", {"proposals__0__answers": "pod.not_ready"}, "$.proposals[0].answers: 'pod.not_ready' must"),
    ("proposal when unfixable", {"conclusion": "unfixable"}, "$.proposals: must be empty with unfixable"),
    ("proposal when unexplained", {"conclusion": "unexplained"}, "$.proposals: must be empty with unexplained"),
]  # fmt: skip


@INVALID
@pytest.mark.parametrize(("changes", "reason"), [m[1:] for m in MALFORMED], ids=[m[0] for m in MALFORMED])
def test_what_is_outside_the_form_is_refused_with_its_place_and_what_to_change(
    model: Any, changes: dict[str, Any], reason: str
) -> None:
    assert refusal(model, **changes).startswith(reason)


@INVALID
def test_one_action_proposed_twice_is_refused(model: Any) -> None:
    proposal = model.answer()["proposals"][0]
    again = {**proposal, "reason": "and again"}
    assert refusal(model, proposals=[proposal, again]).startswith("$.proposals[1]: the same action is proposed twice")


# -- targets ---------------------------------------------------------------------------------------------------------

TARGETS: list[Any] = [
    ("another workload", {**PLACE, "name": "payments"}, ": 'Deployment/shop/payments' is neither"),
    ("name that looks alike", {**PLACE, "name": "vveb"}, ": 'Deployment/shop/vveb' is neither"),
    ("homoglyph name", {**PLACE, "name": "wеb"}, ".name: U+0435 at character 2"),
    ("zero-width name", {**PLACE, "name": "web\u200d"}, ".name: U+200D at character 4"),
    ("tag characters", {**PLACE, "name": "web\U000e0041"}, ".name: U+E0041 at character 4"),
    ("name with ANSI", {**PLACE, "name": "web\x1b[31m"}, ".name: U+001B at character 4"),
    ("name with line feed", {**PLACE, "name": "web\n"}, ".name: U+000A at character 4"),
    ("another namespace", {**PLACE, "namespace": "payments"}, ": 'Deployment/payments/web' is neither"),
    ("kube-system", {**PLACE, "namespace": "kube-system", "name": "coredns"}, ": 'Deployment/kube-system/coredns'"),
    ("Clopus itself", {**PLACE, "namespace": "clopus", "name": "clopus"}, ": 'Deployment/clopus/clopus' is neither"),
    ("empty namespace", {**PLACE, "namespace": ""}, ".namespace: must not be empty"),
    ("empty name", {**PLACE, "name": ""}, ".name: must not be empty"),
    ("wildcard", {**PLACE, "name": "*"}, ": 'Deployment/shop/*' is neither"),
    ("path", {**PLACE, "name": "../../kube-system/web"}, ": 'Deployment/shop/../../kube-system/web' is neither"),
    ("selector", {"kind": "Deployment", "selector": {"app": "web"}}, ": leave out 'selector'"),
    ("uid made up", {**PLACE, "uid": "u-web"}, ": leave out 'uid'"),
    ("as text", "Deployment/shop/web", ": must be an object, not 'Deployment/shop/web'"),
    ("list", [PLACE], ": must be an object, not a list"),
    ("Secret", {**PLACE, "kind": "Secret"}, ".kind: 'Secret' must be one of Deployment, StatefulSet, DaemonSet"),
    ("Node", {**PLACE, "kind": "Node"}, ".kind: 'Node' must be one of"),
    ("another kind of the name", {**PLACE, "kind": "StatefulSet"}, ": 'StatefulSet/shop/web' is neither"),
    ("pod for a workload's action", {**PLACE, "kind": "Pod", "name": "web-b-1"}, ".kind: 'Pod' must be one of"),
]  # fmt: skip


@pytest.mark.inv(23, 40)
@pytest.mark.parametrize(("target", "reason"), [t[1:] for t in TARGETS], ids=[t[0] for t in TARGETS])
def test_nothing_but_the_incidents_object_is_a_target(model: Any, target: Any, reason: str) -> None:
    told = refusal(model, proposals__0__action__target=target)
    assert told.startswith(f"$.proposals[0].action.target{reason}")


@pytest.mark.inv(23, 40)
@pytest.mark.parametrize("name", ["payments-1", "web-b-2", "web-b-1 "])
def test_nothing_but_the_incidents_pods_is_deleted(model: Any, name: str) -> None:
    action = {"kind": "delete_pod", "target": {"kind": "Pod", "namespace": "shop", "name": name}}
    assert "is neither Deployment/shop/web nor one of its pods" in refusal(model, proposals__0__action=action)


@pytest.mark.inv(23)
@pytest.mark.parametrize("changes", [{"gone": True}, {"root": ROOT.without_uid()}], ids=["gone", "without uid"])
def test_nothing_is_proposed_for_an_object_that_was_not_found(model: Any, changes: Any) -> None:
    with pytest.raises(ReplyInvalid, match="was not found when it was looked at; leave the proposal out"):
        model.parse(model.answer(), snapshot=replace(model.snapshot, **changes))


# -- actions ---------------------------------------------------------------------------------------------------------

WEB = {"container": "web"}
ACTIONS: list[Any] = [
    ("no kind", {}, ": must be an object with a kind, one of set_image, undo_rollout"),
    ("unknown kind", {"kind": "exec"}, ".kind: 'exec' must be one of set_image"),
    ("shell", {"kind": "run_command", "command": "kubectl delete ns prod"}, ".kind: 'run_command' must be one of"),
    ("scale", {"kind": "scale", "replicas": 0}, ".kind: 'scale' must be one of"),
    ("patch", {"kind": "patch_workload", "patch": []}, ".kind: 'patch_workload' must be one of"),
    ("homoglyph kind", {"kind": "dеlete_pod"}, ".kind: U+0435 at character 2"),
    ("kind with zero width", {"kind": "set_image\u200b"}, ".kind: U+200B at character 10"),
    ("kind in capitals", {"kind": "SET_IMAGE"}, ".kind: 'SET_IMAGE' must be one of"),
    ("kind no string", {"kind": ["set_image"]}, ".kind: must be a string, not a list"),
    ("image in a resource action", {"kind": "set_resources", **WEB, "memory_limit": "1Gi", "image": "evil"},
     ": leave out 'image'"),
    ("service account in it", {"kind": "set_resources", **WEB, "cpu_limit": "1", "serviceAccountName": "admin"},
     ": leave out 'serviceAccountName'"),
    ("replicas beside", {"kind": "restart_rollout", "replicas": 0}, ": leave out 'replicas'"),
    ("namespace beside", {"kind": "restart_rollout", "namespace": "prod"}, ": leave out 'namespace'"),
    ("container missing", {"kind": "set_image", "image": "a:1"}, ": add container"),
    ("container absent", {"kind": "set_image", "container": "api", "image": "a:1"},
     ".container: there is no container 'api'"),
    ("container homoglyph", {"kind": "set_image", "container": "wеb", "image": "a:1"}, ".container: U+0435"),
    ("container empty", {"kind": "set_image", "container": "", "image": "a:1"}, ".container: must not be empty"),
    ("image with blank", {"kind": "set_image", **WEB, "image": "nginx latest"},
     ".image: 'nginx latest' must be an image"),
    ("image homoglyph", {"kind": "set_image", **WEB, "image": "nginх:1"}, ".image: U+0445 at character 5"),
    ("image with option", {"kind": "set_image", **WEB, "image": "--privileged"}, ".image: '--privileged' must be an"),
    ("image too long", {"kind": "set_image", **WEB, "image": "a" * 513}, ".image: 513 characters are too many"),
    ("image with quote", {"kind": "set_image", **WEB, "image": 'a","x":"b'},
     ".image: 'a\",\"x\":\"b' must be an image"),
    ("revision 0", {"kind": "undo_rollout", "to_revision": 0}, ".to_revision: 0 must be between 1 and 2147483647"),
    ("revision -1", {"kind": "undo_rollout", "to_revision": -1}, ".to_revision: -1 must be between"),
    ("revision as string", {"kind": "undo_rollout", "to_revision": "3"},
     ".to_revision: must be a whole number, not '3'"),
    ("revision 3.0", {"kind": "undo_rollout", "to_revision": 3.0}, ".to_revision: must be a whole number, not 3.0"),
    ("revision true", {"kind": "undo_rollout", "to_revision": True}, ".to_revision: must be a whole number, not true"),
    ("revision null", {"kind": "undo_rollout", "to_revision": None}, ".to_revision: must be a whole number, not null"),
    ("revision endless", {"kind": "undo_rollout", "to_revision": 10**5000}, ".to_revision: a number of many digits"),
    ("memory no quantity", {"kind": "set_resources", **WEB, "memory_limit": "lots"}, ".memory_limit: 'lots' must be a"),
    ("memory 0", {"kind": "set_resources", **WEB, "memory_limit": "0"},
     ".memory_limit: '0' must be a Kubernetes quantity"),
    ("memory negative", {"kind": "set_resources", **WEB, "memory_limit": "-1Gi"}, ".memory_limit: '-1Gi' must be a"),
    ("memory as number", {"kind": "set_resources", **WEB, "memory_limit": 512},
     ".memory_limit: must be a string, not 512"),
    ("memory in other digits", {"kind": "set_resources", **WEB, "memory_limit": "１Gi"}, ".memory_limit: U+FF11"),
    ("memory with more", {"kind": "set_resources", **WEB, "memory_limit": '1Gi", "x'},
     ".memory_limit: '1Gi\", \"x' must"),
    ("no resource", {"kind": "set_resources", **WEB}, ": it changes nothing"),
    ("empty resources", {"kind": "set_resources", **WEB, "memory_limit": "", "cpu_limit": ""}, ": it changes nothing"),
    ("probe unknown", {"kind": "set_probe", **WEB, "probe": "healthProbe", "port": 1},
     ".probe: 'healthProbe' must be one"),
    ("probe without value", {"kind": "set_probe", **WEB, "probe": "livenessProbe"}, ": it changes nothing"),
    ("port 65536", {"kind": "set_probe", **WEB, "probe": "livenessProbe", "port": 65536},
     ".port: 65536 must be between"),
    ("port by name", {"kind": "set_probe", **WEB, "probe": "livenessProbe", "port": "http"}, ".port: must be a whole"),
    ("threshold 1e9", {"kind": "set_probe", **WEB, "probe": "livenessProbe", "failure_threshold": 10**9},
     ".failure_threshold: 1000000000 must be between 1 and 120"),
    ("delay -2", {"kind": "set_probe", **WEB, "probe": "livenessProbe", "initial_delay_seconds": -2},
     ".initial_delay_seconds: -2 must be between"),
    ("delay false", {"kind": "set_probe", **WEB, "probe": "livenessProbe", "initial_delay_seconds": False},
     ".initial_delay_seconds: must be a whole number, not false"),
    ("port false", {"kind": "set_probe", **WEB, "probe": "livenessProbe", "path": "/ok", "port": False},
     ".port: must be a whole number, not false"),
    ("timeout -1.0", {"kind": "set_probe", **WEB, "probe": "livenessProbe", "path": "/ok", "timeout_seconds": -1.0},
     ".timeout_seconds: must be a whole number, not -1.0"),
    ("probe path relative", {"kind": "set_probe", **WEB, "probe": "livenessProbe", "path": "ok"},
     ".path: 'ok' must be an"),
    ("probe path upward", {"kind": "set_probe", **WEB, "probe": "livenessProbe", "path": "/a/../b"},
     ".path: '/a/../b'"),
    ("ports equal", {"kind": "set_ports", **WEB, "from_port": 80, "to_port": 80}, ": it changes nothing"),
    ("port 0", {"kind": "set_ports", **WEB, "from_port": 80, "to_port": 0}, ".to_port: 0 must be between 1 and 65535"),
    ("volume relative", {"kind": "add_scratch_volume", **WEB, "path": "tmp"}, ".path: 'tmp' must be an absolute path"),
    ("volume upward", {"kind": "add_scratch_volume", **WEB, "path": "/tmp/../etc"}, ".path: '/tmp/../etc' must be"),
    ("volume with NUL", {"kind": "add_scratch_volume", **WEB, "path": "/tmp\x00"}, ".path: U+0000 at character 5"),
    ("volume of no size", {"kind": "add_scratch_volume", **WEB, "path": "/t", "size_limit": ""},
     ".size_limit: must not be empty"),
    ("reference to a Role", {"kind": "replace_config_reference", "reference": "Role", "from_name": "a", "to_name": "b"},
     ".reference: 'Role' must be one of ConfigMap, Secret"),
    ("reference to itself",
     {"kind": "replace_config_reference", "reference": "Secret", "from_name": "a", "to_name": "a"},
     ": it changes nothing"),
    ("reference as path",
     {"kind": "replace_config_reference", "reference": "Secret", "from_name": "a", "to_name": "../b"},
     ".to_name: '../b' must be the name of an object"),
    ("one key", {"kind": "replace_config_reference", "reference": "Secret", "from_name": "a", "to_name": "b",
                 "to_key": "k"}, ": name both from_key and to_key"),
]  # fmt: skip


@pytest.mark.inv(22, 40)
@pytest.mark.parametrize(("fields", "reason"), [a[1:] for a in ACTIONS], ids=[a[0] for a in ACTIONS])
def test_an_action_outside_the_union_or_its_bounds_is_refused(model: Any, fields: Any, reason: str) -> None:
    told = refusal(model, proposals__0__action={"target": PLACE, **fields})
    assert told.startswith(f"$.proposals[0].action{reason}")


@pytest.mark.inv(22)
@pytest.mark.parametrize("action", [None, "set_image", [], 7, ["set_image"]])
def test_an_action_that_is_no_object_is_refused(model: Any, action: Any) -> None:
    said = model.answer()
    said["proposals"][0]["action"] = action
    with pytest.raises(ReplyInvalid, match="must be an object with a kind"):
        model.parse(said)


@pytest.mark.inv(39)
def test_a_refusal_shows_the_models_words_harmless_and_short(model: Any) -> None:
    told = refusal(model, proposals__0__answers="\x1b]8;;http://x\x07" + "\u202e" * 500)
    assert r"\x1b]8;;http://x\x07\u202e" in told
    assert "http://x/" not in told


def test_a_refusal_is_one_line_of_ascii_whatever_the_cluster_calls_its_objects() -> None:
    with pytest.raises(ReplyInvalid) as caught:
        Place("$.summary", 1).refuse("größe\x1b[31m " + "é" * 500)
    assert str(caught.value).startswith(r"$.summary: gr\xf6\xdfe\x1b[31m \xe9")
    assert str(caught.value).isascii()
    assert len(str(caught.value)) == LONGEST_REASON
