"""Image pull failures: the sentence decides the class, and only what code can vouch for is proposed."""

from __future__ import annotations

import pytest

from responder.analyzer.heuristics import imagenames
from responder.domain.action import SetImage, UndoRollout
from responder.domain.investigation import Conclusion

DENIED = (
    'Back-off pulling image "{0}": ErrImagePull: failed to pull and unpack image "docker.io/library/{0}": failed to '
    'resolve reference "docker.io/library/{0}": pull access denied, repository does not exist or may require '
    "authorization: server message: insufficient_scope: authorization failed"
)
NOT_FOUND = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/{0}": failed to resolve '
    'reference "docker.io/library/{0}": docker.io/library/{0}: not found'
)
CRIO = "reading manifest 9.9.9 in docker.io/library/nginx: manifest unknown: manifest unknown"
DOCKER = (
    "rpc error: code = Unknown desc = Error response from daemon: pull access denied for {0}, repository does not "
    "exist or may require 'docker login': denied: requested access to the resource is denied"
)


def pulls(build, image, message, *, reason="ImagePullBackOff", **fields):
    return build.diagnose(
        build.broken(build.waiting(reason, message), container=build.container(image=image), **fields)
    )


@pytest.mark.parametrize("sentence", [DENIED, DOCKER], ids=["containerd", "docker"])
def test_a_mistyped_repository_becomes_the_one_that_a_ready_pod_runs(build, sentence):
    found = pulls(build, "nignx:1.27", sentence.format("nignx:1.27"), healthy=["nginx:1.27", "redis:7"])
    assert found.findings[0].signature == "image.not_found"
    assert found.proposals[0].action == SetImage(target=build.root, container="web", image="nginx:1.27")


def test_the_tag_is_kept_where_only_the_repository_was_wrong(build):
    found = pulls(build, "nignx:1.27", DENIED.format("nignx:1.27"), healthy=["nginx:1.25"])
    assert [proposal.action.image for proposal in found.proposals] == ["nginx:1.27"]
    assert found.findings[0].confidence < 0.9


def test_an_official_name_is_a_weaker_proposal(build):
    found = pulls(build, "nignx", DENIED.format("nignx"))
    assert found.proposals[0].action.image == "nginx"
    assert found.findings[0].confidence < 0.7


def test_two_equally_near_repositories_are_reported_and_not_chosen_from(build):
    healthy = ["reg.io/team/api:1", "reg.io/team/app:1"]
    found = pulls(build, "reg.io/team/apx:1", DENIED.format("apx"), healthy=healthy)
    assert found.proposals == ()
    assert found.conclusion is Conclusion.FAULT_FOUND
    assert "reg.io/team/api:1" in found.findings[0].cause


def test_names_that_differ_in_a_digit_are_not_slips_of_each_other(build):
    found = pulls(build, "reg.io/shop/api-v1:3", DENIED.format("api-v1"), healthy=["reg.io/shop/api-v2:3"])
    assert found.proposals == ()


def test_a_ready_revision_comes_before_a_change_of_the_image(build):
    found = pulls(build, "nignx:1.27", DENIED.format("nignx:1.27"), before=build.container())
    assert found.proposals[0].action == UndoRollout(target=build.root, to_revision=8)
    assert found.proposals[1].action.image == "nginx:1.27"


@pytest.mark.parametrize("sentence", [NOT_FOUND.format("nginx:9.9.9"), CRIO], ids=["containerd", "cri-o"])
def test_a_missing_tag_of_a_known_repository_invents_no_tag(build, sentence):
    found = pulls(build, "nginx:9.9.9", sentence, healthy=["nginx:1.27"])
    assert found.findings[0].signature == "image.tag_missing"
    assert found.proposals == ()


def test_a_missing_tag_goes_back_to_the_ready_revision(build):
    found = pulls(build, "nginx:9.9.9", NOT_FOUND.format("nginx:9.9.9"), before=build.container())
    assert isinstance(found.proposals[0].action, UndoRollout)


def test_a_mistyped_tag_becomes_the_one_tag_near_it_that_runs(build):
    found = pulls(build, "nginx:1.27-alpne", NOT_FOUND.format("nginx:1.27-alpne"), healthy=["nginx:1.27-alpine"])
    assert found.proposals[0].action.image == "nginx:1.27-alpine"


def test_an_unknown_image_without_history_is_reported(build):
    found = pulls(build, "yourcompany/crw:latest", DENIED.format("yourcompany/crw:latest"))
    assert found.conclusion is Conclusion.FAULT_FOUND
    assert found.proposals == ()


@pytest.mark.parametrize(
    "message",
    [
        'failed to do request: Head "https://registry-1.docker.io/v2/library/nignx/manifests/1": dial tcp: lookup '
        "registry-1.docker.io: no such host",
        'Get "https://reg.io/v2/": dial tcp 10.0.0.1:443: i/o timeout',
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "unexpected status from HEAD request to https://reg.io/v2/x: 503 Service Unavailable",
    ],
    ids=["dns", "timeout", "x509", "503"],
)
def test_a_registry_out_of_reach_is_not_taken_for_a_typo(build, message):
    found = pulls(build, "nignx:1", message, reason="ErrImagePull", healthy=["nginx:1"], before=build.container())
    assert found.findings[0].signature == "image.registry_unreachable"
    assert found.proposals == ()


def test_a_rate_limit_is_not_answered_by_another_image(build):
    found = pulls(build, "nginx:1.27", "toomanyrequests: You have reached your pull rate limit", healthy=["nginx:1.26"])
    assert (found.findings[0].signature, found.proposals) == ("image.rate_limited", ())


def test_refused_credentials_for_a_repository_that_exists_are_no_typo(build):
    message = "failed to authorize: 401 Unauthorized: no basic auth credentials"
    found = pulls(build, "reg.io/shop/api:2", message, healthy=["reg.io/shop/api:1", "reg.io/shop/apy:1"])
    assert (found.findings[0].signature, found.proposals) == ("image.pull_auth", ())


def test_a_repository_that_a_ready_revision_pulls_from_is_not_renamed(build):
    before = build.container(image="reg.io/shop/cart:1")
    message = "manifest for reg.io/shop/cart:2 not found: manifest unknown"
    found = pulls(build, "reg.io/shop/cart:2", message, before=before, healthy=["reg.io/shop/carts:2"])
    assert "reg.io/shop/carts:2" not in {getattr(proposal.action, "image", "") for proposal in found.proposals}


def test_refused_credentials_are_not_mended_by_going_back_to_the_same_repository(build):
    before = build.container(image="reg.io/shop/api:1")
    found = pulls(build, "reg.io/shop/api:2", "403 Forbidden", before=before)
    assert found.proposals == ()


def test_an_image_that_a_sibling_runs_is_not_renamed(build):
    template = build.template(build.container(image="nignx:1"))
    sick = build.pod(build.waiting("ImagePullBackOff", DENIED.format("nignx:1")), template=template)
    well = build.pod(name="web-b-2", template=template)
    found = build.diagnose(build.snapshot(sick, well, healthy=["nginx:1"]))
    assert (found.findings[0].signature, found.proposals) == ("image.pulled_elsewhere", ())


def test_pull_policy_never_is_its_own_fault(build):
    message = 'Container image "nginx:dev" is not present with pull policy of Never'
    found = pulls(build, "nginx:dev", message, reason="ErrImageNeverPull")
    assert (found.findings[0].signature, found.proposals) == ("image.never_pull", ())


def test_capitals_in_a_repository_are_folded_when_the_folded_name_is_known(build):
    message = 'Failed to apply default image tag "Nginx:1.27": couldn\'t parse image name: invalid reference format'
    found = pulls(build, "Nginx:1.27", message, reason="InvalidImageName", healthy=["nginx:1.27"])
    assert found.findings[0].signature == "image.invalid_name"
    assert found.proposals[0].action.image == "nginx:1.27"


def test_the_cause_is_taken_from_the_event_where_the_waiting_message_is_bare(build):
    event = build.event("Failed", f'Failed to pull image "nignx:1": {DENIED.format("nignx:1")}')
    found = pulls(build, "nignx:1", 'Back-off pulling image "nignx:1"', events=(event,), healthy=["nginx:1"])
    assert found.findings[0].signature == "image.not_found"
    assert any(item.kind == "event" and item.id in found.findings[0].evidence for item in found.evidence)


def test_a_failing_older_revision_does_not_vouch_for_its_own_typo(build):
    found = pulls(build, "nignx:1", DENIED.format("nignx:1"), before=build.container(image="ngnx:1"), before_ready=0)
    assert [proposal.action.image for proposal in found.proposals] == ["nginx:1"]


def test_the_init_container_that_cannot_be_pulled_is_named_not_the_one_of_the_alert(build):
    template = build.template(build.container("setup", "busybx:1", init=True), build.container())
    pod = build.pod(
        build.waiting("ImagePullBackOff", DENIED.format("busybx:1"), "setup", init=True),
        build.waiting("PodInitializing"),
        template=template,
    )
    found = build.diagnose(build.snapshot(pod, healthy=["busybox:1"]), container="web")
    assert found.findings[0].container == "setup"
    assert found.proposals[0].action == SetImage(target=build.root, container="setup", image="busybox:1")
    assert "container web" in found.summary


def test_nothing_is_proposed_for_the_image_of_a_bare_pod(build):
    snapshot = build.bare_pod(
        build.waiting("ImagePullBackOff", DENIED.format("nignx:1")), container=build.container(image="nignx:1")
    )
    assert build.diagnose(snapshot).proposals == ()


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("nginx", "docker.io/library/nginx:latest", True),
        ("index.docker.io/library/nginx:1", "nginx:1", True),
        ("localhost:5000/nginx:1", "nginx:1", False),
        ("nginx:1", "nginx:2", False),
    ],
)
def test_references_are_compared_by_what_they_mean(left, right, same):
    assert imagenames.same_image(left, right) is same


@pytest.mark.parametrize("where", ["workload", "container"])
def test_a_private_image_that_is_called_as_what_runs_it_is_no_slip(build, where):
    name, image = "web" if where == "workload" else "cart", f"reg.io/team/{'web' if where == 'workload' else 'cart'}:1"
    near = "reg.io/team/wed:1" if where == "workload" else "reg.io/team/card:1"
    status = build.waiting("ImagePullBackOff", DENIED.format(image), name if where == "container" else "web")
    container = build.container(status.name, image=image)
    found = build.diagnose(build.broken(status, container=container, healthy=[near]))
    assert found.proposals == ()
