"""How image references are read, and which words a failed pull has."""

import pytest

from responder.sandbox.catalogue import DEFAULT_CATALOGUE
from responder.sandbox.images import (
    ImageModel,
    InvalidReference,
    KnownImage,
    PullFailure,
    Reference,
    parse_reference,
)

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("bitnami/redis:7", "docker.io/bitnami/redis:7"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("registry.example/shop/web:1.2", "registry.example/shop/web:1.2"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"nginx:1.27@{DIGEST}", f"docker.io/library/nginx:1.27@{DIGEST}"),
    ],
)
def test_a_reference_is_completed_as_the_runtime_does(text: str, canonical: str) -> None:
    assert parse_reference(text).canonical == canonical


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "invalid reference format"),
        ("nginx:", "invalid reference format"),
        ("nginx:1 27", "invalid reference format"),
        ("nginx::1.27", "invalid reference format"),
        ("-nginx", "invalid reference format"),
        ("nginx@sha256:12", "invalid reference format"),
        ("Nginx", "invalid reference format: repository name (library/Nginx) must be lowercase"),
    ],
)
def test_what_is_no_reference_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidReference) as refused:
        parse_reference(text)
    assert str(refused.value) == problem


def pull(text: str) -> KnownImage | PullFailure:
    return DEFAULT_CATALOGUE.pull(parse_reference(text))


def test_a_known_image_is_pulled_by_tag_and_by_digest() -> None:
    by_tag = pull("nginx:1.27")
    assert isinstance(by_tag, KnownImage)
    assert pull(f"nginx@{by_tag.digest}") == by_tag


RESOLVING = 'failed to pull and unpack image "{0}": failed to resolve reference "{0}": '


@pytest.mark.parametrize(
    ("text", "canonical", "rest"),
    [
        (
            "nignx:1.27",
            "docker.io/library/nignx:1.27",
            "pull access denied, repository does not exist or may require authorization: "
            "server message: insufficient_scope: authorization failed",
        ),
        (
            "registry.invalid/app:1",
            "registry.invalid/app:1",
            'failed to do request: Head "https://registry.invalid/v2/app/manifests/1": '
            "dial tcp: lookup registry.invalid: no such host",
        ),
    ],
)
def test_an_unknown_repository_fails_as_containerd_says_it(text: str, canonical: str, rest: str) -> None:
    assert pull(text) == PullFailure(message=RESOLVING.format(canonical) + rest)


def test_an_unknown_tag_of_a_known_repository_is_not_found() -> None:
    name = "docker.io/library/nginx:1.99"
    expected = f"rpc error: code = NotFound desc = {RESOLVING.format(name)}{name}: not found"
    assert pull("nginx:1.99") == PullFailure(message=expected)


def test_a_private_image_needs_a_pull_secret() -> None:
    reference = parse_reference("registry.example/shop/vault:1.0")
    assert isinstance(DEFAULT_CATALOGUE.pull(reference), PullFailure)
    assert isinstance(DEFAULT_CATALOGUE.pull(reference, with_secret=True), KnownImage)


def test_a_catalogue_with_one_more_image_leaves_the_old_one_as_it_was() -> None:
    reference = Reference(registry="registry.example", path="mine", tag="1")
    larger = DEFAULT_CATALOGUE.with_image("registry.example/mine:1", ImageModel(port=9))
    found = larger.pull(reference)
    assert isinstance(found, KnownImage)
    assert found.model.port == 9
    assert isinstance(DEFAULT_CATALOGUE.pull(reference), PullFailure)
