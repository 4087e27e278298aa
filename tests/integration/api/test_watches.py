"""GET /api/v1/watches over a real socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from responder.domain.views import WatchPage, WatchView

PAGE = WatchPage(
    enabled=True,
    watches=(
        WatchView(kind="Pod", namespace="shop", state="live", objects=3, relists=1, last_event_seconds=2.5),
        WatchView(kind="Node", namespace="", state="forbidden", problem="nodes is forbidden"),
    ),
)


async def test_the_watches_are_shown_with_their_state(serve: Callable[..., Any]) -> None:
    api = await serve(watches=lambda: PAGE)
    answer = await api("GET", "/api/v1/watches", by="vera")
    assert answer.status == 200
    assert answer.json == {
        "enabled": True,
        "watches": [
            {
                "kind": "Pod",
                "namespace": "shop",
                "state": "live",
                "optional": False,
                "problem": "",
                "objects": 3,
                "relists": 1,
                "last_event_seconds": 2.5,
            },
            {
                "kind": "Node",
                "namespace": "",
                "state": "forbidden",
                "optional": False,
                "problem": "nodes is forbidden",
                "objects": 0,
                "relists": 0,
                "last_event_seconds": None,
            },
        ],
    }


async def test_that_nothing_is_watched_is_said(serve: Callable[..., Any]) -> None:
    api = await serve(watches=lambda: WatchPage(enabled=False))
    answer = await api("GET", "/api/v1/watches")
    assert answer.json == {"enabled": False, "watches": []}


@pytest.mark.parametrize(("by", "status"), [("", 401), ("alertmanager", 403), ("vera", 200), ("olga", 200)])
async def test_who_may_look_may_see_the_watches(serve: Callable[..., Any], by: str, status: int) -> None:
    api = await serve(watches=lambda: PAGE)
    assert (await api("GET", "/api/v1/watches", by=by)).status == status
