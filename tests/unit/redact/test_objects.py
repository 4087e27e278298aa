"""Objects: Secrets lose all values, everything else those that a name or a form gives away."""

from __future__ import annotations

import base64
import json

import pytest

from responder.redact.objects import MARK, redacted

pytestmark = pytest.mark.inv(47)

VALUE = base64.b64encode(b"plain words").decode()


def kept(body):
    return redacted(body, salt="u-1").body


def test_a_secret_in_an_object_does_not_pass(planted, secret):
    body = {
        "kind": "Deployment",
        "metadata": {"annotations": {"x": planted, planted: "y"}},
        "spec": {"containers": [{"env": [{"name": "X", "value": planted}], "args": ["serve", planted]}]},
    }
    assert secret.split("\n")[-2 if "\n" in secret else 0] not in json.dumps(kept(body))


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "Secret", "data": {"x": VALUE}, "stringData": {"y": "plain words"}},
        {"kind": "List", "items": [{"kind": "Secret", "data": {"x": VALUE}}]},
        {"kind": "SecretList", "items": [{"data": {"x": VALUE}}]},
        {"items": [{"type": "Opaque", "data": {"x": VALUE}}]},
        {"x": {"type": "kubernetes.io/tls", "data": {"x": VALUE}}},
        {"type": "helm.sh/release.v1", "data": {"release": VALUE}},
        {"kind": "Secret", "data": "plain words"},
        {"kind": "Secret", "data": {"x": {"y": "plain words"}}},
    ],
)
def test_of_a_secret_no_value_is_left(body):
    text = json.dumps(kept(body))
    assert VALUE not in text
    assert "plain words" not in text


def test_of_a_secret_what_is_no_value_stays():
    body = {"kind": "Secret", "type": "Opaque", "metadata": {"name": "db"}, "data": {"user": VALUE, "empty": None}}
    assert kept(body) == {**body, "data": {"user": MARK, "empty": None}}


def test_a_reference_to_a_secret_stays():
    body = {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "db", "key": "user"}}}]}
    assert kept(body) == body
    assert kept({"ref": {"kind": "Secret", "name": "db"}}) == {"ref": {"kind": "Secret", "name": "db"}}


@pytest.mark.parametrize(
    "applied",
    [
        json.dumps({"kind": "Secret", "stringData": {"x": "plain words"}}),
        json.dumps({"kind": "Secret", "stringData": {"x": "plain words"}})[:-2],
        json.dumps({"kind": "List", "items": [{"kind": "Secret", "stringData": {"x": "plain words"}}]}),
    ],
)
def test_the_applied_configuration_loses_its_secrets(applied):
    body = {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}}}
    assert "plain words" not in json.dumps(kept(body))


def test_headers_and_options_lose_what_their_names_promise():
    body = {
        "httpHeaders": [{"name": "Authorization", "value": "plain"}, {"name": "Accept", "value": "text"}],
        "headers": {"X-Api-Key": "plain", "Host": "shop"},
        "args": ["--password", "plain", "--token=plain", "--level", "info"],
    }
    found = kept(body)
    assert "plain" not in json.dumps(found)
    assert found["httpHeaders"][1]["value"] == "text"
    assert found["headers"]["Host"] == "shop"
    assert found["args"][-1] == "info"


def test_places_are_kept_with_digests_that_tell_changes():
    first = redacted({"data": {"PASSWORD": "a"}}, salt="u-1").hidden
    second = redacted({"data": {"PASSWORD": "b"}}, salt="u-1").hidden
    assert first.keys() == second.keys() == {"data.PASSWORD"}
    assert first != second


@pytest.mark.parametrize("text", ["a {b}", '{"a": [1, {"b": "x"}]}', '{"broken', "[1]"])
def test_other_annotations_stay(text):
    assert kept({"annotations": {"x": text}}) == {"annotations": {"x": text}}


PRINTED = {
    "yaml": "data:\n  x: cGxhaW4gd29yZHM=\nkind: Secret\nmetadata:\n  name: db",
    "yaml list": "items:\n- data:\n    x: cGxhaW4gd29yZHM=\n  kind: Secret\n  metadata:\n    name: db",
    "json": json.dumps({"kind": "Secret", "data": {"x": "cGxhaW4gd29yZHM="}, "metadata": {"name": "db"}}),
    "json in a log": json.dumps({"msg": json.dumps({"kind": "Secret", "data": {"x": "cGxhaW4gd29yZHM="}}), "to": "db"}),
}


@pytest.mark.parametrize("text", PRINTED.values(), ids=PRINTED)
def test_a_secret_printed_into_a_text_loses_its_values(text):
    found = kept({"message": text})["message"]
    assert "cGxhaW4gd29yZHM" not in found
    assert "db" in found
