"""Webhook bodies, good and bad, to alerts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.detector import alertmanager
from responder.detector.alertmanager import WebhookInvalid, computed_fingerprint, parse_webhook
from responder.domain.alert import Alert, AlertStatus, Delivery

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
PAYLOADS = Path(__file__).parents[2] / "fixtures" / "payloads"
LABELS = {"alertname": "A", "namespace": "shop"}


def parse(document: object) -> Delivery:
    return parse_webhook(json.dumps(document).encode(), received_at=NOW)


def parse_one(**fields: object) -> Alert:
    delivery = parse({"alerts": [{"labels": LABELS, **fields}]})
    assert delivery.quarantined == ()
    (alert,) = delivery.alerts
    return alert


def reason_for(alert: object) -> str:
    """Why `alert` is set aside; the good one beside it must pass."""
    delivery = parse({"alerts": [alert, {"labels": LABELS}]})
    assert len(delivery.alerts) == 1
    (quarantined,) = delivery.quarantined
    quarantined.raw.encode()
    assert len(quarantined.raw) <= alertmanager.MAX_RAW
    return quarantined.reason


@pytest.mark.parametrize(
    ("file", "statuses"),
    [
        ("alertmanager-0.25-posted.json", ["resolved", "firing"]),
        ("alertmanager-0.31-posted.json", ["firing", "resolved"]),
        ("am-01-kubernaut-high-memory.json", ["firing"]),
        ("am-02-kubernaut-multiple-alerts.json", ["firing", "firing", "firing"]),
        ("am-03-kubernaut-resolved.json", ["resolved"]),
        ("am-04-kubernaut-pod-crash.json", ["firing"]),
        ("am-12-msteams-no-status.json", ["firing"]),
        ("am-17-opensre.json", ["firing"]),
        ("am-22-zulip-same-labels-twice.json", ["firing", "firing"]),
        ("gf-01-grafana9-values.json", ["firing"]),
        ("gf-02-robusta-grafana-kubepodcrashlooping.json", ["firing"]),
        ("gf-05-zulip-grafana-new-multiple.json", ["firing", "firing"]),
    ],
)
def test_recorded_bodies_are_read_whole(file: str, statuses: list[str]) -> None:
    delivery = parse_webhook((PAYLOADS / file).read_bytes(), received_at=NOW)
    assert [alert.status for alert in delivery.alerts] == statuses
    assert delivery.quarantined == ()
    assert delivery.warnings == ()


def test_a_current_body_keeps_labels_times_and_fingerprint() -> None:
    delivery = parse_webhook((PAYLOADS / "alertmanager-0.25-posted.json").read_bytes(), received_at=NOW)
    resolved, firing = delivery.alerts
    assert firing.fingerprint == "6c0d0a54ab5c1e76"
    assert firing.labels["pod"] == "payments-api-7d9c6b7f4d-x2x9k"
    assert firing.starts_at == datetime(2026, 11, 22, 19, 4, 19, 922827, tzinfo=UTC)
    assert firing.ends_at is None
    assert firing.generator_url == "http://prometheus.monitoring:9090/graph?g0.expr=x"
    assert resolved.ends_at == datetime(2026, 11, 22, 19, 4, 18, tzinfo=UTC)
    assert delivery.receiver == "responder"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"42",
        b"{",
        b"\xff\xfe{}",
        b'{"alerts": [{"labels": {"a": "\xff"}}]}',
        b"[" * 200_000 + b"]" * 200_000,
        b'{"alerts":' + b"[" * 200_000,
        b'{"alerts": [], "n": ' + b"1" * 5_000 + b"}",
        b"{}",
        b'{"alerts": null}',
        b'{"alerts": {}}',
        b'{"alerts": "none"}',
        (PAYLOADS / "bad-01-kubernaut-not-json.txt").read_bytes(),
        (PAYLOADS / "bad-02-opensre-no-alerts-array.json").read_bytes(),
        (PAYLOADS / "raw-01-holmes-alertmanager-api-alerts.json").read_bytes(),
    ],
)
def test_a_body_that_can_never_succeed_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookInvalid):
        parse_webhook(body, received_at=NOW)


@pytest.mark.inv(10)
@pytest.mark.parametrize("extra", [{}, {"version": "4"}, {"truncatedAlerts": 0, "notification_reason": "x"}])
def test_no_alerts_is_an_empty_delivery(extra: dict[str, object]) -> None:
    assert parse({"alerts": [], **extra}) == Delivery(alerts=())


@pytest.mark.inv(10)
@pytest.mark.parametrize("version", ["5", 4, "", [4]])
def test_an_unknown_version_is_read_with_a_warning(version: object) -> None:
    delivery = parse({"version": version, "alerts": [{"labels": LABELS}]})
    assert len(delivery.alerts) == 1
    assert "unknown webhook version" in delivery.warnings[0]


@pytest.mark.inv(10)
def test_unknown_fields_are_ignored() -> None:
    alert = parse_one(values={"B": 1.5}, valueString="[ var='B' ]", dashboardURL="", state="alerting", __proto__={})
    assert alert.labels == LABELS


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse_webhook(b'\xef\xbb\xbf{"alerts": []}', received_at=NOW).alerts == ()


@pytest.mark.inv(7)
@pytest.mark.parametrize(
    ("given", "kept"), [(0, 0), (17, 17), (-3, 0), ("9", 0), (None, 0), (True, 0), (2**63, 2**31 - 1)]
)
def test_the_number_of_truncated_alerts_is_kept(given: object, kept: int) -> None:
    assert parse({"alerts": [], "truncatedAlerts": given}).truncated_alerts == kept


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("firing", "firing"),
        ("FIRING", "firing"),
        ("resolved", "resolved"),
        (" Resolved ", "resolved"),
        ("pending", "firing"),
        ("", "firing"),
        (None, "firing"),
        (3, "firing"),
    ],
)
def test_a_status_is_case_folded_and_firing_by_default(status: object, expected: str) -> None:
    assert parse_one(status=status).status == expected


@pytest.mark.parametrize(
    ("group", "own", "expected"),
    [("resolved", "firing", "firing"), ("firing", "resolved", "resolved"), ("resolved", None, "resolved")],
)
def test_an_alerts_own_status_outranks_its_groups(group: str, own: str | None, expected: str) -> None:
    delivery = parse({"status": group, "alerts": [{"labels": LABELS, "status": own}]})
    assert delivery.alerts[0].status == expected


def test_both_statuses_of_one_fingerprint_are_kept_in_order() -> None:
    same = {"labels": LABELS, "fingerprint": "00000000000000aa"}
    delivery = parse({"alerts": [{**same, "status": "resolved"}, {**same, "status": "firing"}]})
    assert [alert.status for alert in delivery.alerts] == [AlertStatus.RESOLVED, AlertStatus.FIRING]


@pytest.mark.parametrize(("given", "kept"), [("52fc9743cb4c6c55", "52fc9743cb4c6c55"), ("52FC9743CB4C6C55",) * 2])
def test_a_fingerprint_is_kept_in_lower_case(given: str, kept: str) -> None:
    assert parse_one(fingerprint=given).fingerprint == kept.casefold()


@pytest.mark.parametrize("fingerprint", [None, "", "mem123abc", "52fc9743cb4c6c5", "x" * 16, 12, "../../etc/passwd"])
def test_a_fingerprint_that_is_no_hash_is_computed_from_the_labels(fingerprint: object) -> None:
    assert parse_one(fingerprint=fingerprint).fingerprint == computed_fingerprint(LABELS)


def test_a_computed_fingerprint_does_not_depend_on_the_order_of_labels() -> None:
    assert computed_fingerprint({"a": "1", "b": "2"}) == computed_fingerprint({"b": "2", "a": "1"})
    assert computed_fingerprint({"a": "1", "b": "2"}) != computed_fingerprint({"a": "1b", "": "2"})


@pytest.mark.inv(8)
@pytest.mark.parametrize(
    ("alert", "reason"),
    [
        (None, "not an object"),
        ("text", "not an object"),
        ([], "not an object"),
        ({}, "labels: missing"),
        ({"labels": None}, "labels: missing"),
        ({"labels": []}, "labels: missing"),
        ({"labels": {}}, "labels: none"),
        ({"labels": {"a": ""}}, "labels: none"),
        ({"labels": {"alertname": None}}, "not a string"),
        ({"labels": {"alertname": 1}}, "not a string"),
        ({"labels": {"alertname": {"a": "b"}}}, "not a string"),
        ({"labels": {"alertname": "x" * 1_000_000}}, "1000000 characters"),
        ({"labels": {"": "x"}}, "has 0 characters"),
        ({"labels": {"n" * 1000: "x"}}, "has 1000 characters"),
        ({"labels": {f"l{i}": "x" for i in range(10_000)}}, "10000 of them"),
        ({"labels": {f"l{i}": "x" * 8_000 for i in range(20)}}, "characters in all"),
        ({"labels": {"alertname": "a\x00b"}}, "NUL or a lone surrogate"),
        ({"labels": {"alertname": "a\ud800b"}}, "NUL or a lone surrogate"),
        ({"labels": {"a\udfff": "b"}}, "NUL or a lone surrogate"),
        ({"labels": LABELS, "startsAt": "yesterday"}, "startsAt: 'yesterday' is not a time"),
        ({"labels": LABELS, "startsAt": 1763899200}, "startsAt: not a string"),
        ({"labels": LABELS, "status": "resolved", "endsAt": "soon\ud800"}, "endsAt: 'soon\\ud800' is not a time"),
    ],
)
def test_a_bad_alert_is_set_aside_and_the_others_pass(alert: object, reason: str) -> None:
    assert reason in reason_for(alert)


@pytest.mark.inv(8)
def test_ten_thousand_alerts_pass_beside_one_poison_pill() -> None:
    good = [{"labels": {**LABELS, "pod": f"web-{i}"}} for i in range(9_999)]
    delivery = parse({"alerts": [*good[:5_000], {"labels": {"pod": 7}}, *good[5_000:]]})
    assert (len(delivery.alerts), len(delivery.quarantined)) == (9_999, 1)


def test_not_a_number_in_an_ignored_field_does_no_harm() -> None:
    assert (
        len(parse_webhook(b'{"alerts": [{"labels": {"a": "b"}, "values": {"B": NaN}}]}', received_at=NOW).alerts) == 1
    )


def test_of_duplicate_keys_the_last_wins() -> None:
    body = b'{"alerts": [{"labels": {"a": "first", "a": "last"}}]}'
    assert parse_webhook(body, received_at=NOW).alerts[0].labels == {"a": "last"}


@pytest.mark.parametrize("name", ['quo"te', "new\nline", "имя", "__proto__", "with space"])
def test_label_names_may_be_any_text(name: str) -> None:
    assert parse({"alerts": [{"labels": {name: "x"}}]}).alerts[0].labels == {name: "x"}


def test_an_empty_label_is_absent() -> None:
    assert parse({"alerts": [{"labels": {**LABELS, "pod": ""}}]}).alerts[0].labels == LABELS


@pytest.mark.parametrize("starts_at", [None, "", "0001-01-01T00:00:00Z"])
def test_an_alert_without_a_start_began_when_it_was_received(starts_at: str | None) -> None:
    assert parse_one(startsAt=starts_at).starts_at == NOW


def test_a_start_in_the_future_stays_as_sent_so_that_copies_are_known() -> None:
    assert parse_one(startsAt="2026-11-24T12:00:00Z").starts_at == NOW + timedelta(days=1)


@pytest.mark.parametrize("ends_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-23T13:00:00Z", None])
def test_an_alert_that_fires_has_no_end(ends_at: str | None) -> None:
    assert parse_one(status="firing", endsAt=ends_at).ends_at is None


@pytest.mark.parametrize(
    ("ends_at", "expected"),
    [
        ("2026-11-23T11:30:00Z", NOW - timedelta(minutes=30)),
        ("0001-01-01T00:00:00Z", NOW),
        (None, NOW),
        ("9999-12-31T23:59:59Z", NOW),
        ("2026-11-23T10:00:00Z", NOW - timedelta(hours=1)),
    ],
    ids=["as sent", "zero", "missing", "not after now", "not before its start"],
)
def test_a_resolved_alert_has_an_end_between_its_start_and_now(ends_at: str | None, expected: datetime) -> None:
    assert parse_one(status="resolved", startsAt="2026-11-23T11:00:00Z", endsAt=ends_at).ends_at == expected


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://prom/graph?g0.expr=up", "https://prom/graph?g0.expr=up"),
        ("javascript:alert(1)", ""),
        ("file:///etc/passwd", ""),
        ("https://prom/" + "x" * 10_000, ""),
        (None, ""),
        (5, ""),
    ],
)
def test_only_a_web_link_is_kept_as_generator(url: object, kept: str) -> None:
    assert parse_one(generatorURL=url).generator_url == kept


def test_annotations_are_kept_as_text_whatever_their_type() -> None:
    alert = parse_one(annotations={"summary": "s", "number": 95, "nested": {"a": [1]}, "bad": "a\x00\ud800"})
    assert alert.annotations == {"summary": "s", "number": "95", "nested": '{"a": [1]}', "bad": "a\ufffd\ufffd"}


def test_annotations_beyond_the_cap_are_cut_and_marked() -> None:
    alert = parse_one(annotations={f"a{i}": "x" * 1_000_000 for i in range(200)})
    assert sum(len(value) for value in alert.annotations.values()) <= alertmanager.MAX_ANNOTATIONS_TOTAL
    assert alert.annotations["a0"].endswith("[cut]")


@pytest.mark.parametrize("annotations", [None, [], "text", 1])
def test_annotations_of_another_shape_are_none(annotations: object) -> None:
    assert parse_one(annotations=annotations).annotations == {}


AWS_KEY = "AKIAIOSFODNN7EXAMPL1"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"


@pytest.mark.inv(47)
@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("summary", f"used {AWS_KEY} twice", "used [redacted:aws-key] twice"),
        ("summary", f"failed\n{AWS_KEY}", "failed\n[redacted:aws-key]"),
        ("summary", "password=hunter2 refused", "password=[redacted:assignment] refused"),
        ("summary", f"sent {JWT}", "sent [redacted:jwt]"),
        ("summary", "amqp://app:s3cr3t@mq/x", "amqp://[redacted:url-credentials]@mq/x"),
        ("db_password", "correct horse", "[redacted:name]"),
        ("summary", {"password": "hunter2"}, '{"password": "[redacted:name]"}'),
        ("token_runbook", "https://wiki/tokens", "https://wiki/tokens"),
        ("summary", "the token of the service account is 3 days old", "the token of the service account is 3 days old"),
    ],
)
def test_secrets_leave_annotations(name: str, given: object, kept: str) -> None:
    assert parse_one(annotations={name: given}).annotations[name] == kept


@pytest.mark.inv(47)
def test_no_half_of_a_secret_is_left_where_an_annotation_is_cut() -> None:
    long = "x" * (alertmanager.MAX_ANNOTATION - 16) + f" {AWS_KEY} y"
    assert AWS_KEY[:4] not in parse_one(annotations={"summary": long}).annotations["summary"]


@pytest.mark.inv(47)
@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("api_token", "abc", "[redacted:name]"),
        ("line", AWS_KEY, "[redacted:aws-key]"),
        ("pod", AWS_KEY, "[redacted:aws-key]"),
        ("pod", "worker.0123456789abcdef", "worker.0123456789abcdef"),
        ("deployment", "password-reset", "password-reset"),
        ("alertname", "SecretRotationLate", "SecretRotationLate"),
        ("team", "tokens", "tokens"),
    ],
)
def test_secrets_leave_labels_and_names_of_objects_stay(name: str, given: str, kept: str) -> None:
    assert parse_one(labels={**LABELS, name: given}).labels[name] == kept


@pytest.mark.inv(4, 47)
def test_a_fingerprint_is_computed_from_the_labels_as_sent() -> None:
    labels = [{**LABELS, "api_token": token} for token in ("one", "two")]
    alerts = [parse_one(labels=sent) for sent in labels]
    assert alerts[0].labels == alerts[1].labels
    assert [alert.fingerprint for alert in alerts] == [computed_fingerprint(sent) for sent in labels]


@pytest.mark.inv(47)
@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://admin:s3cr3t@prom:9090/graph?g0.tab=1", "http://prom:9090/graph?g0.tab=1"),
        ("https://token@prom/graph", "https://prom/graph"),
        (
            "http://prom/graph?access_token=abc&g0.tab=1",
            "http://prom/graph?access_token=[redacted:assignment]&g0.tab=1",
        ),
        ("http://prom/graph?g0.expr=a@b", "http://prom/graph?g0.expr=a@b"),
    ],
)
def test_a_link_is_kept_without_credentials(url: str, kept: str) -> None:
    assert parse_one(generatorURL=url).generator_url == kept


@pytest.mark.inv(47)
@pytest.mark.parametrize(
    "raw",
    [
        {"labels": None, "annotations": {"line": f"failed\n{AWS_KEY}"}},
        {"labels": {"alertname": 1, "password": AWS_KEY}},
        {"labels": [[f"key={AWS_KEY}"]]},
        {"labels": LABELS, "startsAt": AWS_KEY},
        f"an alert of text: {AWS_KEY}",
        {"labels": None, AWS_KEY: 1},
        {"labels": None, "padding": "x" * (alertmanager.MAX_RAW - 50), "line": AWS_KEY},
    ],
)
def test_secrets_leave_what_is_set_aside(raw: object) -> None:
    (quarantined,) = parse({"alerts": [raw]}).quarantined
    assert AWS_KEY[:12] not in quarantined.raw + quarantined.reason


@pytest.mark.inv(47)
def test_secrets_leave_the_key_of_the_group() -> None:
    assert "hunter2" not in parse({"groupKey": '{}:{password="hunter2"}', "alerts": []}).group_key
