"""`clopus investigate --replay`: one analyzer over what is on record of an incident, beside what is on record.

The recording comes from a responder or from a file, the analyzer from the settings. There is no cluster in it, and its
store is in memory and holds what the run spends: nothing of it reaches the record.
"""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from console.remote.client import Client, path_of
from responder import wire
from responder.cli.options import print_json
from responder.domain import ids
from responder.domain.errors import ConfigError
from responder.domain.investigation import HEURISTIC, Investigation
from responder.domain.views import Recording

if TYPE_CHECKING:  # the command line must not pay for them where nothing is replayed
    from responder.analyzer.protocol import Assignment
    from responder.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_ANALYZERS = (HEURISTIC, "claude", "openai_compatible")
_MAX_FILE_BYTES = 256 * 1024 * 1024
_LEAST_WIDTH, _MOST_WIDTH, _WIDTH = 60, 400, 120


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to replay, and how."""

    analyzer: str | None
    model: str | None
    prompt: Path | None
    config: Path | None
    record: Path | None
    save: Path | None
    max_usd: float | None
    seconds: float


def replay_options(command: F) -> F:
    """Adds `--replay` and what belongs to it; the command gets `wanted`, None where nothing is to be replayed."""
    path = click.Path(path_type=Path, dir_okay=False)
    options = (
        click.option("--replay", is_flag=True, help="Work on what is on record instead; nothing is changed anywhere."),
        click.option("--analyzer", type=click.Choice(_ANALYZERS), help="Who works on it."),
        click.option("--model", help="Model id, in place of the one in the settings."),
        click.option("--prompt", type=path, help="File added to the system prompt, as analysis.system_prompt_file."),
        click.option(
            "--config", type=path, envvar="CLOPUS_CONFIG", help="Settings file: backend, key, prices, limits."
        ),
        click.option("--record", type=path, help="Read the recording from this file instead of from the responder."),
        click.option("--save", type=path, help="Write the recording to this file."),
        click.option(
            "--max-usd", type=click.FloatRange(min=0), help="Spend at most so much, if the settings allow it."
        ),
        click.option(
            "--seconds",
            type=click.FloatRange(min=1, max=3600),
            default=300.0,
            show_default=True,
            help="End the run after so long.",
        ),
    )

    @functools.wraps(command)
    def wrapped(replay: bool, **kwargs: Any) -> Any:
        own = {item.name: kwargs.pop(item.name) for item in fields(Wanted)}
        if not replay:
            _refuse_without_replay(own)
        return command(wanted=_checked(Wanted(**own)) if replay else None, **kwargs)

    decorated: Callable[..., Any] = wrapped
    for option in reversed(options):
        decorated = option(decorated)
    return cast("F", decorated)


def _refuse_without_replay(own: dict[str, Any]) -> None:
    context = click.get_current_context()
    said = [name for name in own if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if said:
        raise click.UsageError(f"--{said[0].replace('_', '-')} belongs to --replay")


def _checked(wanted: Wanted) -> Wanted:
    if wanted.analyzer is None and wanted.save is None:
        raise click.UsageError(f"--replay needs --analyzer ({', '.join(_ANALYZERS)}), or --save alone")
    if wanted.analyzer == HEURISTIC:
        for name in ("model", "prompt", "max_usd"):
            if getattr(wanted, name) is not None:
                raise click.UsageError(f"--{name.replace('_', '-')} is for models: the detectors take none")
    return wanted


def replay(client: Client, incident_id: str, wanted: Wanted, output: str) -> None:
    """Print the comparison. Exits 1 where the analyzer gave no answer."""
    settings = _settings(wanted)
    recording = _recording(client, incident_id, wanted.record)
    if wanted.save is not None:
        _save(recording, wanted.save)
    if wanted.analyzer is None:
        click.echo(f"saved; replay it: clopus investigate {incident_id} --replay --record {wanted.save} --analyzer ...")
        return
    _replay(recording, settings, wanted, output)


def _replay(recording: Recording, settings: Settings | None, wanted: Wanted, output: str) -> None:
    from responder.reporter.comparison import compare, render_comparison
    from responder.telemetry import configure_logging

    configure_logging(level="critical", as_json=False)
    run, missing, problem = asyncio.run(_run(recording, settings, wanted))
    comparison = compare(recording, run, missing=missing, problem=problem)
    print_json(comparison) if output == "json" else click.echo(render_comparison(comparison, width=_columns()))
    if problem:
        click.echo(f"clopus: no answer: {problem}", err=True)
        sys.exit(1)


async def _run(
    recording: Recording, settings: Settings | None, wanted: Wanted
) -> tuple[Investigation, tuple[str, ...], str]:
    """The run, the looks that the record holds no answer to, and why there is no answer."""
    from responder.analyzer.heuristics import HeuristicAnalyzer
    from responder.analyzer.replay import assignment_of, replayed

    name = wanted.analyzer or HEURISTIC
    assignment = assignment_of(recording, id=_mint("inv"), analyzer=name, seconds=wanted.seconds)
    if settings is None:
        run, problem = await replayed(HeuristicAnalyzer(now=_now), assignment, now=_now)
        return run, (), problem
    return await _ask_model(recording, settings, name, assignment)


async def _ask_model(
    recording: Recording, settings: Settings, name: str, assignment: Assignment
) -> tuple[Investigation, tuple[str, ...], str]:
    from responder.analyzer.llm.run import Clock
    from responder.analyzer.llm.wallet import Wallet, caps_of
    from responder.analyzer.replay import RecordedTools, replayed
    from responder.analyzers import open_model
    from responder.store.store import Store

    tools = RecordedTools(recording, assignment)
    store = await asyncio.to_thread(Store.open, ":memory:")
    try:
        wallet = Wallet(store, caps_of(settings.analysis), now=_now, mint=_mint)
        model = await open_model(settings, name, tools=lambda _: tools, wallet=wallet, clock=Clock(now=_now))
        try:
            run, problem = await replayed(model.analyzer, assignment, now=_now)
        finally:
            await model.backend.close()
    finally:
        await asyncio.to_thread(store.close)
    return replace(run, model=run.model or model.backend.model), tuple(tools.missing), problem


def _settings(wanted: Wanted) -> Settings | None:
    """None for the detectors, which need none. Raises ConfigError."""
    if wanted.analyzer in (None, HEURISTIC):
        return None
    from responder.analyzers import configured
    from responder.settings import load_settings

    settings = load_settings(wanted.config, os.environ)
    analysis = settings.analysis
    if wanted.prompt is not None:
        analysis = analysis.model_copy(update={"system_prompt_file": wanted.prompt})
    if wanted.max_usd is not None:
        analysis = analysis.model_copy(update={"max_usd": min(analysis.max_usd, wanted.max_usd)})
    settings = settings.model_copy(update={"analysis": analysis})
    if wanted.model is not None:
        backend = getattr(settings, wanted.analyzer).model_copy(update={"model": wanted.model})
        settings = settings.model_copy(update={wanted.analyzer: backend})
    if wanted.analyzer not in configured(settings):
        problem = "no model is named: give --model, or set it in the file that --config names"
        raise ConfigError(path=wanted.config or "settings", key=f"{wanted.analyzer}.model", problem=problem)
    return settings


def _recording(client: Client, incident_id: str, file: Path | None) -> Recording:
    if file is None:
        return client.get(Recording, path_of("incidents", incident_id, "recording"))
    try:
        with file.open("rb") as stream:
            body = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise ConfigError(path=file, problem=f"cannot be read: {exc.strerror}") from exc
    if len(body) > _MAX_FILE_BYTES:
        raise ConfigError(path=file, problem=f"larger than {_MAX_FILE_BYTES} bytes: --save never wrote it")
    try:
        recording: Recording = wire.loads(Recording, body)
    except ValueError as exc:
        raise ConfigError(path=file, problem=f"is no recording as --save writes it: {str(exc)[:300]}") from exc
    if recording.incident.id != incident_id:
        raise ConfigError(path=file, problem=f"is of {recording.incident.id}, not of {incident_id}")
    return recording


def _save(recording: Recording, file: Path) -> None:
    """Readable by its owner alone: what is redacted still tells much of a cluster."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(wire.dumps(recording))
    except OSError as exc:
        raise ConfigError(path=file, problem=f"cannot be written: {exc.strerror}") from exc


def _columns() -> int:
    """More than other screens take: runs stand side by side where there is room."""
    return min(max(shutil.get_terminal_size((_WIDTH, 40)).columns, _LEAST_WIDTH), _MOST_WIDTH)


def _now() -> datetime:
    return datetime.now(UTC)


def _mint(prefix: str) -> str:
    return ids.mint(prefix, _now())
