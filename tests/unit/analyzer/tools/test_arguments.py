"""What a model may send as arguments, and what it is told where it may not."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from responder.analyzer.tools.arguments import Refused, parse, schema
from responder.analyzer.tools.capacity import Quota
from responder.analyzer.tools.logs import Logs
from responder.analyzer.tools.metrics import MetricNow
from responder.analyzer.tools.objects import GetObject, ListObjects
from responder.analyzer.tools.promql import Matcher

TOKEN = "ghp_" + "a1B2c3D4e5" * 4


def test_what_is_left_out_has_its_default() -> None:
    assert parse(Logs, {"pod": "web-1"}) == Logs(pod="web-1", container="", previous=False, tail_lines=100, grep="")


def test_a_default_may_be_spelt_out() -> None:
    assert parse(Logs, {"pod": "web", "container": "", "grep": "", "previous": False}) == parse(Logs, {"pod": "web"})


def test_lists_and_records_become_frozen_values() -> None:
    found = parse(MetricNow, {"metric": "up", "matchers": [{"label": "pod", "value": "web"}], "by": ["pod"]})
    assert found.matchers == (Matcher(label="pod", operator="=", value="web"),)
    assert found.by == ("pod",)


@pytest.mark.parametrize(
    "name",
    [
        *("", "a/b", "../web", "a..b", "a%2fb", "Web", "*", "web*", "a b", "web\n", "-web", "web\x00", "é", "x" * 254),
        *("kube-system/coredns", "web?watch=1", "web#", "web;", "web\\"),
    ],
)
@pytest.mark.inv(43)
def test_a_name_that_no_object_can_have_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="name"):
        parse(GetObject, {"kind": "Pod", "name": name})


@pytest.mark.parametrize("name", ["web", "web-6d4cf56db6-x7k2p", "app.config", "token-service", "x" * 253])
def test_a_name_of_an_object_is_taken(name: str) -> None:
    assert parse(GetObject, {"kind": "Pod", "name": name}).name == name


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        pytest.param(None, "one JSON object, not null", id="nothing"),
        pytest.param([1], "one JSON object, not a list", id="a list"),
        pytest.param("{}", "one JSON object, not a string", id="a text"),
        pytest.param({}, "pod is missing", id="what has to be given"),
        pytest.param({"pod": "a", "follow": True}, "'follow' is no argument of this tool", id="unknown"),
        pytest.param({"pod": "a", "namespace": "shop"}, "namespace is no argument", id="namespace"),
        pytest.param({"pod": 7}, "pod has to be a string, not a number", id="number for text"),
        pytest.param({"pod": ["a"]}, "pod has to be a string, not a list", id="list for text"),
        pytest.param({"pod": "a", "previous": "true"}, "previous has to be true or false, not a string", id="flag"),
        pytest.param({"pod": "a", "previous": 1}, "previous has to be true or false, not a number", id="int for flag"),
        pytest.param({"pod": "a", "tail_lines": True}, "a whole number, not true or false", id="flag for number"),
        pytest.param({"pod": "a", "tail_lines": "10"}, "a whole number, not a string", id="text for number"),
        pytest.param({"pod": "a", "tail_lines": 1.5}, "a whole number, not a number with a fraction", id="fraction"),
        pytest.param({"pod": "a", "tail_lines": float("nan")}, "not a number with a fraction", id="nan"),
        pytest.param({"pod": "a", "tail_lines": 0}, "between 1 and 1000", id="too few"),
        pytest.param({"pod": "a", "tail_lines": 10**400}, "between 1 and 1000", id="huge"),
        pytest.param({"pod": "a", "container": "a.b"}, "cannot be the name of a container", id="container"),
        pytest.param({"pod": ""}, "pod has to have 1 to 253 characters, not 0", id="empty"),
        pytest.param({"pod": "a", "grep": "x" * 201}, "grep has to have 1 to 200 characters, not 201", id="long"),
        pytest.param({"pod": "a", "grep": "a\x1bb"}, "an invisible character", id="control"),
        pytest.param({"pod": "a", "grep": "a\u202eb"}, "an invisible character", id="bidi"),
        pytest.param({"pod": "a", "grep": None}, "grep has to be a string, not null", id="null"),
    ],
)
def test_what_is_not_as_declared_is_refused_with_what_to_change(sent: Any, words: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(Logs, sent)
    assert words in str(caught.value)


@pytest.mark.inv(48)
@pytest.mark.parametrize("kind", ["Secret", "secret", "secrets", "SECRETS"])
def test_a_secret_is_refused_with_the_reason(kind: str) -> None:
    with pytest.raises(Refused, match="Secrets are never read"):
        parse(GetObject, {"kind": kind, "name": "db"})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("pod", "did you mean Pod"),
        ("Deployments", "did you mean Deployment"),
        ("*", "It is one of"),
        ("pods/exec", "is not known"),
        ("Event", "Events have a tool"),
        ("CustomResourceDefinition", "is not known"),
    ],
)
def test_a_kind_that_is_not_looked_at_is_refused_with_the_nearest(kind: str, words: str) -> None:
    with pytest.raises(Refused, match="kind") as caught:
        parse(GetObject, {"kind": kind, "name": "x"})
    assert words in str(caught.value)


def test_cluster_objects_are_not_listed() -> None:
    with pytest.raises(Refused, match="no list of them"):
        parse(ListObjects, {"kind": "Node"})


@pytest.mark.parametrize(
    "selector",
    ["app=web", "app==web,tier!=db", "env in (a, b)", "env notin (a),x", "!canary", "app.kubernetes.io/name=web", "a="],
)
def test_a_label_selector_is_taken(selector: str) -> None:
    assert parse(ListObjects, {"kind": "Pod", "label_selector": selector}).label_selector == selector


@pytest.mark.parametrize(
    "selector",
    ["app=web&fieldSelector=x", "a=b c", "=x", "a=../b", "in (a)", "a in", "a=b,,c", "a>1", "%2f", "{}", "*"],
)
def test_what_is_no_label_selector_is_refused(selector: str) -> None:
    with pytest.raises(Refused, match="no label selector"):
        parse(ListObjects, {"kind": "Pod", "label_selector": selector})


@pytest.mark.inv(45)
@pytest.mark.parametrize(
    "sent",
    [
        {"pod": "web", "grep": TOKEN},
        {"pod": "web", "grep": "password=hunter2hunter2"},
        {"pod": "web", "grep": "postgres://app:s3cr3tpass@db"},
        {"pod": "web", TOKEN: "x"},
        {"pod": "web", "grep": {"a": [TOKEN]}},
    ],
)
def test_a_secret_does_not_travel_in_an_argument(sent: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="looks like a secret") as caught:
        parse(Logs, sent)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("words", ["password authentication failed", "[redacted:github-token:1]", "token expired"])
def test_words_about_secrets_and_placeholders_are_taken(words: str) -> None:
    assert parse(Logs, {"pod": "web", "grep": words}).grep == words


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({"pod": "x" * 5000}, id="one long text"),
        pytest.param({f"k{number}": "" for number in range(300)}, id="many keys"),
        pytest.param({"pod": [["a"] * 300]}, id="a long list"),
        pytest.param({"pod": [[[[["a"]]]]]}, id="a deep list"),
    ],
)
def test_arguments_beyond_all_bounds_are_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"too long|too deeply"):
        parse(Logs, sent)


def test_a_refusal_repeats_nothing_long_and_nothing_invisible() -> None:
    with pytest.raises(Refused) as caught:
        parse(GetObject, {"kind": "Pod", "nam\u202ee" * 50: "x"})
    assert len(str(caught.value)) < 200
    assert str(caught.value).isascii()


@pytest.mark.parametrize("arguments", [Logs, MetricNow, GetObject, ListObjects, Quota, Matcher])
def test_the_schema_is_one_closed_object_that_names_every_field(arguments: type) -> None:
    found = schema(arguments)
    assert (found["type"], found["additionalProperties"]) == ("object", False)
    assert list(found["properties"]) == [one.name for one in fields(arguments)]
    assert all(one["description"] for one in found["properties"].values())


def test_the_schema_tells_what_has_to_be_given_and_what_is_the_default() -> None:
    found = schema(Logs)
    assert found["required"] == ["pod"]
    assert found["properties"]["tail_lines"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "description": "The last lines, count; of a search, the last hits",
        "default": 100,
    }
