"""What the operator types after `/`, as a question to the API. Pure.

`ns:shop state:await rule:images checkout` asks for incidents of namespace shop that wait for approval, that rule images
decided, and whose id, key, summary or labels contain `checkout`. A state may be begun only, and given more than once.
"""

from __future__ import annotations

from dataclasses import dataclass

from responder.domain.incident import State

_NO_FAULT = frozenset({State.RESOLVED, State.SUPPRESSED})

_STATES_SHOWN = ", ".join(State)


@dataclass(frozen=True, kw_only=True)
class Filter:
    text: str = ""
    namespace: str = ""
    rule: str = ""
    states: tuple[State, ...] = ()
    """Empty: every state."""

    @property
    def query(self) -> dict[str, str]:
        """Parameters of `GET /api/v1/incidents`."""
        asked = {"q": self.text, "namespace": self.namespace, "rule": self.rule, "state": ",".join(self.states)}
        return {name: value for name, value in asked.items() if value}


def parse(typed: str, *, faults_only: bool = False) -> Filter:
    """Raises ValueError, with a sentence for the operator."""
    words: list[str] = []
    named: dict[str, str] = {}
    states: list[State] = []
    for word in typed.split():
        name, colon, value = word.partition(":")
        match (name, colon, value):
            case ("ns" | "rule", ":", ""):
                continue
            case ("ns" | "rule", ":", _):
                named[name] = value
            case ("state", ":", _):
                states += _states(value)
            case _:
                words.append(word)
    if faults_only:
        wanted = states or list(State)
        states = [state for state in wanted if state not in _NO_FAULT]
        if not states:
            raise ValueError("faults only is on, and the states asked for are none: press f")
    return Filter(
        text=" ".join(words),
        namespace=named.get("ns", ""),
        rule=named.get("rule", ""),
        states=tuple(dict.fromkeys(states)),
    )


def _states(begun: str) -> list[State]:
    found = [state for state in State if state.startswith(begun.lower())]
    if not found:
        raise ValueError(f"no state begins with {begun!r}; there are {_STATES_SHOWN}")
    return found if begun else []
