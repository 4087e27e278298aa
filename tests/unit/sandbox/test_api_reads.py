"""Lists, watches, access and audit over HTTP."""

import asyncio

import pytest

from responder.sandbox import Sandbox

PODS = "/api/v1/namespaces/shop/pods"
MAPS = "/api/v1/namespaces/shop/configmaps"


async def make_maps(api, *names):
    for name in names:
        await api.post(MAPS, {"metadata": {"name": name, "labels": {"set": name[0]}}})


def names(body):
    return [item["metadata"]["name"] for item in body["items"]]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/version", 200),
        ("/apis", 200),
        ("/api/v1", 200),
        ("/apis/apps/v1", 200),
        ("/readyz", 200),
        ("/api/v1/namespaces/shop/nothings", 404),
        ("/apis/apps/v2/deployments", 404),
        (f"{PODS}/none", 404),
        (f"{PODS}?labelSelector=a%20b%20c", 400),
        (f"{PODS}?fieldSelector=spec.image%3Dx", 400),
        (f"{PODS}?resourceVersion=abc", 400),
    ],
)
async def test_what_is_served_and_what_is_not(api, path, code):
    assert (await api.request("GET", path)).code == code


async def test_pages_show_the_list_as_of_the_first_page(api):
    await make_maps(api, "a1", "a2", "b1", "b2")
    first = (await api.get(f"{MAPS}?limit=3")).body
    await api.delete(f"{MAPS}/b2")
    await make_maps(api, "b3")
    second = (await api.get(f"{MAPS}?limit=3&continue={first['metadata']['continue']}")).body
    assert names(first) + names(second) == ["a1", "a2", "b1", "b2", "kube-root-ca.crt"]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert first["metadata"]["remainingItemCount"] == 2


async def test_a_forgotten_page_expires_with_a_token_to_go_on(sandbox, api):
    await make_maps(api, "a1", "a2")
    first = (await api.get(f"{MAPS}?limit=1")).body
    await make_maps(api, "a3")
    sandbox.store.compact()
    expired = await api.get(f"{MAPS}?limit=9&continue={first['metadata']['continue']}")
    assert (expired.code, expired.body["reason"]) == (410, "Expired")
    rest = await api.get(f"{MAPS}?limit=9&continue={expired.body['metadata']['continue']}")
    assert names(rest.body) == ["a2", "a3", "kube-root-ca.crt"]


async def test_items_of_a_list_do_not_repeat_their_kind(api):
    await make_maps(api, "a1")
    body = (await api.get(MAPS)).body
    assert (body["kind"], "kind" in body["items"][0]) == ("ConfigMapList", False)


async def test_a_watch_resumes_after_its_version(api):
    await make_maps(api, "a1")
    version = (await api.get(MAPS)).body["metadata"]["resourceVersion"]
    await make_maps(api, "a2")
    await api.patch(f"{MAPS}/a1", {"data": {"k": "v"}})
    await api.delete(f"{MAPS}/a2")
    events = await api.watch(f"{MAPS}?resourceVersion={version}&timeoutSeconds=1")
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("ADDED", "a2"),
        ("MODIFIED", "a1"),
        ("DELETED", "a2"),
    ]


async def test_an_object_that_leaves_the_selection_looks_deleted(api):
    await make_maps(api, "a1")
    version = (await api.get(MAPS)).body["metadata"]["resourceVersion"]
    await api.patch(f"{MAPS}/a1", {"metadata": {"labels": {"set": "z"}}})
    events = await api.watch(f"{MAPS}?resourceVersion={version}&labelSelector=set%3Da&timeoutSeconds=1")
    assert [event["type"] for event in events] == ["DELETED"]


async def test_a_watch_from_a_forgotten_version_is_told_to_list_again(sandbox, api):
    await make_maps(api, "a1")
    sandbox.store.compact()
    events = await api.watch(f"{MAPS}?resourceVersion=1&timeoutSeconds=5")
    assert [(event["type"], event["object"]["code"]) for event in events] == [("ERROR", 410)]


async def test_initial_events_end_with_a_bookmark(api):
    await make_maps(api, "a1")
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1"
    events = await api.watch(f"{MAPS}?{query}")
    assert [event["type"] for event in events[:3]] == ["ADDED", "ADDED", "BOOKMARK"]
    assert events[2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_stopping_sandbox_ends_its_watches(session):
    async with asyncio.timeout(5):
        async with Sandbox(kubelet=False, controllers=False) as sandbox:
            headers = {"Authorization": f"Bearer {sandbox.token}"}
            response = await session.get(f"{sandbox.url}/api/v1/pods?watch=1&resourceVersion=1", headers=headers)
        assert await response.read() == b""


async def test_a_request_without_a_token_is_unauthorized(as_user):
    answer = await as_user("").get(PODS)
    assert (answer.code, answer.body["reason"]) == (401, "Unauthorized")


async def test_a_user_may_do_what_a_role_says_and_no_more(sandbox, api, as_user):
    rules = [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"], "resourceNames": ["one"]}]
    base = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop"
    subject = {"kind": "User", "name": "ann"}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    await api.post(f"{base}/roles", {"metadata": {"name": "r"}, "rules": rules})
    await api.post(f"{base}/rolebindings", {"metadata": {"name": "r"}, "subjects": [subject], "roleRef": ref})
    ann = as_user(sandbox.add_token("ann"))
    assert (await ann.get(f"{PODS}/one")).code == 404
    refused = await ann.get(PODS)
    assert refused.body["message"] == (
        'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "shop"'
    )
    assert (await ann.delete(f"{PODS}/one")).code == 403
    assert (await ann.get("/api/v1/namespaces/default/pods/one")).code == 403


async def test_a_service_account_token_acts_as_the_account(api, as_user):
    path = "/api/v1/namespaces/shop/serviceaccounts/default/token"
    token = (await api.post(path, {"spec": {}})).body["status"]["token"]
    refused = await as_user(token).get(PODS)
    assert 'User "system:serviceaccount:shop:default" cannot list' in refused.body["message"]


async def test_access_reviews_answer_for_the_sender(sandbox, api, as_user):
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "shop"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    ann = as_user(sandbox.add_token("ann"))
    assert (await api.post(path, review)).body["status"]["allowed"] is True
    assert (await ann.post(path, review)).body["status"]["allowed"] is False


async def test_the_audit_tells_effects_from_attempts(sandbox, api, deployment):
    path = "/apis/apps/v1/namespaces/shop/deployments"
    await api.post(f"{path}?dryRun=All", deployment())
    await api.post(path, deployment())
    await api.post(path, deployment())
    await api.patch(f"{path}/web", {"spec": {"replicas": 1}})
    await api.patch(f"{path}/web", {"spec": {"replicas": 2}})
    writes = [(event.verb, event.code, event.dry_run, event.changed) for event in sandbox.audit]
    assert writes == [
        ("create", 201, True, False),
        ("create", 201, False, True),
        ("create", 409, False, False),
        ("patch", 200, False, False),
        ("patch", 200, False, True),
    ]
    assert [event.verb for event in sandbox.mutations()] == ["create", "patch"]


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("", 204, ""),
        ("?container=x", 400, "container x is not valid for pod one"),
    ],
)
async def test_a_log_without_a_node_is_empty(api, pod, query, code, words):
    await api.post(PODS, pod())
    answer = await api.get(f"{PODS}/one/log{query}")
    assert answer.code == code
    assert words in (answer.body["message"] if code != 204 else "")
