"""Tokens and money in words, the same on every screen."""

from __future__ import annotations

from responder.domain.investigation import Usage


def told_usage(usage: Usage) -> str:
    """`41,230 tokens in (82% from cache), 2,104 out`."""
    everything = usage.all_input_tokens
    cached = f" ({usage.cache_read_tokens / everything:.0%} from cache)" if everything else ""
    return f"{everything:,} tokens in{cached}, {usage.output_tokens:,} out"


def told_cost(usd: float) -> str:
    """To a hundredth of a cent: single turns cost no more."""
    return f"{usd:.4f} USD"
