"""What is typed or pasted to say which alert is meant."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from console.labels import Asked, of_incident, parse, spelt
from responder.domain.alert import AlertSource
from responder.domain.incident import Incident
from responder.domain.refs import ObjectRef

T0 = datetime(2026, 3, 1, tzinfo=UTC)
SHOP = {"alertname": "X", "namespace": "shop"}
ALERT = {"status": "firing", "labels": SHOP, "annotations": {"summary": "no"}}


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("alertname=X namespace=shop", SHOP),
        ('  alertname = "X",namespace="shop"  ', SHOP),
        ('{alertname="X", namespace="shop"}', SHOP),
        ('{alertname="X", namespace="shop",}', SHOP),
        ("alertname=X\nnamespace=shop\n", SHOP),
        ('summary="a b, c=d" x=', {"summary": "a b, c=d", "x": ""}),
        (r'quoted="a \"b\" \\ \u00e9"', {"quoted": 'a "b" \\ é'}),
        ("path=/a/b:80=c", {"path": "/a/b:80=c"}),
        (json.dumps(SHOP), SHOP),
        (json.dumps(ALERT, indent=2), SHOP),
        (json.dumps({"version": "4", "alerts": [ALERT]}), SHOP),
        (json.dumps([ALERT]), SHOP),
    ],
)
def test_labels_are_understood_however_they_are_given(text: str, labels: dict[str, str]) -> None:
    assert parse(text) == Asked(labels=labels)


def test_of_many_alerts_the_first_counts_and_that_is_said() -> None:
    asked = parse(json.dumps({"alerts": [ALERT, {"labels": {"alertname": "Y"}}]}))
    assert (asked.labels, asked.note) == (SHOP, "the first of 2 alerts")


def test_the_source_is_typed_beside_the_labels() -> None:
    assert parse("source:kubernetes alertname=X") == Asked(labels={"alertname": "X"}, source=AlertSource.KUBERNETES)


def test_an_incident_is_named_by_its_id() -> None:
    assert parse(" inc-1ng9e8hj3emb\n") == Asked(incident_id="inc-1ng9e8hj3emb")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "type labels"),
        ("shop", "'shop' is no label: write name=value"),
        ("a=b nonsense", "'nonsense' is no label"),
        ("a=b a=c", "a is given twice"),
        ('a="b', "'\"b' is no label"),
        (r'a="\x"', "is not closed or escaped"),
        ("source:me a=b", "there is no source 'me': alertmanager, kubernetes"),
        ("source:kubernetes", "no labels: write them"),
        ("{}", "has no labels"),
        ('{"a": ', "not JSON: Expecting value in line 1"),
        ("[]", "no alert in this JSON"),
        ("[1]", "no alert in this JSON"),
        ('{"alerts": []}', "no alert in this JSON"),
        ('{"a": 1}', "labels have to be texts"),
        ('{"labels": ["a"]}', "labels have to be texts"),
        ("[" * 60_000, "not JSON"),
        ("a=" + "b" * 70_000, "too long: at most 65536 characters"),
    ],
)
def test_what_is_no_alert_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse(text)


def test_an_incident_gives_the_labels_that_its_rule_was_chosen_by() -> None:
    incident = Incident(
        id="inc-1", key="k", root=ObjectRef(kind="Deployment", namespace="shop", name="web"), opened_at=T0,
        updated_at=T0, labels={"alertname": "X", "__source__": "kubernetes"},
    )  # fmt: skip
    asked = of_incident(incident)
    assert asked.labels == {"alertname": "X", "owner_kind": "Deployment", "owner_name": "web"}
    assert asked.source is AlertSource.KUBERNETES


@pytest.mark.parametrize("source", list(AlertSource))
def test_labels_that_are_spelt_out_are_read_back_as_they_were(source: AlertSource) -> None:
    asked = Asked(labels={"alertname": "X", "odd": 'a "b"\n\\ é =,{} \x7f\u202e\U000e0041\x1b'}, source=source)
    assert parse(spelt(asked)) == asked


def test_labels_of_the_cluster_are_spelt_so_that_every_character_is_seen() -> None:
    text = spelt(Asked(labels={"a\u202e": "\x7f\u202e\U000e0041\x1b\u200b"}))
    assert text == 'a\\u202e="\\u007f\\u202e\\udb40\\udc41\\u001b\\u200b"'
