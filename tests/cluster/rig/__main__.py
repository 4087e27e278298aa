"""Starts a control plane by hand and holds it until it is interrupted: `PYTHONPATH=tests/cluster python -m rig`."""

from __future__ import annotations

import contextlib
import json
import signal
import sys

from . import binaries
from .controlplane import ControlPlane


def main() -> int:
    try:
        assets = binaries.control_plane(build=True)
    except binaries.Missing as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt), ControlPlane(assets) as cluster:
        facts = {
            "url": cluster.url,
            "token": cluster.admin_token,
            "ca_file": str(cluster.ca_file),
            "kubeconfig": str(cluster.kubeconfig),
            "audit_log": str(cluster.audit_file),
            "kubectl": str(assets / "kubectl"),
        }
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
