"""Finds the servers that cluster tests run, and builds them once from their published Go modules.

The control plane is one executable under five names (see ../controlplane/main.go); Alertmanager and amtool are
installed as they are. Results live outside the tree in `$XDG_CACHE_HOME/clopus/<name>-<hash of its sources>`, so a
change of a pin is a new directory and an old checkout keeps working. A build happens in a directory beside the
final one and is renamed when it is whole; an interrupted build leaves nothing that could be taken for a result.

Standard library only: it also runs before there is a virtual environment (`python3 binaries.py --help`).
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "controlplane"
CONTROL_PLANE_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
ALERTMANAGER_VERSION = "v0.31.1"  # later releases lack their web assets in the module and do not install
ALERTMANAGER_PROGRAMS = ("alertmanager", "amtool")
PARALLEL_JOBS = 2  # compiling the control plane takes more than 1 GB per job


class Missing(Exception):
    """The programs are not here and were not, or could not be, built. The message says what would help."""


def control_plane(*, build: bool) -> Path:
    """The directory that holds the five programs: `KUBEBUILDER_ASSETS`, else the cache, else a build.

    Raises:
        Missing: nothing found and `build` is false, Go is absent, or the build failed.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        return _complete(Path(assets), CONTROL_PLANE_PROGRAMS, "KUBEBUILDER_ASSETS")
    sources = [SOURCES / name for name in ("go.mod", "go.sum", "main.go")]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    return _cached(f"controlplane-{digest}", CONTROL_PLANE_PROGRAMS, _build_control_plane if build else None)


def alertmanager(*, build: bool) -> Path:
    """The directory that holds the newest supported `alertmanager` and `amtool`: `ALERTMANAGER_ASSETS`, cache, build.

    Raises:
        Missing: as for `control_plane`.
    """
    assets = os.environ.get("ALERTMANAGER_ASSETS")
    if assets:
        return _complete(Path(assets), ALERTMANAGER_PROGRAMS, "ALERTMANAGER_ASSETS")
    name = f"alertmanager-{ALERTMANAGER_VERSION}"
    return _cached(name, ALERTMANAGER_PROGRAMS, _install_alertmanager if build else None)


def debian_alertmanager() -> Path:
    """The directory of the distribution's `alertmanager`, the oldest supported release, and of its amtool.

    Raises:
        Missing: the package is not installed.
    """
    found = shutil.which("prometheus-alertmanager")
    if found is None:
        raise Missing("prometheus-alertmanager is not installed (Debian: apt-get install prometheus-alertmanager)")
    return Path(found)


def _complete(directory: Path, programs: tuple[str, ...], origin: str) -> Path:
    absent = [name for name in programs if not os.access(directory / name, os.X_OK)]
    if absent:
        raise Missing(f"{origin} is {directory}, which has no {', '.join(absent)}")
    return directory


def _cached(name: str, programs: tuple[str, ...], build: Callable[[Path], None] | None) -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clopus"
    final = root / name
    if final.is_dir():
        return _complete(final, programs, "the cache")
    if build is None:
        raise Missing(f"{name} has not been built (it would be in {final})")
    if shutil.which("go") is None:
        raise Missing(f"{name} has not been built and there is no Go to build it with")
    root.mkdir(parents=True, exist_ok=True)
    with _only_one(root / f"{name}.lock"):
        if not final.is_dir():  # another process may have finished it while this one waited
            _build_aside(final, build)
    return _complete(final, programs, "the cache")


def _build_aside(final: Path, build: Callable[[Path], None]) -> None:
    for leftover in final.parent.glob(f"{final.name}.*"):
        if leftover.is_dir():  # of a build that was killed: we hold the lock, so nobody is at work in it
            shutil.rmtree(leftover)
    aside = Path(tempfile.mkdtemp(prefix=f"{final.name}.", dir=final.parent))
    try:
        build(aside)
        aside.chmod(0o755)
        aside.rename(final)
    except subprocess.CalledProcessError as exc:
        raise Missing(f"building {final.name} failed: {exc}") from exc
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_control_plane(directory: Path) -> None:
    _say("Building the control plane from its Go modules; this happens once and takes about 8 minutes.")
    stamps = " ".join(f"-X {variable}={value}" for variable, value in _version_stamps())
    command = ["go", "build", "-trimpath", "-buildvcs=false", "-p", str(PARALLEL_JOBS)]
    command += ["-ldflags", f"-s -w {stamps}", "-o", str(directory / "controlplane"), "."]
    _run(command, cwd=SOURCES)
    for program in CONTROL_PLANE_PROGRAMS:
        (directory / program).symlink_to("controlplane")


def _version_stamps() -> Iterator[tuple[str, str]]:
    # Unstamped servers report a version that no client can parse.
    pin = re.search(r"^\s*k8s\.io/kubernetes (v(\d+)\.(\d+)\S*)$", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    if pin is None:
        raise Missing(f"{SOURCES / 'go.mod'} pins no k8s.io/kubernetes")
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        yield f"{package}.gitVersion", pin[1]
        yield f"{package}.gitMajor", pin[2]
        yield f"{package}.gitMinor", pin[3]


def _install_alertmanager(directory: Path) -> None:
    _say(f"Installing Alertmanager {ALERTMANAGER_VERSION} from its Go module; this happens once, in about a minute.")
    module = "github.com/prometheus/alertmanager"
    packages = [f"{module}/cmd/{name}@{ALERTMANAGER_VERSION}" for name in ALERTMANAGER_PROGRAMS]
    ldflags = f"-s -w -X github.com/prometheus/common/version.Version={ALERTMANAGER_VERSION.removeprefix('v')}"
    command = ["go", "install", "-trimpath", "-p", str(PARALLEL_JOBS), "-ldflags", ldflags, *packages]
    _run(command, cwd=directory, GOBIN=str(directory))


def _run(command: list[str], *, cwd: Path, **environment: str) -> None:
    subprocess.run(
        command, cwd=cwd, env={**os.environ, "CGO_ENABLED": "0", **environment}, stdout=sys.stderr, check=True
    )


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")


def main() -> int:
    """Prints the directory of the named programs, after building them where that is needed and allowed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("programs", choices=("control-plane", "alertmanager"))
    parser.add_argument("--cached", action="store_true", help="do not build; fail when there is no earlier build")
    arguments = parser.parse_args()
    find = control_plane if arguments.programs == "control-plane" else alertmanager
    try:
        directory = find(build=not arguments.cached)
    except Missing as exc:
        _say(str(exc))
        return 1
    sys.stdout.write(f"{directory}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
