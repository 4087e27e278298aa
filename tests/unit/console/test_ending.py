"""A process that is told to end ends, whether its loop still turns or not."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, queue, sys
from console.shell.ending import end_when_told

async def main():
    left = asyncio.Event()
    end_when_told(left.set, lambda: print("cleaned up", flush=True), grace=0.3)
    print("ready", flush=True)
    {wait}
    print("left", flush=True)

asyncio.run(main())
"""


def run(wait: str, number: signal.Signals) -> tuple[int, str]:
    program = [sys.executable, "-c", PROGRAM.format(wait=wait)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        told, _ = process.communicate(timeout=30)
        return process.returncode, told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_loop_that_turns_is_left(number: signal.Signals) -> None:
    assert run("await left.wait()", number) == (0, "left\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_loop_that_waits_for_ever_is_ended_after_what_is_to_be_cleaned_up(number: signal.Signals) -> None:
    assert run("queue.Queue().get()", number) == (128 + number, "cleaned up\n")
