"""A cluster to measure on, as a process of its own: the embedded one, or a real control plane on loopback.

    python -m benchmarks.clusters sandbox
    python -m benchmarks.clusters control-plane      # its programs are where KUBEBUILDER_ASSETS says

Prints `Access` as JSON. In either the simulated kubelet of the sandbox plays the nodes.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.processes import child, ready, wait_for_parent
from responder.sandbox import Sandbox
from responder.sandbox.kubelet import Kubelet
from responder.telemetry import configure_logging

SPEED = 20.0
"""How much faster than a real kubelet the simulated one backs off."""


@dataclass(frozen=True, kw_only=True)
class Access:
    url: str
    token: str
    ca_file: str = ""


@contextmanager
def cluster(kind: str) -> Iterator[Access]:
    """A cluster until the end of the block."""
    with child("benchmarks.clusters", kind) as process:
        yield Access(**json.loads(process.said))


async def _sandbox() -> None:
    async with Sandbox(speed=SPEED) as sandbox:
        ready(json.dumps(asdict(Access(url=sandbox.url, token=sandbox.token))))
        await asyncio.to_thread(wait_for_parent)


def _control_plane() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "cluster"))
    from rig.controlplane import ControlPlane

    with ControlPlane(Path(os.environ["KUBEBUILDER_ASSETS"])) as running:
        access = Access(url=running.url, token=running.admin_token, ca_file=str(running.ca_file))
        asyncio.run(_one_node(access))


async def _one_node(access: Access) -> None:
    tls = ssl.create_default_context(cafile=access.ca_file)
    kubelet = Kubelet(api_url=access.url, token=access.token, node_name="node-1", ssl=tls, speed=SPEED)
    await kubelet.start()
    ready(json.dumps(asdict(access)))
    await asyncio.to_thread(wait_for_parent)
    await kubelet.stop()


def main() -> None:
    configure_logging(level="error")
    match sys.argv[1:]:
        case ["sandbox"]:
            asyncio.run(_sandbox())
        case ["control-plane"]:
            _control_plane()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
