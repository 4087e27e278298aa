"""Every status and every exception of the client library has one meaning, and a lost write is never taken for a no."""

import asyncio
import inspect
import json
import ssl
from types import ModuleType, SimpleNamespace

import aiohttp
import kubernetes_asyncio.client.exceptions
import kubernetes_asyncio.config.config_exception
import kubernetes_asyncio.dynamic.exceptions
import pytest

from responder.cluster.errors import Call, from_answer, from_exception
from responder.domain.errors import (
    ClusterUnavailable,
    FieldConflict,
    Forbidden,
    ObjectGone,
    PermanentError,
    PlanInvalid,
    PlanStale,
    ResponderError,
    VersionExpired,
    WriteOutcomeUnknown,
)

READ, DRY_RUN, WRITE = Call.READ, Call.DRY_RUN, Call.WRITE
TLS_PROBLEM = ssl.SSLCertVerificationError("self-signed certificate")
KEY = SimpleNamespace(host="127.0.0.1", port=6443, ssl=True, is_ssl=True)
ASKED = SimpleNamespace(real_url="https://127.0.0.1:6443/api")

# status -> the error of a read, a dry run and a write, for an answer whose body says nothing more
BY_STATUS = {
    301: (ClusterUnavailable, ClusterUnavailable, ClusterUnavailable),
    307: (ClusterUnavailable, ClusterUnavailable, ClusterUnavailable),
    400: (PermanentError, PlanInvalid, PlanInvalid),
    401: (Forbidden, Forbidden, Forbidden),
    403: (Forbidden, Forbidden, Forbidden),
    404: (ObjectGone, ObjectGone, ObjectGone),
    408: (ClusterUnavailable, ClusterUnavailable, WriteOutcomeUnknown),
    409: (PermanentError, PlanStale, PlanStale),
    410: (VersionExpired, PlanStale, PlanStale),
    412: (PermanentError, PlanStale, PlanStale),
    422: (PermanentError, PlanStale, PlanStale),
    429: (ClusterUnavailable, ClusterUnavailable, ClusterUnavailable),
    **{
        status: (PermanentError, PlanInvalid, PlanInvalid)
        for status in range(400, 500)
        if status not in (400, 401, 403, 404, 408, 409, 410, 412, 422, 429)
    },
    **dict.fromkeys(range(500, 505), (ClusterUnavailable, ClusterUnavailable, WriteOutcomeUnknown)),
}


@pytest.mark.parametrize("status", range(400, 505))
def test_every_status_from_400_to_504_has_an_entry(status: int) -> None:
    assert status in BY_STATUS


@pytest.mark.parametrize(("status", "expected"), BY_STATUS.items())
def test_a_status_means_what_the_call_makes_of_it(status: int, expected: tuple[type[ResponderError], ...]) -> None:
    got = tuple(type(from_answer(call, status, b"", about="it")) for call in (READ, DRY_RUN, WRITE))
    assert got == expected


def status_body(**fields: object) -> bytes:
    return json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", **fields}).encode()


VALIDATION = status_body(
    message='Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1',
    details={"name": "web", "causes": [{"reason": "FieldValueInvalid", "field": "spec.replicas"}]},
)
DOES_NOT_FIT = status_body(message="the server rejected our request due to an error in our request", details={})
MANAGER_CONFLICT = status_body(
    message="Apply failed with 1 conflict", details={"causes": [{"reason": "FieldManagerConflict"}]}
)
NO_RIGHT = status_body(message='pods is forbidden: User "system:serviceaccount:a:b" cannot list resource "pods"')
QUOTA = status_body(message='configmaps "c" is forbidden: exceeded quota: q')
WEBHOOK = status_body(message='admission webhook "images.example.com" denied the request: no latest')
BUDGET = status_body(
    message="Cannot evict pod as it would violate the pod's disruption budget.",
    details={"causes": [{"reason": "DisruptionBudget", "message": "The disruption budget pdb needs 1 healthy pods"}]},
)


@pytest.mark.parametrize(
    ("call", "status", "body", "expected"),
    [
        pytest.param(WRITE, 422, VALIDATION, PlanInvalid, id="validation names the object"),
        pytest.param(WRITE, 422, DOES_NOT_FIT, PlanStale, id="a test failed or a path is gone"),
        pytest.param(WRITE, 409, MANAGER_CONFLICT, FieldConflict, id="another manager owns the field"),
        pytest.param(WRITE, 403, NO_RIGHT, Forbidden, id="no right to write"),
        pytest.param(READ, 403, NO_RIGHT, Forbidden, id="no right to read"),
        pytest.param(WRITE, 403, QUOTA, PlanInvalid, id="quota"),
        pytest.param(DRY_RUN, 403, WEBHOOK, PlanInvalid, id="webhook"),
        pytest.param(WRITE, 429, BUDGET, PlanInvalid, id="disruption budget"),
        pytest.param(WRITE, 429, status_body(message="too many requests"), ClusterUnavailable, id="overload"),
    ],
)
def test_a_body_tells_apart_what_the_status_does_not(
    call: Call, status: int, body: bytes, expected: type[ResponderError]
) -> None:
    assert type(from_answer(call, status, body, about="it")) is expected


def test_the_servers_own_words_and_what_was_asked_are_in_the_message() -> None:
    message = str(from_answer(WRITE, 422, VALIDATION, about="patch Deployment/shop/web"))
    assert message == (
        'patch Deployment/shop/web: 422 Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1'
    )


def test_a_disruption_budget_is_named() -> None:
    assert "disruption budget pdb needs 1" in str(from_answer(WRITE, 429, BUDGET, about="evict"))


def test_the_patched_object_that_strict_decoding_quotes_is_not_repeated() -> None:
    quoted = 'Invalid value: "{\\"env\\":[{\\"value\\":\\"hunter2\\"}]}": strict decoding error: unknown field "spec.x"'
    body = status_body(
        message=f' "" is invalid: patch: {quoted}', details={"causes": [{"field": "patch", "message": quoted}]}
    )
    message = str(from_answer(WRITE, 422, body, about="patch"))
    assert "hunter2" not in message
    assert 'unknown field "spec.x"' in message


def test_a_long_message_is_cut() -> None:
    assert len(str(from_answer(READ, 500, b"x" * 1_000_000, about="get"))) < 700


@pytest.mark.parametrize(
    ("retry_after", "delay"), [(None, 5.0), (0.0, 0.0), (7.0, 7.0), (86_400.0, 60.0)], ids=["none", "now", "7", "day"]
)
def test_the_servers_patience_is_passed_on_within_reason(retry_after: float | None, delay: float) -> None:
    error = from_answer(READ, 503, b"", about="get", retry_after=retry_after)
    assert isinstance(error, ClusterUnavailable)
    assert error.delay_seconds == delay


# An instance of every exception class of aiohttp's client -> the error of a write. A read's is ClusterUnavailable.
TRANSPORT = [
    (aiohttp.ClientError("x"), WriteOutcomeUnknown),
    (aiohttp.ClientConnectionError("x"), WriteOutcomeUnknown),
    (aiohttp.ClientConnectionResetError("x"), WriteOutcomeUnknown),
    (aiohttp.ClientOSError(104, "reset"), WriteOutcomeUnknown),
    (aiohttp.ClientPayloadError("cut"), WriteOutcomeUnknown),
    (aiohttp.ClientResponseError(ASKED, ()), WriteOutcomeUnknown),
    (aiohttp.ContentTypeError(ASKED, ()), WriteOutcomeUnknown),
    (aiohttp.WSServerHandshakeError(ASKED, ()), WriteOutcomeUnknown),
    (aiohttp.WSMessageTypeError("x"), WriteOutcomeUnknown),
    (aiohttp.TooManyRedirects(ASKED, ()), WriteOutcomeUnknown),
    (aiohttp.ServerConnectionError("x"), WriteOutcomeUnknown),
    (aiohttp.ServerDisconnectedError("x"), WriteOutcomeUnknown),
    (aiohttp.ServerTimeoutError("x"), WriteOutcomeUnknown),
    (aiohttp.SocketTimeoutError("x"), WriteOutcomeUnknown),
    (aiohttp.RedirectClientError("x"), WriteOutcomeUnknown),
    (aiohttp.UploadAbortedError("x"), WriteOutcomeUnknown),
    (aiohttp.InvalidUrlRedirectClientError("x"), ClusterUnavailable),
    (aiohttp.NonHttpUrlRedirectClientError("x"), ClusterUnavailable),
    (aiohttp.InvalidURL("x"), ClusterUnavailable),
    (aiohttp.InvalidUrlClientError("x"), ClusterUnavailable),
    (aiohttp.NonHttpUrlClientError("x"), ClusterUnavailable),
    (aiohttp.ConnectionTimeoutError("x"), ClusterUnavailable),
    (aiohttp.ClientConnectorError(KEY, OSError(111, "refused")), ClusterUnavailable),
    (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown name")), ClusterUnavailable),
    (aiohttp.ClientProxyConnectionError(KEY, OSError(111, "refused")), ClusterUnavailable),
    (aiohttp.ClientSSLError(KEY, OSError(1, "tls")), ClusterUnavailable),
    (aiohttp.ClientConnectorSSLError(KEY, OSError(1, "tls")), ClusterUnavailable),
    (aiohttp.ClientConnectorCertificateError(KEY, TLS_PROBLEM), ClusterUnavailable),
    (aiohttp.ClientHttpProxyError(ASKED, ()), ClusterUnavailable),
    (aiohttp.ServerFingerprintMismatch(b"a", b"b", "h", 1), ClusterUnavailable),
    (TimeoutError(), WriteOutcomeUnknown),
    (asyncio.IncompleteReadError(b"", 1), WriteOutcomeUnknown),
    (ConnectionResetError(), WriteOutcomeUnknown),
    (ValueError("no JSON"), WriteOutcomeUnknown),
]


def exceptions_of(module: ModuleType) -> set[type[BaseException]]:
    return {value for _, value in inspect.getmembers(module, inspect.isclass) if issubclass(value, BaseException)}


def test_every_exception_of_aiohttps_client_is_in_the_table() -> None:
    known = {type(exc) for exc, _ in TRANSPORT}
    client_errors = {exc for exc in exceptions_of(aiohttp) if issubclass(exc, aiohttp.ClientError)}
    assert client_errors - known == set()


@pytest.mark.parametrize(
    ("exc", "of_a_write"), TRANSPORT, ids=lambda value: getattr(value, "__name__", type(value).__name__)
)
def test_a_transport_failure_means_what_the_call_makes_of_it(exc: Exception, of_a_write: type[ResponderError]) -> None:
    got = tuple(type(from_exception(call, exc, about="it")) for call in (READ, DRY_RUN, WRITE))
    assert got == (ClusterUnavailable, ClusterUnavailable, of_a_write)


API = kubernetes_asyncio.client.exceptions
DYNAMIC = kubernetes_asyncio.dynamic.exceptions
CONFIG = kubernetes_asyncio.config.config_exception
GONE_404 = API.ApiException(status=404, reason="Not Found")

# Every exception class of the library -> an instance and the error of a read.
LIBRARY = [
    (API.OpenApiException("x"), PermanentError),
    (API.ApiTypeError("x"), PermanentError),
    (API.ApiValueError("x"), PermanentError),
    (API.ApiAttributeError("x"), PermanentError),
    (API.ApiKeyError("x"), PermanentError),
    (API.ApiException(status=0, reason="cannot prepare a request"), PermanentError),
    (API.ApiException(status=500), ClusterUnavailable),
    (API.NotFoundException(status=404), ObjectGone),
    (API.UnauthorizedException(status=401), Forbidden),
    (API.ForbiddenException(status=403), Forbidden),
    (API.ServiceException(status=503), ClusterUnavailable),
    (CONFIG.ConfigException("no token"), ClusterUnavailable),
    *(
        (exc(GONE_404), ObjectGone)
        for exc in sorted(exceptions_of(DYNAMIC), key=lambda exc: exc.__name__)
        if issubclass(exc, DYNAMIC.DynamicApiError)
    ),
]
# Raised by the dynamic client's discovery only, which is not used.
UNUSED = {DYNAMIC.ResourceNotFoundError, DYNAMIC.ResourceNotUniqueError, DYNAMIC.KubernetesValidateMissing}


def test_every_exception_of_the_client_library_is_in_the_table() -> None:
    known = {type(exc) for exc, _ in LIBRARY} | UNUSED
    assert (exceptions_of(API) | exceptions_of(DYNAMIC) | exceptions_of(CONFIG)) - known == set()


@pytest.mark.parametrize(
    ("exc", "expected"), LIBRARY, ids=lambda value: getattr(value, "__name__", type(value).__name__)
)
def test_a_library_exception_is_translated(exc: Exception, expected: type[ResponderError]) -> None:
    assert type(from_exception(READ, exc, about="it")) is expected


def test_a_missing_credential_never_leaves_a_write_unknown() -> None:
    error = from_exception(WRITE, CONFIG.ConfigException("Token file exists but empty."), about="patch")
    assert type(error) is ClusterUnavailable
