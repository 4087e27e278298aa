"""When the API server's own certificate ends: read from one TLS handshake, without a request."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

from responder.domain.errors import ClusterUnavailable

HANDSHAKE_SECONDS = 10.0


async def certificate_ends(url: str, ca_file: str | None) -> datetime | None:
    """None where the server speaks plain HTTP.

    Raises:
        ClusterUnavailable: no connection, a certificate that does not check out, or no authorities to check it with.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    try:
        context = ssl.create_default_context(cafile=ca_file)
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context)
    except (OSError, TimeoutError) as exc:
        raise ClusterUnavailable(f"certificate of {parts.hostname}: {type(exc).__name__}: {exc}") from exc
    try:
        shown = writer.get_extra_info("peercert") or {}
    finally:
        writer.transport.abort()
    ends = shown.get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if ends else None
