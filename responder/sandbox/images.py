"""Which container images exist in the simulated world, and what each of them does when it runs.

Decides: how an image reference is read, whether a pull of it succeeds and with which words it fails, and the facts
about an image that its process depends on (user, port, directories it writes to, settings it insists on).
Leaves to `programs` how those facts play out, and to `podmachine` when a pull is tried again.

Reference grammar: https://github.com/distribution/reference/blob/main/reference.go. The failure sentences are the
ones that containerd hands to the kubelet.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from enum import StrEnum

_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?)+(?::[0-9]+)?\Z")
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}\Z")
_PUBLIC_REGISTRIES = frozenset({"docker.io", "quay.io", "ghcr.io", "gcr.io", "registry.k8s.io", "public.ecr.aws"})


class InvalidReference(ValueError):
    """The text is not an image reference; the message says why, in the words of the reference library."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An image reference after normalisation: `nginx` is `docker.io/library/nginx:latest`."""

    registry: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        return f"{self.registry}/{self.path}"

    @property
    def canonical(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse_reference(text: str) -> Reference:
    """Raises InvalidReference."""
    remainder, at, digest = text.partition("@")
    if at and not _DIGEST.match(digest):
        raise InvalidReference("invalid reference format")
    head, colon, tail = remainder.rpartition(":")
    name, tag = (head, tail) if colon and "/" not in tail else (remainder, "")
    if tag and not _TAG.match(tag):
        raise InvalidReference("invalid reference format")
    first, slash, rest = name.partition("/")
    hosted = bool(slash) and (first == "localhost" or "." in first or ":" in first)
    registry, path = (first, rest) if hosted else ("docker.io", name)
    registry = "docker.io" if registry == "index.docker.io" else registry
    if registry == "docker.io" and "/" not in path:
        path = f"library/{path}"
    if path != path.lower():
        raise InvalidReference(f"invalid reference format: repository name ({path}) must be lowercase")
    if not _PATH.match(path) or not _DOMAIN.match(registry) or (colon and "/" not in tail and not tag):
        raise InvalidReference("invalid reference format")
    return Reference(registry=registry, path=path, tag=tag or ("" if digest else "latest"), digest=digest)


class Program(StrEnum):
    """The behaviours that an image's own executable can have; `programs` plays them."""

    SHELL = "shell"  # a base image: nothing of its own to run, only the commands it brings
    NGINX = "nginx"
    HTTPD = "httpd"
    SERVICE = "service"  # a database or cache: prints a line, listens on its own port
    PYTHON_WEB = "python-web"  # a web application whose failures read like Python's
    CRASH = "crash"  # a program that fails by its own defect, whatever surrounds it
    MEMORY = "memory"  # a program that fills memory up to its need


@dataclass(frozen=True, kw_only=True)
class ImageModel:
    """What the simulation knows about one image."""

    program: Program = Program.PYTHON_WEB
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    """As in the image's configuration: empty or `root` or `0` is root; a name cannot be verified as non-root."""
    port: int = 0
    """Where the program listens when nothing says otherwise; 0 = it listens nowhere."""
    port_env: str = ""
    """Environment variable that the program reads its port from."""
    port_follows_declaration: bool = True
    """A simplification: the first containerPort of the spec moves the listening port of a web server."""
    writes: tuple[str, ...] = ()
    """Directories in which the program creates something when it starts."""
    pid_file: str = ""
    writable: tuple[str, ...] = ()
    """Directories of the image that any user may write to (`/tmp` always is)."""
    paths: tuple[str, ...] = ("/",)
    """HTTP paths answered with 200; any other is 404. `*` answers everything."""
    required_env: tuple[str, ...] = ()
    required_files: tuple[str, ...] = ()
    memory_mib: int = 32
    memory_env: str = ""
    """Environment variable that says how much memory (MiB) the program will take."""
    start_seconds: float = 0.0
    """Time from the start of the process to its first listening socket."""
    answer_seconds: float = 0.01
    banner: tuple[str, ...] = ()
    failure: tuple[str, ...] = ()
    """For Program.CRASH: the lines written to standard error before the end."""
    exit_code: int = 1
    exit_after: float = 1.0
    stop_exit_code: int = 143
    executables: frozenset[str] = frozenset()
    shell: str = "bash"
    """Whose words a script's errors have: `ash`, `dash`, `bash`; empty = the image brings no shell."""
    private: bool = False
    """A pull needs an imagePullSecret."""
    size: int = 50_000_000


@dataclass(frozen=True, kw_only=True)
class KnownImage:
    repository: str
    tag: str
    model: ImageModel

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(f"{self.repository}:{self.tag}".encode()).hexdigest()

    @property
    def image_id(self) -> str:
        return f"{self.repository}@{self.digest}"


@dataclass(frozen=True, kw_only=True)
class PullFailure:
    """`message` is what the waiting state and the Failed event carry."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All images of the world. Immutable: `with_image` gives a larger one."""

    images: tuple[KnownImage, ...] = ()

    def with_image(self, reference: str, model: ImageModel) -> Catalogue:
        """Adds an image, or replaces the model of one that is known. Raises InvalidReference."""
        parsed = parse_reference(reference)
        known = KnownImage(repository=parsed.repository, tag=parsed.tag, model=model)
        others = tuple(i for i in self.images if (i.repository, i.tag) != (known.repository, known.tag))
        return replace(self, images=(*others, known))

    def pull(self, reference: Reference, *, with_secret: bool = False) -> KnownImage | PullFailure:
        versions = [image for image in self.images if image.repository == reference.repository]
        for image in versions:
            if (reference.digest or reference.tag) in (image.digest, image.tag):
                return image if with_secret or not image.model.private else _denied(reference)
        if versions:
            return _not_found(reference)
        return _denied(reference) if self._reachable(reference.registry) else _no_host(reference)

    def _reachable(self, registry: str) -> bool:
        hosts = {image.repository.partition("/")[0] for image in self.images}
        return registry in hosts | _PUBLIC_REGISTRIES


def _resolving(reference: Reference) -> str:
    name = reference.canonical
    return f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": '


def _denied(reference: Reference) -> PullFailure:
    return PullFailure(
        message=_resolving(reference) + "pull access denied, repository does not exist or may require authorization: "
        "server message: insufficient_scope: authorization failed"
    )


def _not_found(reference: Reference) -> PullFailure:
    # gRPC codes other than Unknown stay in the kubelet's text.
    return PullFailure(
        message=f"rpc error: code = NotFound desc = {_resolving(reference)}{reference.canonical}: not found"
    )


def _no_host(reference: Reference) -> PullFailure:
    address = f"https://{reference.registry}/v2/{reference.path}/manifests/{reference.digest or reference.tag}"
    return PullFailure(
        message=f'{_resolving(reference)}failed to do request: Head "{address}": '
        f"dial tcp: lookup {reference.registry.partition(':')[0]}: no such host"
    )
