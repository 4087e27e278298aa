"""The console starts within a blink because of what it does not import, and says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORBIDDEN = ("aiohttp", "duckdb", "kubernetes_asyncio", "anthropic", "pydantic", "structlog", "prometheus_client")


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("module", ["console.app", "responder.cli.console"])
def test_nothing_of_the_server_is_imported(module):
    done = run(f"import sys, responder.cli, {module}; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & set(FORBIDDEN)
    own = {name for name in done.stdout.split() if name.startswith("responder.")}
    assert all(name.startswith(("responder.cli", "responder.domain", "responder.wire")) for name in own), own


def test_screens_are_imported_when_somebody_goes_there():
    done = run("import sys, console.app; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    loaded = {name for name in done.stdout.split() if name.startswith("console.screens.")}
    assert loaded == {"console.screens.polled"}
    assert "console.shell.keymap" not in done.stdout.split()


def test_without_the_extra_one_line_names_it():
    done = run("import sys; sys.modules['textual'] = None; sys.argv = ['clopus', 'console']; "
               "from responder.cli import main; main()")  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["clopus: the console needs the extra `console`: pip install 'clopus[console]'"]
