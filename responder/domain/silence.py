"""Silences: mutes with an author and an end. Which incidents a silence covers is decided by the rules' matchers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from responder.domain.rule import Matcher


@dataclass(frozen=True, kw_only=True)
class Silence:
    """Covers the incidents of one key, or those whose labels pass every matcher."""

    id: str
    incident_key: str = ""
    """Key of the incidents covered; empty where `matchers` decide."""
    matchers: tuple[Matcher, ...] = ()
    author: str
    comment: str = ""
    created_at: datetime
    expires_at: datetime
