"""Image references as text: their parts, and which known repository a mistyped one may mean.

Grammar: https://github.com/distribution/reference. Nothing here asks a registry, and no tag is made up: a tag is kept
as written, or taken whole from an image that somewhere runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from responder.analyzer.heuristics.nearness import is_typo_of

_DOCKER_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_VALID = re.compile(
    r"(?:[A-Za-z0-9.\-]+(?::[0-9]+)?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127})?(?:@sha256:[0-9a-f]{64})?\Z"
)

# Names on Docker Hub that everyone may pull: https://hub.docker.com/search?badges=official
_OFFICIAL = """
adminer alpine alt almalinux amazoncorretto amazonlinux arangodb bash buildpack-deps busybox caddy cassandra
centos chronograf clojure composer consul couchbase couchdb debian docker drupal eclipse-mosquitto eclipse-temurin
elasticsearch elixir erlang fedora flink fluentd gcc geonetwork ghost golang gradle groovy haproxy haskell httpd
influxdb jenkins jetty joomla julia kapacitor kibana kong logstash mariadb matomo maven mediawiki memcached
mongo mongo-express mysql nats neo4j nextcloud nginx node odoo open-liberty openjdk oraclelinux percona perl php
phpmyadmin postgres postgrest python r-base rabbitmq rakudo-star redis redmine registry rethinkdb rockylinux ruby
rust solr sonarqube spark storm swift telegraf tomcat traefik ubuntu varnish vault websphere-liberty wordpress
zookeeper
"""
OFFICIAL_NAMES = frozenset(_OFFICIAL.split())


@dataclass(frozen=True, kw_only=True)
class ImageName:
    host: str
    """`docker.io` where none is written."""
    path: str
    """With `library/` for official images."""
    suffix: str
    """Tag and digest as written, with their `:` and `@`; may be empty."""
    written_repository: str
    """Host and path as written."""

    @property
    def repository(self) -> str:
        return f"{self.host}/{self.path}"

    @property
    def tag(self) -> str:
        return self.suffix.partition("@")[0].removeprefix(":")

    @property
    def official(self) -> str:
        """`nginx` for `docker.io/library/nginx`; empty for all that is not in the official library."""
        prefix = "docker.io/library/"
        return self.repository.removeprefix(prefix) if self.repository.startswith(prefix) else ""


def parse(image: str) -> ImageName:
    """Total: what is no image reference still gets parts, so that it can be compared."""
    name, at, digest = image.partition("@")
    head, colon, tail = name.rpartition(":")
    repository, tag = (head, tail) if colon and "/" not in tail else (name, "")
    first, slash, rest = repository.partition("/")
    hosted = bool(slash) and ("." in first or ":" in first or first == "localhost")
    host, path = (first, rest) if hosted else ("docker.io", repository)
    host = "docker.io" if host in _DOCKER_HOSTS else host
    if host == "docker.io" and "/" not in path:
        path = f"library/{path}"
    suffix = (f":{tag}" if tag else "") + (f"@{digest}" if at else "")
    return ImageName(host=host, path=path, suffix=suffix, written_repository=repository)


def is_valid(image: str) -> bool:
    return _VALID.match(image) is not None


def same_image(left: str, right: str) -> bool:
    """True when both say the same: `nginx` and `docker.io/library/nginx:latest`."""
    a, b = parse(left), parse(right)
    return a.repository == b.repository and (a.suffix or ":latest") == (b.suffix or ":latest")


def tidied(image: str) -> str:
    """An invalid reference without what people paste by mistake: blanks, a scheme, capitals, a doubled colon."""
    name, at, digest = image.strip().strip("\"'").partition("@")
    name = name.removeprefix("https://").removeprefix("http://").removeprefix("docker://")
    name = re.sub(r"[:]{2,}", ":", name).strip("/").rstrip(":")
    parts = parse(name)
    return f"{parts.written_repository.lower()}{parts.suffix}{at}{digest}"


def near_repositories(written: str, known: Iterable[str]) -> tuple[str, ...]:
    """Of the known images, one per nearest repository that the written one may be a slip of; several = rivals."""
    mine = parse(written)
    found: dict[int, dict[str, str]] = {}
    for image in sorted(known):
        other = parse(image)
        distance = _distance(mine, other)
        if distance:
            found.setdefault(distance, {}).setdefault(other.repository, image)
    return tuple(found[min(found)].values()) if found else ()


def near_official(written: str) -> tuple[str, ...]:
    """Official names that a bare name may be a slip of; the nearest only."""
    name = parse(written).official
    if not name or name in OFFICIAL_NAMES:
        return ()
    distances = {official: is_typo_of(name, official) for official in OFFICIAL_NAMES}
    near = {official: distance for official, distance in distances.items() if distance}
    best = min(near.values(), default=0)
    return tuple(sorted(official for official, distance in near.items() if distance == best))


def with_repository(written: str, repository: str) -> str:
    """The written tag and digest on another repository."""
    return f"{repository}{parse(written).suffix}"


def _distance(mine: ImageName, other: ImageName) -> int:
    """Slips of the last component weigh alone; host and the rest of the path must then be the same, or slip alone."""
    if mine.repository == other.repository:
        return 0
    pairs = [(mine.host, other.host), *_zipped(mine.path, other.path)]
    if not pairs[1:]:
        return 0
    differing = [(a, b) for a, b in pairs if a != b]
    return is_typo_of(*differing[0]) if len(differing) == 1 else 0


def _zipped(left: str, right: str) -> list[tuple[str, str]]:
    a, b = left.split("/"), right.split("/")
    return list(zip(a, b, strict=True)) if len(a) == len(b) else []
