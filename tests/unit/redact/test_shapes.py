"""Each format is told by its form wherever it stands, and what only resembles one passes."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from responder.redact import may_hold_secret, redact
from responder.redact.shapes import KINDS, SHAPES

pytestmark = pytest.mark.inv(47)


def leaks(secret: str, text: str) -> bool:
    """Any eight characters of it in a row are as good as the whole to who knows the rest; markers have none."""
    lines = [line for line in secret.split("\n") if not line.startswith("-----")]
    return any(line[-12:] in text for line in lines)


def test_more_than_forty_kinds_are_known():
    assert len(KINDS) >= 80


def test_every_shape_has_no_group_or_the_secret_in_its_second():
    for shape in SHAPES:
        groups = shape.pattern.expression.replace("(?", "").replace(r"\(", "").count("(")
        assert groups in (0, 2, 3), shape.kind


@pytest.mark.parametrize(
    "around",
    ["{}", "started with {} and went on", "line before\n{}\nline after", '"{}"', "'{}',", "({})", "key={};", "[{}]"],
)
def test_a_secret_does_not_pass_in_a_text(planted, secret, around):
    assert not leaks(secret, redact(around.format(planted)))


def test_a_secret_does_not_pass_in_an_environment_assignment(planted, secret):
    assert not leaks(secret, redact(f"export X_VALUE={planted}"))


def test_a_secret_does_not_pass_in_a_link(planted, secret):
    assert not leaks(secret, redact(f"GET /x?y={quote(planted, safe='')}&z=1 HTTP/1.1"))


def test_a_secret_does_not_pass_in_json(planted, secret):
    once = json.dumps({"x": planted})
    for text in (once, json.dumps(once), json.dumps(json.dumps(once))):
        assert not leaks(secret.replace("\n", "\\n"), redact(text))


def test_a_scan_tells_that_there_is_something_to_redact(planted, secret):
    assert may_hold_secret(f"before\n{planted}\nafter")


def test_redacting_twice_changes_nothing_more(planted, secret):
    once = redact(f"a {planted} b")
    assert redact(once) == once


def test_a_key_whose_head_was_cut_off_does_not_pass():
    assert "A1b2" not in redact("A1b2" * 16 + "\n" + "A1b2" * 9 + "\n-----END RSA PRIVATE KEY-----\nready")


ORDINARY = """\
web-7d4f5c9b8-x2x4z
Pulling image "registry.k8s.io/pause@sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097"
commit 9b74c9897bac770ffc029102a200c5de1f0e4c5b by alice
uid: 5d3f1c2e-8a0b-4c7e-9d6f-1a2b3c4d5e6f resourceVersion: "184467440"
at java.base/java.util.concurrent.ThreadPoolExecutor.runWorker(ThreadPoolExecutor.java:1136)
at org.springframework.security.oauth2.client.OAuth2ClientRegistrationRepositoryConfiguration.<init>(X.java:5)
  File "/usr/lib/python3.11/site-packages/sqlalchemy/engine/base.py", line 1967, in _exec_single_context
SELECT id, name FROM users WHERE created_at > '2026-11-23' ORDER BY id LIMIT 10
INSERT INTO tokens (id, hash) VALUES ($1, $2)
goroutine 1 [running]: main.main() /go/src/app/main.go:42 +0x1d5
E1123 11:58:02.123456       1 reflector.go:138] k8s.io/client-go/informers/factory.go:134: Failed to watch *v1.Pod
trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7
Basic authentication is required
Bearer authentication failed
data: SGVsbG8gd29ybGQsIHRoaXMgaXMgYSBncmVldGluZw==
caBundle: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJkVENDQVJxZ0F3SUJBZ0lSQUtv
-----BEGIN CERTIFICATE-----
GET /search?q=hello%20world%21&lang=de HTTP/1.1
GET /a%2Fb%2Fc?next=https%3A%2F%2Fshop.example%2Fcart HTTP/1.1
{"level":"info","msg":"started \\u003cnil\\u003e","port":8080}
Liveness probe failed: HTTP probe failed with statuscode: 500
failed to resolve reference "docker.io/library/nginx:1.25.3-alpine": not found
ECDSA P-256 key fingerprint SHA256:uNiVztksCsDhcc0u9e8BgrJXVGLHdtM0HvIhVDfsXjY
etag "33a64df551425fcc55e4d42a148795d9f25f89d4"
0x7ffee4b8c9d0 0x00007f8a3c000b20
Back-off restarting failed container web in pod web-7d4f5c9b8-x2x4z_shop(5d3f1c2e-8a0b-4c7e-9d6f-1a2b3c4d5e6f)
sk-learn-inference-service-7d4f5c9b8-x2x4z-and-more-of-it
config.applicationconfig loaded from thread.synchronization
script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
ATTENTION: AT_LEAST_ONE_DELIVERY_GUARANTEE_ENABLED
key-value store compaction finished in 12ms
java.lang.IllegalStateException: Could not load JDBC driver class [org.postgresql.Driver]
AccessDenied: User: arn:aws:iam::123456789012:role/eks-node is not authorized
connection to postgres://db.shop.svc:5432/orders refused
mail alice@example.com, see https://runbooks.example.com/KubePodCrashLooping
mysql --port 3306 -h db
{"kind":"ConfigMap","data":{"a":"b"}}
Error: secret "web-tls" not found
MountVolume.SetUp failed for volume "kube-api-access-x2x4z" : object "shop"/"kube-root-ca.crt" not registered
redis.clients.jedis.exceptions.JedisConnectionException: Failed connecting to cache:6379
""".splitlines()


@pytest.mark.parametrize("line", ORDINARY)
def test_an_ordinary_line_stays_as_it_is(line):
    assert redact(line) == line


def test_ordinary_lines_stay_together_too():
    assert redact("\n".join(ORDINARY)) == "\n".join(ORDINARY)
