"""The way of an incident: alerts folded in, a decision, a change, its verification, its undoing. In that order."""

from responder.pipeline.context import Brakes, Context, Options
from responder.pipeline.pipeline import Pipeline

__all__ = ["Brakes", "Context", "Options", "Pipeline"]
