"""Redaction: what has the shape or the name of a secret does not pass; ordinary lines do."""

from __future__ import annotations

import pytest

from responder.redact import cut, is_secret_name, may_hold_secret, redact

_A = "abcdefghijklmnopqrstuvwxyz"
_N = "0123456789"
SECRETS = {
    "aws key": ("AKIA" + "IOSFODNN7EXAMPL1", "id AKIAIOSFODNN7EXAMPL1 used"),
    "aws secret": ("wJalrXUtnFEMI/K7MDENG/bPx", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPx"),
    "github classic": ("ghp_" + _A + _N, f"clone with ghp_{_A}{_N}"),
    "github fine": ("github_pat_" + _A, f"github_pat_{_A}"),
    "gitlab": ("glpat-" + _A, f"token glpat-{_A}"),
    "slack bot": ("xoxb-1234567890-" + _A, f"xoxb-1234567890-{_A}"),
    "slack hook": ("T000/B000/XXXX", "POST https://hooks.slack.com/services/T000/B000/XXXX"),
    "jwt": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"),
    "pem": ("MIIEowIBAAKCAQEA", "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"),
    "cut pem": ("MIIEowIBAAKCAQEA", "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA"),
    "bearer": ("abcdef0123456789", "Authorization: Bearer abcdef0123456789"),
    "basic": ("dXNlcjpwYXNzd29yZA==", "authorization: Basic dXNlcjpwYXNzd29yZA=="),
    "bearer alone": ("abcdef0123456789", "sent bearer abcdef0123456789 to x"),
    "url": ("s3cr3t", "postgres://app:s3cr3t@db:5432/x"),
    "amqp": ("s3cr3t", "amqps://app:s3cr3t@mq/vhost"),
    "redis": ("s3cr3t", "redis://:s3cr3t@cache:6379"),
    "assignment": ("hunter2", "password=hunter2"),
    "env": ("hunter2", "DB_PASSWORD=hunter2 started"),
    "yaml": ("hunter2", "dbPassword: hunter2"),
    "json": ("hunter2", '{"client_secret": "hunter2"}'),
    "escaped json": ("hunter2", r"{\"apiKey\":\"hunter2\"}"),
    "quoted blanks": ("correct horse", 'passphrase="correct horse"'),
    "url encoded": ("hunter2", "body: password%3Dhunter2"),
    "query": ("hunter2", "GET /x?access_token=hunter2&y=1"),
    "argument": ("hunter2", "mysqld --password hunter2"),
    "google": ("AIza" + _A + _N, f"key AIza{_A}{_N}"),
    "stripe": ("sk_live_" + _A, f"sk_live_{_A}"),
    "model key": ("sk-ant-" + _A, f"sk-ant-{_A}"),
    "npm": ("npm_" + _A + _N, f"npm_{_A}{_N}"),
    "pypi": ("pypi-" + _A + _N, f"pypi-{_A}{_N}"),
    "docker": ("dckr_pat_" + _A, f"dckr_pat_{_A}"),
    "sendgrid": ("SG." + _A, f"SG.{_A}.{_A}"),
    "vault": ("hvs." + _A, f"hvs.{_A}"),
    "telegram": ("123456789:AA" + _A + _N, f"123456789:AA{_A}{_N}"),
    "bootstrap": ("abcdef.0123456789abcdef", "join abcdef.0123456789abcdef"),
    "cookie": ("sid=1234", "Set-Cookie: sid=1234; Path=/"),
    "base64 pem": ("LS0tLS1CRUdJTiBSU0EgUFJJVkFURQ", "LS0tLS1CRUdJTiBSU0EgUFJJVkFURQ=="),
    "azure": ("abc123==", "AccountKey=abc123==;EndpointSuffix=x"),
    "dsn": ("user:pw@tcp(db)/x", 'dsn="user:pw@tcp(db)/x"'),
    "secret that begins with a slash": ("/AbCdEf", "password=/AbCdEf"),
    "huggingface": ("hf_" + _A + _N, f"hf_{_A}{_N}"),
}


@pytest.mark.inv(47)
@pytest.mark.parametrize(("secret", "text"), SECRETS.values(), ids=SECRETS)
def test_a_secret_is_replaced_by_its_kind(secret, text):
    assert secret not in redact(text)
    assert "[redacted:" in redact(text)


@pytest.mark.inv(47)
@pytest.mark.parametrize(("secret", "text"), SECRETS.values(), ids=SECRETS)
def test_one_scan_tells_that_there_is_something_to_redact(secret, text):
    assert may_hold_secret(f"among\n{text}\nother lines")


def test_an_ordinary_alert_is_passed_by_with_one_scan():
    assert not may_hold_secret("Pod shop/web-7d4f5c9b8-x2x4z (web) is in waiting state (reason: CrashLoopBackOff).")


@pytest.mark.parametrize(("secret", "text"), SECRETS.values(), ids=SECRETS)
def test_redacting_twice_changes_nothing_more(secret, text):
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "line",
    [
        'nginx: [emerg] mkdir() "/var/cache/nginx/client_temp" failed (13: Permission denied)',
        'secret "db-credentials" not found',
        "couldn't find key password in Secret shop/db",
        "KeyError: 'DB_PASSWORD'",
        "POSTGRES_PASSWORD is not set",
        "You must specify POSTGRES_PASSWORD to a non-empty value",
        'password authentication failed for user "app"',
        "GET /token HTTP/1.1 200",
        "12 tests pass, 0 fail",
        "reading token: /var/run/secrets/kubernetes.io/serviceaccount/token",
        "password: ${DB_PASSWORD}",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "listen tcp :80: bind: permission denied",
    ],
)
def test_a_line_that_tells_the_fault_stays_as_it_is(line):
    assert redact(line) == line


def test_text_that_is_not_unicode_is_borne():
    assert "hunter2" not in redact("\ud800 password=hunter2")


def test_the_end_of_a_long_text_is_what_is_kept():
    assert cut("x" * 10 + "end", 3) == ("end", True)
    assert cut("aß", 2) == ("ß", True)
    assert cut("short", 100) == ("short", False)


@pytest.mark.parametrize(
    ("name", "secret"),
    [("DB_PASSWORD", True), ("clientSecret", True), ("API_KEY", True), ("BYPASS", False), ("LOG_LEVEL", False)],
)
def test_names_that_promise_a_secret_are_known(name, secret):
    assert is_secret_name(name) is secret
