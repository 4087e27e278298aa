"""Where one can go: the names, their short forms, and the screens behind them.

A screen is imported when somebody goes there first, so that the console starts within a blink however many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.screens.polled import PolledScreen


@dataclass(frozen=True, kw_only=True)
class Place:
    """A screen that one reaches by name from anywhere."""

    name: str
    """What is typed after `:`, and the first breadcrumb."""
    short: tuple[str, ...]
    summary: str
    """For help and the command palette."""
    screen: str
    """`module:Class`; the class takes no arguments."""

    def open(self) -> PolledScreen[None]:
        module, _, name = self.screen.partition(":")
        screen: PolledScreen[None] = getattr(import_module(module), name)()
        return screen


PLACES = (
    Place(
        name="incidents",
        short=("inc", "i"),
        summary="what happened, filtered and sorted",
        screen="console.screens.incidents:IncidentsScreen",
    ),
    Place(
        name="approvals",
        short=("plans", "ap"),
        summary="plans that wait for a person, riskiest and oldest first",
        screen="console.screens.approvals:ApprovalsScreen",
    ),
    Place(
        name="executions",
        short=("exec", "undo"),
        summary="what was written lately, and how to take it back",
        screen="console.screens.executions:ExecutionsScreen",
    ),
    Place(
        name="rules",
        short=("ru",),
        summary="rules in force, their hits and record; explain an alert",
        screen="console.screens.rules:RulesScreen",
    ),
    Place(
        name="audit",
        short=("log",),
        summary="every decision, and whether the chain is whole",
        screen="console.screens.audit:AuditScreen",
    ),
    Place(
        name="analytics",
        short=("stats", "an"),
        summary="time to resolution, approvals, success, cost, storms",
        screen="console.screens.analytics:AnalyticsScreen",
    ),
    Place(
        name="sql",
        short=("query",),
        summary="a SELECT on a copy of the record",
        screen="console.screens.sql:SqlScreen",
    ),
    Place(
        name="health",
        short=("status", "he"),
        summary="queues, breakers, budgets, backends, watches, leader",
        screen="console.screens.health:HealthScreen",
    ),
    Place(
        name="mode",
        short=("brakes",),
        summary="ceilings and the kill switch",
        screen="console.screens.mode:ModeScreen",
    ),
)


def place_named(word: str) -> Place | None:
    """By its name or a short form."""
    return next((place for place in PLACES if word == place.name or word in place.short), None)
