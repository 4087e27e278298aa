"""The analyzers that the settings set up: the detectors always, a language model where one is named.

Raises ConfigError where the settings do not suffice, before anything is asked. Who is asked when is `analyzer.chain`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from responder.analyzer.heuristics import HeuristicAnalyzer
from responder.analyzer.llm import prompt
from responder.analyzer.llm.breaker import Breaker, BreakerState
from responder.analyzer.llm.budget import Prices
from responder.analyzer.llm.claude import ClaudeBackend
from responder.analyzer.llm.keyfile import KeyFile
from responder.analyzer.llm.loop import ModelAnalyzer, limits_of
from responder.analyzer.llm.meter import Meter
from responder.analyzer.llm.openai_compatible import OpenAiCompatibleBackend
from responder.analyzer.llm.run import Clock
from responder.analyzer.llm.turn import Backend, Tools
from responder.analyzer.llm.wallet import Wallet, caps_of
from responder.analyzer.protocol import Analyzer, Assignment
from responder.analyzer.tools.look import ToolOptions
from responder.analyzer.tools.scope import Scope
from responder.analyzer.tools.toolbox import Toolbox
from responder.cluster.protocol import Cluster
from responder.datasource.protocol import Datasource
from responder.domain.errors import AnalyzerUnavailable, ConfigError
from responder.domain.investigation import HEURISTIC
from responder.settings import Settings
from responder.store.spending import Caps
from responder.store.store import Store
from responder.telemetry import Metrics

MODELS = ("claude", "openai_compatible")
"""Analyzers that ask a language model, as rules and settings name them."""

_MAX_PROMPT_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Analyzers:
    """By the name that rules use. `close` them."""

    by_name: dict[str, Analyzer]
    wallet: Wallet
    models: tuple[Model, ...] = ()

    async def close(self) -> None:
        for model in self.models:
            await model.backend.close()

    async def measure(self, metrics: Metrics, caps: Caps) -> None:
        """What the windows of the wallet hold now; nothing where there is no model. Raises StoreUnavailable."""
        if not self.models:
            return
        spent = await self.wallet.spent()
        for window, sum_usd, cap_usd in (("hour", spent.hour_usd, caps.hour_usd), ("day", spent.day_usd, caps.day_usd)):
            metrics.model_spent.labels(window=window).set(sum_usd)
            metrics.model_limit.labels(window=window).set(cap_usd)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What analyzers look at and write to."""

    cluster: Cluster
    datasource: Datasource | None
    store: Store


async def set_up(
    settings: Settings, sources: Sources, *, clock: Clock, mint: Callable[[str], str], metrics: Metrics
) -> Analyzers:
    """Every analyzer of the settings. SDKs are imported in a thread, which takes a second.

    Raises:
        ConfigError: a key that a backend needs is missing, or its SDK is not installed.
    """
    wallet = Wallet(sources.store, caps_of(settings.analysis), now=clock.now, mint=mint)
    found: dict[str, Analyzer] = {HEURISTIC: HeuristicAnalyzer(now=clock.now)}
    models = [
        await open_model(settings, name, tools=_toolboxes(sources, clock), wallet=wallet, clock=clock, metrics=metrics)
        for name in configured(settings)
    ]
    found.update({model.analyzer.name: model.analyzer for model in models})
    return Analyzers(by_name=found, wallet=wallet, models=tuple(models))


@dataclass(frozen=True, kw_only=True)
class Model:
    """An analyzer that asks a language model, and what it holds open."""

    analyzer: ModelAnalyzer
    backend: Backend
    breaker: Breaker


async def open_model(
    settings: Settings,
    name: str,
    *,
    tools: Callable[[Assignment], Tools],
    wallet: Wallet,
    clock: Clock,
    metrics: Metrics | None = None,
) -> Model:
    """`name` is one of MODELS, with a model in the settings. Close its backend.

    Raises:
        ConfigError: as `set_up`.
    """
    system, paid = await asyncio.to_thread(_system, settings), prices(settings, name)
    backend, breaker = await _backend(settings, name), Breaker()
    analyzer = ModelAnalyzer(
        backend=backend,
        tools=tools,
        limits=limits_of(settings.analysis, output_tokens=_output_tokens(settings, name)),
        prices=paid,
        wallet=wallet,
        breaker=breaker,
        system=system,
        clock=clock,
        meter=Meter(metrics, name) if metrics is not None else None,
    )
    if metrics is not None:
        breaker_open = metrics.model_breaker_open.labels(analyzer=name)
        breaker_open.set_function(lambda: breaker.state(clock.monotonic()) is not BreakerState.CLOSED)
    return Model(analyzer=analyzer, backend=backend, breaker=breaker)


def configured(settings: Settings) -> tuple[str, ...]:
    """Names of the language models that the settings name a model for."""
    return tuple(name for name in MODELS if _model(settings, name))


async def _backend(settings: Settings, name: str) -> Backend:
    try:
        if name == "claude":
            return await ClaudeBackend.open(settings.claude)
        own = settings.openai_compatible
        if not own.base_url:
            raise ConfigError(path="settings", key="openai_compatible.base_url", problem="has to be set")
        keys = KeyFile(own.api_key_file) if own.api_key_file else None
        return await OpenAiCompatibleBackend.open(model=own.model, base_url=own.base_url, keys=keys)
    except AnalyzerUnavailable as exc:
        raise ConfigError(path="settings", key=name, problem=str(exc)) from exc


def prices(settings: Settings, name: str) -> Prices:
    """Raises ConfigError where a price has to be said: what nobody knows the price of is not free."""
    if name == "claude":
        claude = settings.claude
        return Prices(
            input=claude.usd_per_million_input,
            cache_read=claude.usd_per_million_cache_read,
            cache_write=claude.usd_per_million_cache_write,
            output=claude.usd_per_million_output,
        )
    own = settings.openai_compatible
    read = _said(own.usd_per_million_input, "usd_per_million_input")
    return Prices(
        input=read,
        cache_read=read if own.usd_per_million_cache_read is None else own.usd_per_million_cache_read,
        cache_write=read,
        output=_said(own.usd_per_million_output, "usd_per_million_output"),
    )


def _toolboxes(sources: Sources, clock: Clock) -> Callable[[Assignment], Tools]:
    """What a model may look with, made anew for each run and bound to its incident."""

    def tools(assignment: Assignment) -> Tools:
        return Toolbox(
            cluster=sources.cluster,
            datasource=sources.datasource,
            store=sources.store,
            scope=Scope.of(assignment),
            secrets=assignment.secrets,
            options=ToolOptions(),
            now=clock.now,
        )

    return tools


def _said(price: float | None, key: str) -> float:
    if price is None:
        problem = "say what a million tokens cost in US dollars; 0 for a model of your own"
        raise ConfigError(path="settings", key=f"openai_compatible.{key}", problem=problem)
    return price


def _model(settings: Settings, name: str) -> str:
    return settings.claude.model if name == "claude" else settings.openai_compatible.model


def _output_tokens(settings: Settings, name: str) -> int:
    return settings.claude.max_output_tokens if name == "claude" else settings.openai_compatible.max_output_tokens


def _system(settings: Settings) -> str:
    """The system prompt, with what is special about this cluster after it."""
    path = settings.analysis.system_prompt_file
    if path is None:
        return prompt.SYSTEM
    try:
        added = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(path=path, key="analysis.system_prompt_file", problem=f"cannot be read: {exc}") from exc
    if len(added.encode()) > _MAX_PROMPT_BYTES:
        raise ConfigError(path=path, problem=f"larger than {_MAX_PROMPT_BYTES} bytes: every request would carry it")
    return f"{prompt.SYSTEM}\n\n# This cluster\n{added.strip()}\n"
