"""Ways to run the steps of one program inside another: with its status kept, its output collected or moved."""

from __future__ import annotations

from collections.abc import Generator

from responder.sandbox.container import FOREVER, Line, Step, Steps, Stream, Wait


class Returning:
    """Iterates over steps and keeps what the generator returned."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.status = 0

    def __iter__(self) -> Generator[Step, None, None]:
        self.status = yield from self._steps


def collect(steps: Steps) -> Generator[Step, None, tuple[int, str]]:
    """Runs steps and keeps their standard output; an endless writer's output is shown once it only waits."""
    lines: list[str] = []
    for step in (source := Returning(steps)):
        if isinstance(step, Line) and step.stream is Stream.OUT:
            lines.append(step.text)
            continue
        if isinstance(step, Wait) and step.seconds == FOREVER:
            yield from (Line(text=text) for text in lines)
            lines = []
        yield step
    return source.status, "".join(line + "\n" for line in lines)


def moved(steps: Steps, stream: Stream, other: Stream) -> Steps:
    for step in (source := Returning(steps)):
        moves = isinstance(step, Line) and step.stream is stream
        yield Line(text=step.text, stream=other) if isinstance(step, Line) and moves else step
    return source.status


def nothing() -> Steps:
    yield from ()
    return 0
