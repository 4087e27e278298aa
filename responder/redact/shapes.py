"""The formats of secrets that can be told by their form: what an issuer documents, or everybody writes alike.

One row per format, in the order in which they are looked for: the more telling first, since each sees what those before
it left. A row decides by form only; what a name promises is `names`'s, what stands encoded is `encoded`'s. Formats that
are mere hexadecimal or base64 (Datadog, Heroku, PagerDuty) are known together with the issuer's name beside them.

What a form takes for a secret and is none costs a line of a log its sense, so each row asks for the issuer's whole
prefix and most of its length.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from responder.patterns import Pattern

_ANY = r"[0-9A-Za-z_\-]"
_ALNUM = r"[0-9A-Za-z]"
_BASE64 = r"[0-9A-Za-z+/]"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_IS = r"\\*[\"']?\s*(?::=|=>|=|:)\s*\\*[\"']?"
"""Between a name and its value, in shells, YAML and JSON, escaped JSON included."""


_LONGEST_WORD = 15


def _always(_: str) -> bool:
    return True


@dataclass(frozen=True)
class Shape:
    kind: str
    pattern: Pattern
    """Without groups the whole match is the secret; else group 2 is, between what stays in front of it and behind."""
    prefix: str = ""
    """Expression of what the secret begins with, where that alone gives a token away."""
    likely: Callable[[str], bool] = _always
    """What the expression cannot say about the secret itself."""
    source: str = ""
    """Where the format is documented."""


def _shape(kind: str, expression: str, *, likely: Callable[[str], bool] = _always, source: str = "") -> Shape:
    return Shape(kind=kind, pattern=Pattern(expression), likely=likely, source=source)


def _token(kind: str, prefix: str, rest: str, *, likely: Callable[[str], bool] = _always, source: str = "") -> Shape:
    return Shape(kind=kind, pattern=Pattern(rf"\b{prefix}{rest}"), prefix=prefix, likely=likely, source=source)


def _named(kind: str, name: str, secret: str, *, likely: Callable[[str], bool] = _always, source: str = "") -> Shape:
    """A value that only the issuer's name before it tells from any other."""
    return _shape(kind, rf"(?i)((?:{name}){_IS})({secret})\b", likely=likely, source=source)


def _no_word(secret: str) -> bool:
    """A log says `authorization: server message: ...`; no credential is a short word."""
    word = secret.rstrip(".:;")
    return len(word) > _LONGEST_WORD or not word.isalpha()


def _has_digit(secret: str) -> bool:
    return any(character.isdigit() for character in secret)


def _random(secret: str) -> bool:
    """Not a word: `basic authentication` is no credential."""
    return _has_digit(secret) or (not secret.islower() and not secret[1:].islower() and not secret.isupper())


def _random_and_mixed(secret: str, *, prefix: int) -> bool:
    """Digits and both cases; names of Kubernetes objects have no capitals."""
    rest = secret[prefix:]
    return _has_digit(rest) and rest.lower() != rest and rest.upper() != rest


def _encoded_heads() -> str:
    """How base64 of a key block begins, up to the last whole group; certificates begin otherwise and are public."""
    named = ("RSA PRIVATE", "DSA PRIVATE", "EC PRIVATE", "PRIVATE KEY", "ENCRYPTED PR", "OPENSSH PRIV", "PGP PRIVATE")
    heads = (f"-----BEGIN {name}".encode() for name in named)
    return "|".join(base64.b64encode(head[: len(head) // 3 * 3]).decode()[:22] for head in heads)


SHAPES: tuple[Shape, ...] = (
    # -- keys --------------------------------------------------------------------------------------------------------
    _shape(
        "private-key",
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*-----|\z)",
        source="https://datatracker.ietf.org/doc/html/rfc7468",
    ),
    _shape("private-key", rf"(?:{_BASE64}{{4,76}}=?=?\s+)+-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"),
    _shape("putty-key", r"(?s)PuTTY-User-Key-File-[23]: .*?(?:Private-MAC: [0-9a-f]+|\z)"),
    _token("age-key", r"AGE-SECRET-KEY-(?:PQ-)?1", r"[0-9A-Z]{50,}", source="https://age-encryption.org/v1"),
    _shape("encoded-key", rf"\b(?:{_encoded_heads()}){_BASE64}*=*"),
    _shape(
        "der-key",
        rf"\b(?:MII{_BASE64}{{3}}IBA[AD]|MHcCAQEE|MIGHAgEAMBMG|MIGkAgEBBD|MC4CAQAwBQYDK2Vw){_BASE64}{{16,}}=*",
        source="https://datatracker.ietf.org/doc/html/rfc5958",
    ),
    _shape(
        "pkcs12", rf"\bMII{_BASE64}{{3}}IBAz{_BASE64}{{16,}}=*", source="https://datatracker.ietf.org/doc/html/rfc7292"
    ),
    # -- signed and encrypted tokens ---------------------------------------------------------------------------------
    _shape("grafana-token", rf"\beyJrIjoi{_BASE64}{{20,}}=*"),
    _shape(
        "jwe",
        rf"\beyJ{_ANY}{{8,}}\.{_ANY}*\.{_ANY}{{8,}}\.{_ANY}{{8,}}\.{_ANY}{{8,}}",
        source="https://datatracker.ietf.org/doc/html/rfc7516",
    ),
    _shape(
        "service-account-token",
        rf"\beyJhbGciOiJSUzI1NiIsImtpZCI6{_ANY}+\.{_ANY}{{4,}}(?:\.{_ANY}*)*",
        source="https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/",
    ),
    _shape(
        "jwt", rf"\beyJ{_ANY}{{8,}}\.{_ANY}{{4,}}(?:\.{_ANY}*)*", source="https://datatracker.ietf.org/doc/html/rfc7519"
    ),
    _token("paseto", r"v[1-4]\.(?:local|public)\.", rf"{_ANY}{{20,}}", source="https://paseto.io/"),
    # -- clouds ------------------------------------------------------------------------------------------------------
    _shape(
        "aws-secret-key",
        r"((?:AKIA|ASIA)[0-9A-Z]{16}(?:\\*[\"'])?[ \t]*(?:[,:;|/ \t]|%2C|%3A)[ \t]*(?:\\*[\"'])?)([0-9A-Za-z/+]{40})\b",
    ),
    _token(
        "aws-key",
        r"(?:AKIA|ASIA|ABIA|ACCA)",
        r"[0-9A-Z]{16}\b",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html",
    ),
    _token("aws-bedrock-key", r"ABSK", r"[0-9A-Za-z+/]{60,}=*"),
    _shape("aws-signature", r"(?i)(\bX-Amz-(?:Signature|Security-Token)=)([^\s&\"'<>]+)"),
    _named("azure-account-key", r"\b(?:Account|SharedAccess)Key", rf"{_BASE64}{{20,}}=*"),
    _shape(
        "azure-sas",
        r"(?i)([?&;\"' ]sig=)([0-9A-Za-z%+/]{20,}=*)",
        source="https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas",
    ),
    _shape("azure-client-secret", r"\b[0-9A-Za-z_\-.]{3}[78]Q~[0-9A-Za-z_~.\-]{31,34}"),
    _shape("azure-devops-token", rf"\b{_ALNUM}{{52}}JQQJ99{_ALNUM}{{26}}\b"),
    _shape("gcp-private-key-id", r"(private_key_id\\*[\"']?\s*:\s*\\*[\"']?)([0-9a-f]{40})\b"),
    _token("google-key", r"AIza", rf"{_ANY}{{30,}}"),
    _token("google-oauth", r"(?:ya29\.|GOCSPX-)", rf"{_ANY}{{20,}}"),
    _token("google-refresh-token", r"1//0", rf"{_ANY}{{40,}}"),
    _token("digitalocean-token", r"do[oprt]_v1_", r"[0-9a-f]{40,}"),
    _token("alibaba-key", r"LTAI", rf"{_ALNUM}{{16,20}}\b", likely=_has_digit),
    _token("yandex-token", r"(?:AQVN|t1\.9eu)", rf"{_ANY}{{30,}}"),
    _named("heroku-key", r"heroku[\w\-]*", _UUID),
    _token("heroku-token", r"HRKU-", rf"(?:{_UUID}|{_ANY}{{36,}})"),
    _token("flyio-token", r"(?:fo1_|fm[12][ar]?_)", r"[0-9A-Za-z_\-+/]{32,}=*"),
    _token("render-key", r"rnd_", rf"{_ALNUM}{{24,}}"),
    _token("scalingo-token", r"tk-us-", rf"{_ANY}{{40,}}"),
    # -- code, packages, delivery ------------------------------------------------------------------------------------
    _token(
        "github-token",
        r"(?:gh[pousr]_|github_pat_)",
        r"[0-9A-Za-z_]{20,}",
        source="https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/",
    ),
    _token(
        "gitlab-token",
        r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct|wt)-",
        rf"{_ANY}{{16,}}",
        source="https://docs.gitlab.com/security/tokens/",
    ),
    _token("gitlab-token", r"GR1348941", rf"{_ANY}{{20,}}"),
    _token("atlassian-token", r"AT(?:ATT3xFfGF0|ATT|CTT|STT)", r"[0-9A-Za-z_\-=.]{20,}", likely=_random),
    _token("bitbucket-token", r"ATBB", rf"{_ANY}{{24,}}={{0,2}}"),
    _token("npm-token", r"npm_", rf"{_ALNUM}{{30,}}"),
    _token("pypi-token", r"pypi-", rf"{_ANY}{{30,}}"),
    _token("rubygems-key", r"rubygems_", r"[0-9a-f]{40,}"),
    _token("nuget-key", r"oy2", r"[0-9a-z]{43}\b"),
    _token("cratesio-token", r"cio", rf"{_ALNUM}{{32}}\b", likely=_random),
    _token("docker-token", r"dckr_(?:pat|oat)_", rf"{_ANY}{{20,}}"),
    _token("artifactory-token", r"(?:AKCp[0-9A-Za-z]|cmVmdGtu)", rf"{_ALNUM}{{50,}}"),
    _token("circleci-token", r"CCI(?:PAT|PRJ)_", r"[0-9A-Za-z_]{30,}"),
    _token("buildkite-token", r"bk(?:ua|ct|aj|at)_", rf"{_ALNUM}{{30,}}"),
    _token("pulumi-token", r"pul-", r"[0-9a-f]{40}"),
    _shape("terraform-token", rf"\b{_ALNUM}{{14}}\.atlasv1\.{_ANY}{{40,}}"),
    _token("terraform-token", r"(?:at|ut)-", rf"{_ALNUM}{{16,}}\.atlasv1\.{_ANY}{{20,}}"),
    _token("doppler-token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.", r"[0-9A-Za-z_\-.]{30,}"),
    _token("infisical-token", r"st\.[0-9a-f]{8,}(?:-[0-9a-f]{4,12})*\.", r"[0-9a-f]{24,}(?:\.[0-9a-f]{24,})?"),
    _token("postman-key", r"PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}"),
    _token("sonarqube-token", r"sq[uap]_", r"[0-9a-f]{40}"),
    _token("snyk-token", r"snyk_(?:uat|sat)\.", r"[0-9A-Za-z_\-.]{20,}"),
    # -- secrets of secret stores and of clusters --------------------------------------------------------------------
    _token(
        "vault-token",
        r"hv[sbr]\.",
        rf"{_ANY}{{20,}}",
        source="https://developer.hashicorp.com/vault/docs/concepts/tokens",
    ),
    _shape("vault-token", rf"\bs\.{_ALNUM}{{24}}\b", likely=_random),
    _token("boundary-token", r"at_", rf"{_ALNUM}{{10}}_{_ALNUM}{{40,}}"),
    _token("onepassword-token", r"ops_eyJ", rf"{_BASE64}{{40,}}=*"),
    _token("onepassword-key", r"A3-", r"[0-9A-Z]{6}-(?:[0-9A-Z]{11}|[0-9A-Z]{6}-[0-9A-Z]{5})(?:-[0-9A-Z]{5}){3}"),
    _shape(
        "bootstrap-token",
        r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b",
        likely=_has_digit,
        source="https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/",
    ),
    _shape(
        "kubeconfig-key",
        rf"(\bclient-key-data\\*[\"']?\s*:\s*\\*[\"']?)({_BASE64}{{16,}}=*)",
        source="https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/",
    ),
    _shape(
        "registry-auth",
        rf"([\"']auth\\*[\"']\s*:\s*\\*[\"'])({_BASE64}{{6,}}=*)",
        source="https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/",
    ),
    _token("rancher-token", r"(?:token|kubeconfig)-[a-z0-9.\-]{5,40}:", r"[a-z0-9]{50,}"),
    _token("openshift-token", r"sha256~", rf"{_ANY}{{43}}\b"),
    _token("k3s-token", r"K10[0-9a-f]{64}::", r"\S{8,}"),
    _token("tailscale-key", r"tskey-(?:api|auth|client|scim|webhook)-", rf"{_ANY}{{12,}}"),
    # -- chat, mail, payment -----------------------------------------------------------------------------------------
    _token(
        "slack-token",
        r"xox[abdeoprs](?:\.xox[a-z])?-",
        r"[0-9A-Za-z\-]{10,}",
        source="https://api.slack.com/concepts/token-types",
    ),
    _token("slack-token", r"xapp-", r"[0-9A-Za-z\-]{10,}"),
    _shape("slack-webhook", r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_\-]+"),
    _shape("discord-webhook", rf"https://(?:\w+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/{_ANY}+"),
    _shape("teams-webhook", r"https://[\w\-]+\.webhook\.office\.com/webhookb2/[^\s\"'<>]+"),
    _shape("discord-token", rf"\b[MNO]{_ANY}{{23,27}}\.{_ANY}{{6}}\.{_ANY}{{27,}}"),
    _token("telegram-token", r"[0-9]{8,10}:AA", rf"{_ANY}{{32,}}", source="https://core.telegram.org/bots/api"),
    _token("sendgrid-key", r"SG\.", rf"{_ANY}{{16,}}\.{_ANY}{{16,}}"),
    _token("mailgun-key", r"(?:key|pubkey)-", r"[0-9a-f]{32}\b"),
    _shape("mailchimp-key", r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    _token("brevo-key", r"xkeysib-", rf"[0-9a-f]{{40,}}-{_ALNUM}{{12,}}"),
    _token("resend-key", r"re_", rf"{_ALNUM}{{8}}_{_ALNUM}{{20,}}", likely=_random),
    _token("twilio-key", r"(?:SK|AC)", r"[0-9a-f]{32}\b"),
    _token("stripe-key", r"(?:sk|rk)_(?:live_|test_)?", rf"{_ALNUM}{{16,}}", source="https://docs.stripe.com/keys"),
    _token("stripe-webhook-secret", r"whsec_", rf"{_BASE64}{{16,}}=*"),
    _token("square-token", r"(?:sq0(?:atp|csp|idp)-|EAAA)", rf"{_ANY}{{22,}}", likely=_random),
    _token("shopify-token", r"shp(?:at|ca|pa|ss)_", r"[0-9a-fA-F]{32}"),
    _token("paypal-token", r"access_token\$(?:production|sandbox)\$", r"[0-9a-z]{16}\$[0-9a-f]{32}"),
    _token("facebook-token", r"EAACEdEose0cBA", rf"{_ALNUM}+"),
    # -- watching ----------------------------------------------------------------------------------------------------
    _token("grafana-token", r"(?:glsa|glc)_", r"[0-9A-Za-z_+/]{24,}=*"),
    _token("newrelic-key", r"NR(?:AK|II|JS|AA|RA)-", rf"{_ANY}{{19,}}"),
    _token("sentry-token", r"sntry[su]_", r"[0-9A-Za-z_+/\-]{32,}=*"),
    _token("dynatrace-token", r"dt0[a-z][0-9]{2}\.", r"[0-9A-Z]{24}\.[0-9A-Z]{64}"),
    _token("honeycomb-key", r"hc[abx](?:ik|mk|lk)_", rf"{_ALNUM}{{30,}}"),
    _named("datadog-key", r"\b(?:dd|datadog)[_\-. ]?(?:api|app|application)[_\-. ]?key", r"[0-9a-f]{32,40}"),
    _named(
        "pagerduty-key",
        r"\b(?:pagerduty|pd)[\w\-.]*|\brouting[_\-]?key",
        r"[0-9a-zA-Z_+\-]{20,32}",
        likely=_has_digit,
    ),
    _named("opsgenie-key", r"\b(?:opsgenie|genie)[\w\-.]*|\bGenieKey", _UUID),
    # -- data and models ---------------------------------------------------------------------------------------------
    _token("databricks-token", r"dapi", r"[0-9a-f]{32}(?:-[0-9])?\b"),
    _token("planetscale-token", r"pscale_(?:tkn|pw|oauth|app)_", r"[0-9A-Za-z_\-.=]{30,}"),
    _token("supabase-token", r"sbp_", r"[0-9a-f]{40,}"),
    _token("supabase-key", r"sb_secret_", rf"{_ANY}{{20,}}"),
    _token("neon-key", r"napi_", rf"{_ALNUM}{{40,}}"),
    _token("airtable-token", r"pat[0-9A-Za-z]{14}\.", r"[0-9a-f]{64}"),
    _token("model-key", r"sk-(?:ant-|proj-|svcacct-|admin-|or-v1-)", rf"{_ANY}{{20,}}"),
    _token("model-key", r"sk-", rf"{_ANY}{{32,}}", likely=partial(_random_and_mixed, prefix=3)),
    _token("huggingface-token", r"(?:hf|api_org)_", rf"{_ALNUM}{{30,}}"),
    _token("replicate-token", r"r8_", rf"{_ALNUM}{{30,}}"),
    _token("groq-key", r"gsk_", rf"{_ALNUM}{{40,}}"),
    _token("xai-key", r"xai-", rf"{_ALNUM}{{40,}}"),
    _token("perplexity-key", r"pplx-", rf"{_ALNUM}{{40,}}"),
    _token("wandb-key", r"wandb_v1_", rf"{_ANY}{{30,}}"),
    _token("langsmith-key", r"lsv2_(?:pt|sk)_", r"[0-9a-f]{32}_[0-9a-f]{10}"),
    # -- offices and edges -------------------------------------------------------------------------------------------
    _token("linear-key", r"lin_(?:api|oauth)_", rf"{_ALNUM}{{32,}}"),
    _token("notion-token", r"ntn_", rf"{_ALNUM}{{40,}}"),
    _token("notion-token", r"secret_", rf"{_ALNUM}{{40,}}"),
    _token("figma-token", r"fig[dour]_", rf"{_ANY}{{30,}}"),
    _token("typeform-token", r"tfp_", rf"{_ANY}{{40,}}"),
    _token("asana-token", r"[0-9]/[0-9]{14,18}(?:/[0-9]{14,18})?:", r"[0-9a-f]{32}\b"),
    _token("hubspot-token", r"pat-(?:na|eu)[0-9]-", _UUID),
    _token("cloudflare-key", r"v1\.0-", r"[0-9a-f]{24}-[0-9a-f]{100,}"),
    _named("cloudflare-token", r"\b(?:cloudflare|cf)[_\-]?(?:api)?[_\-]?(?:token|key)", rf"{_ANY}{{37,40}}"),
    _named("fastly-token", r"\bfastly[\w\-]*", rf"{_ANY}{{32}}", likely=_random),
    _token("duffel-key", r"duffel_(?:live|test)_", rf"{_ANY}{{30,}}"),
    _token("adobe-secret", r"p8e-", rf"{_ANY}{{32}}\b"),
    _shape(
        "totp-secret",
        r"(?i)\botpauth(?:-migration)?://[^\s\"'<>]+",
        source="https://github.com/google/google-authenticator/wiki/Key-Uri-Format",
    ),
    # -- hashes of passwords -----------------------------------------------------------------------------------------
    _shape(
        "htpasswd-hash", r"\$(?:apr1)\$[^\s$:\"']{1,16}\$[0-9A-Za-z./]{22}|\{SS?HA(?:256|512)?\}[0-9A-Za-z+/]{20,}=*"
    ),
    _shape("bcrypt-hash", r"\$2[abxy]\$[0-9]{2}\$[0-9A-Za-z./]{53}"),
    _shape(
        "crypt-hash",
        r"\$(?:1|5|6|y|gy|7|sha1|md5)\$[^\s:\"']{1,64}\$[0-9A-Za-z./]{22,}|\$argon2(?:i|d|id)\$[^\s\"':]{20,}",
        source="https://manpages.debian.org/crypt.5",
    ),
    _shape("scram-verifier", rf"SCRAM-SHA-(?:1|256)\$[0-9]+:{_BASE64}+=*\${_BASE64}+=*:{_BASE64}+=*"),
    # -- in transit --------------------------------------------------------------------------------------------------
    _shape("url-credentials", r"([A-Za-z][A-Za-z0-9+.\-]*://)([^\s/@'\"<>]*)(@)"),
    _shape("url-credentials", r"(?i)([A-Za-z][A-Za-z0-9+.\-]*%3A%2F%2F)([^\s/'\"<>]*?)(%40)"),
    _shape(
        "auth-header",
        r"(?i)\b((?:proxy-)?authorization\\*[\"']?\s*[:=]\s*\\*[\"']?(?:\w+\s+)?)(\[redacted[^\]\s]*\]|[^\s\"',]+)",
        likely=_no_word,
        source="https://datatracker.ietf.org/doc/html/rfc9110#section-11.6.2",
    ),
    _shape("auth-header", r"(?i)\b(bearer\s+|basic\s+)([A-Za-z0-9+/_.~\-]{12,}=*)", likely=_random),
    _shape(
        "command-line",
        r"(\bcurl\b[^\r\n|;]*?\s(?:-u|--user)[ =]?[\"']?[\w.@\-]+:|\bsshpass\s+-p\s*|\bredis-cli\b[^\r\n|;]*?\s-a\s+"
        r"|\b(?:mysql|mysqldump|mysqladmin|mariadb)\s(?:[^\r\n|;]*?\s)?-p)([^\s\"',]+)",
    ),
    _shape(
        "cookies",
        r"(?i)\b((?:set-)?cookie\s*:\s*)([^\r\n]+)",
        source="https://datatracker.ietf.org/doc/html/rfc6265",
    ),
)

KINDS = frozenset(shape.kind for shape in SHAPES)
