"""The hash of what is decided about an object."""

from __future__ import annotations

from typing import Any

import pytest

from responder.domain.manifest import base_hash


def deployment(replicas: int, image: str = "web:1", **metadata: Any) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "web", "image": image}]}}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "resourceVersion": "1", **metadata},
        "spec": {"replicas": replicas, "template": template},
        "status": {"replicas": replicas},
    }


@pytest.mark.inv(24)
@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(deployment(5), True, id="replicas of an autoscaler"),
        pytest.param(deployment(2, resourceVersion="2", generation=4), True, id="version"),
        pytest.param(deployment(2, annotations={"clopus.dev/execution": "exe-1"}), True, id="our mark"),
        pytest.param(deployment(2, image="web:2"), False, id="image"),
        pytest.param(deployment(2, labels={"team": "x"}), False, id="label"),
    ],
)
def test_the_hash_moves_when_somebody_decides_and_not_when_a_controller_works(
    other: dict[str, Any], same: bool
) -> None:
    assert (base_hash(deployment(2)) == base_hash(other)) is same


def test_replicas_count_where_no_pods_are_made_from_a_template() -> None:
    scale = {"kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 2}}
    assert base_hash(scale) != base_hash({**scale, "spec": {"replicas": 3}})
