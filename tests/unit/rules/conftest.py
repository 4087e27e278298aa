"""Rule files of a test's own."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from responder.domain.errors import ConfigError, ConfigErrors
from responder.domain.rule import RuleSet
from responder.rules.loader import load


@pytest.fixture
def rules_of(tmp_path: Path) -> Callable[..., RuleSet]:
    """Write the text (dedented) as one rule file and load it."""

    def load_text(text: str | bytes) -> RuleSet:
        file = tmp_path / "rules.yaml"
        file.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return load([file])

    return load_text


@pytest.fixture
def errors_of(rules_of: Callable[..., RuleSet]) -> Callable[..., tuple[ConfigError, ...]]:
    """The errors that loading the text raises."""

    def load_bad(text: str | bytes) -> tuple[ConfigError, ...]:
        with pytest.raises(ConfigErrors) as caught:
            rules_of(text)
        return caught.value.errors

    return load_bad
