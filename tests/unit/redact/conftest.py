"""One made-up secret of each format: what it stands in, and the part that must not be seen.

None is anybody's: each is an issuer's prefix and a pattern that repeats.
"""

from __future__ import annotations

import pytest

_M = "A1b2" * 30
_L = "a1b2" * 30
_X = "0a1b" * 40
_U = "A1B2" * 30
_UUID = "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d0a1b"


def _pem(name: str) -> str:
    return f"-----BEGIN {name}-----\n{_M[:64]}\n{_M[:64]}\n-----END {name}-----"


_TOKENS = {
    "aws-key": "AKIA" + _U[:16],
    "age-key": "AGE-SECRET-KEY-1" + _U[:58],
    "airtable-token": "pat" + _M[:14] + "." + _X[:64],
    "alibaba-key": "LTAI" + _M[:20],
    "atlassian-token": "ATATT3xFfGF0" + _M[:80],
    "azure-client-secret": "aB3" + "8Q~" + _M[:34],
    "bcrypt-hash": "$2y$10$" + _M[:53],
    "bitbucket-token": "ATBB" + _M[:32],
    "boundary-token": "at_" + _M[:10] + "_" + _M[:48],
    "brevo-key": "xkeysib-" + _X[:64] + "-" + _M[:16],
    "buildkite-token": "bkua_" + _X[:40],
    "circleci-token": "CCIPAT_" + _M[:22] + "_" + _X[:40],
    "cloudflare-key": "v1.0-" + _X[:24] + "-" + _X[:146],
    "crypt-hash": "$6$saltsalt$" + _M[:86],
    "databricks-token": "dapi" + _X[:32],
    "der-key": "MIIEowIBAAKCAQEA" + _M[:64],
    "digitalocean-token": "dop_v1_" + _X[:64],
    "docker-token": "dckr_pat_" + _M[:27],
    "doppler-token": "dp.pt." + _M[:43],
    "dynatrace-token": "dt0c01." + _U[:24] + "." + _U[:64],
    "figma-token": "figd_" + _M[:40],
    "github-app-token": "ghs_" + _M[:36],
    "github-fine-token": "github_pat_" + _M[:22] + "_" + _M[:59],
    "github-token": "ghp_" + _M[:36],
    "gitlab-token": "glpat-" + _M[:20],
    "google-key": "AIza" + _M[:35],
    "google-oauth": "ya29." + _M[:60],
    "grafana-token": "glsa_" + _M[:32] + "_" + _X[:8],
    "grafana-cloud-token": "glc_" + _M[:60],
    "groq-key": "gsk_" + _M[:52],
    "heroku-token": "HRKU-" + _UUID,
    "htpasswd-hash": "$apr1$saltsalt$" + _M[:22],
    "hubspot-token": "pat-na1-" + _UUID,
    "huggingface-token": "hf_" + _M[:34],
    "jwe": "eyJhbGciOiJkaXIifQ.." + _M[:16] + "." + _M[:40] + "." + _M[:22],
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhMWIyIn0." + _M[:43],
    "k8s-service-account": "eyJhbGciOiJSUzI1NiIsImtpZCI6ImExYjIifQ.eyJpc3MiOiJhMWIyIn0." + _M[:86],
    "langsmith-key": "lsv2_pt_" + _X[:32] + "_" + _X[:10],
    "linear-key": "lin_api_" + _M[:40],
    "mailchimp-key": _X[:32] + "-us12",
    "mailgun-key": "key-" + _X[:32],
    "model-key": "sk-ant-" + _M[:60],
    "newrelic-browser-key": "NRJS-" + _X[:19],
    "newrelic-ingest-key": "NRII-" + _M[:32],
    "newrelic-key": "NRAK-" + _U[:27],
    "notion-token": "ntn_" + _M[:46],
    "notion-old-token": "secret_" + _M[:43],
    "npm-token": "npm_" + _M[:36],
    "openai-key": "sk-" + _M[:48],
    "openshift-token": "sha256~" + _M[:43],
    "paseto": "v4.local." + _M[:60],
    "perplexity-key": "pplx-" + _M[:48],
    "pgp-key": _pem("PGP PRIVATE KEY BLOCK"),
    "pkcs12": "MIIKWQIBAzCC" + _M[:64],
    "planetscale-token": "pscale_tkn_" + _M[:43],
    "postman-key": "PMAK-" + _X[:24] + "-" + _X[:34],
    "private-key": _pem("PRIVATE KEY"),
    "private-key-ec": _pem("EC PRIVATE KEY"),
    "private-key-encrypted": _pem("ENCRYPTED PRIVATE KEY"),
    "private-key-openssh": _pem("OPENSSH PRIVATE KEY"),
    "private-key-rsa": _pem("RSA PRIVATE KEY"),
    "pulumi-token": "pul-" + _X[:40],
    "pypi-token": "pypi-AgEIcHlwaS5vcmc" + _M[:60],
    "replicate-token": "r8_" + _M[:37],
    "rubygems-key": "rubygems_" + _X[:48],
    "sendgrid-key": "SG." + _M[:22] + "." + _M[:43],
    "sentry-token": "sntrys_" + _M[:64],
    "sentry-user-token": "sntryu_" + _X[:64],
    "shopify-token": "shpat_" + _X[:32],
    "slack-token": "xoxb-" + "1234567890-" + _M[:24],
    "slack-webhook": "https://hooks.slack.com/services/T0A1B2/B0A1B2/" + _M[:24],
    "sonarqube-token": "squ_" + _X[:40],
    "square-token": "sq0atp-" + _M[:22],
    "square-access-token": "EAAA" + _M[:60],
    "stripe-key": "sk_" + "live_" + _M[:24],
    "supabase-token": "sbp_" + _X[:40],
    "tailscale-key": "tskey-auth-" + _M[:12] + "-" + _M[:24],
    "telegram-token": "123456789:AA" + _M[:33],
    "terraform-token": _M[:14] + ".atlasv1." + _M[:60],
    "totp-secret": "otpauth://totp/shop:app?secret=" + _U[:32],
    "twilio-key": "SK" + _X[:32],
    "vault-token": "hvs." + _M[:90],
    "xai-key": "xai-" + _M[:80],
    "bootstrap-token": "abcdef.0123456789abcdef",
}

_NAMED = {
    "assignment": ("DB_PASSWORD=", _M[:12], " started"),
    "auth header": ("Authorization: Bearer ", _M[:40], ""),
    "aws pair": ("AKIA" + _U[:16] + ",", (_M * 2)[:40], ""),
    "azure account key": ("AccountName=a;AccountKey=", _M[:86] + "==", ";EndpointSuffix=core.windows.net"),
    "azure shared access signature": ("https://a.blob.core.windows.net/b?sv=1&sig=", _M[:43], "%3D"),
    "basic auth": ("curl -u app:", "a1b2c3d4e5f6g7", " https://shop.example"),
    "connection string": ("Server=db;User Id=sa;Password=", _M[:14], ";Encrypt=true"),
    "cookie": ("Set-Cookie: sid=", _M[:20], "; Path=/"),
    "datadog": ("dd_api_key: ", _X[:32], ""),
    "gcp key id": ('"private_key_id": "', _X[:40], '"'),
    "heroku": ("HEROKU_KEY=", _UUID, ""),
    "kubeconfig": ("client-key-data: ", _M[:88], ""),
    "opsgenie": ("opsgenie_key=", _UUID, ""),
    "pagerduty": ("routing_key: ", _X[:32], ""),
    "registry": ('{"auths":{"r.example":{"auth":"', _M[:32], '"}}}'),
    "scram": ("SCRAM-SHA-256$4096:", _M[:24] + "$" + _M[:44] + ":" + _M[:44], ""),
    "url": ("postgres://app:", _M[:14], "@db:5432/shop"),
}

FORMATS = {name: (token, token) for name, token in _TOKENS.items()} | {
    name: (f"{before}{secret}{after}", secret) for name, (before, secret, after) in _NAMED.items()
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`planted` and `secret`: each format in turn; `token`: those that need nothing beside them."""
    if "planted" in metafunc.fixturenames:
        metafunc.parametrize(("planted", "secret"), FORMATS.values(), ids=FORMATS)
    if "token" in metafunc.fixturenames:
        metafunc.parametrize("token", _TOKENS.values(), ids=_TOKENS)
