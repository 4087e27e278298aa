"""What the settings name outside the process: the API server, Prometheus, and who may call.

Each is made from the settings alone, and raises ConfigError where these do not suffice. What is done with them is left
to the composition root.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from responder.api.auth import Credentials, Role, TokenFile
from responder.cluster.client import Client, Limits
from responder.datasource.prometheus import Prometheus
from responder.domain.errors import ConfigError
from responder.settings import Settings


async def api_server(settings: Settings) -> Client:
    """Direct address first, then a kubeconfig, then the pod's own service account."""
    wanted = settings.cluster
    limits = Limits(request=wanted.request_timeout_seconds)
    if wanted.api_url:
        await asyncio.to_thread(_check_readable, wanted.token_file, "cluster.token_file")
        return Client.from_token(
            url=wanted.api_url, token_file=wanted.token_file, ca_file=wanted.ca_file, limits=limits
        )
    if wanted.kubeconfig is not None or wanted.context:
        return await Client.from_kubeconfig(wanted.kubeconfig, context=wanted.context or None, limits=limits)
    return Client.in_cluster(limits=limits)


def _check_readable(token_file: Path | None, key: str) -> None:
    if token_file is None:
        return
    try:
        token_file.read_bytes()
    except OSError as exc:
        problem = f"{token_file} cannot be read: {exc.strerror}"
        raise ConfigError(path="settings", key=key, problem=problem) from exc


def prometheus(settings: Settings) -> Prometheus | None:
    if settings.prometheus.url:
        _check_readable(settings.prometheus.token_file, "prometheus.token_file")
        return Prometheus(settings.prometheus.url, token_file=settings.prometheus.token_file)
    if "volume_nearly_full" in settings.watch.checks:
        raise ConfigError(
            path="settings", key="watch.checks", problem="volume_nearly_full asks Prometheus; set prometheus.url"
        )
    return None


def credentials(settings: Settings) -> Credentials:
    auth = settings.auth
    wanted = (
        (auth.webhook_token_file, Role.WEBHOOK),
        (auth.webhook_basic_file, Role.WEBHOOK),
        (auth.viewer_tokens_file, Role.VIEWER),
        (auth.operator_tokens_file, Role.OPERATOR),
    )
    files = [TokenFile(path=path, role=role) for path, role in wanted if path is not None]
    if not files:
        raise ConfigError(
            path="settings",
            key="auth",
            problem="no credential is set, so nobody could call; set auth.webhook_token_file and "
            "auth.operator_tokens_file (lines `name:token`)",
        )
    return Credentials(files)


def service_names(settings: Settings) -> frozenset[str]:
    """The names under which operators may call, beside loopback and addresses: the Service's, and those configured."""
    namespace = settings.cluster.own_namespace or "clopus"
    service = {"clopus", *(f"clopus.{namespace}{rest}" for rest in ("", ".svc", ".svc.cluster.local"))}
    return frozenset(service | set(settings.server.allowed_hosts))
