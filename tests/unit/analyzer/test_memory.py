"""Out of memory: the next limit, and where the steps end."""

from __future__ import annotations

import pytest

from responder.analyzer.heuristics.memory import bytes_of, quantity_of
from responder.domain.investigation import Conclusion


def oom(build, limit, *, before=None, **fields):
    status = build.crashing(ended=build.ended(137, "OOMKilled"))
    earlier = build.container(memory_limit=before) if before else None
    return build.diagnose(
        build.broken(status, container=build.container(memory_limit=limit), before=earlier, before_ready=0, **fields)
    )


@pytest.mark.parametrize(
    ("limit", "raised"),
    [("100Mi", "200Mi"), ("1Gi", "2Gi"), ("3Gi", "4Gi"), ("0.5Gi", "1Gi"), ("500M", "1G"), ("134217728", "268435456")],
)
def test_the_limit_goes_one_step_up(build, limit, raised):
    found = oom(build, limit)
    assert found.findings[0].signature == "memory.oom_killed"
    assert found.proposals[0].action.memory_limit == raised
    assert found.proposals[0].action.memory_request == ""


def test_an_earlier_larger_limit_is_taken_as_it_was(build):
    assert oom(build, "64Mi", before="1Gi").proposals[0].action.memory_limit == "1Gi"


@pytest.mark.parametrize(("limit", "before"), [("4Gi", None), ("400Mi", "100Mi")])
def test_the_steps_end(build, limit, before):
    found = oom(build, limit, before=before)
    assert found.proposals == ()
    assert found.conclusion is Conclusion.FAULT_FOUND


def test_a_container_without_a_limit_is_reported(build):
    assert oom(build, "").proposals == ()


def test_one_replica_out_of_memory_is_answered_though_siblings_are_fine(build):
    template = build.template(build.container(memory_limit="100Mi"))
    sick = build.pod(build.crashing(ended=build.ended(137, "OOMKilled")), template=template)
    found = build.diagnose(build.snapshot(sick, build.pod(name="web-b-2", template=template)))
    assert found.proposals[0].action.memory_limit == "200Mi"


def test_an_init_container_out_of_memory_is_the_one_that_gets_more(build):
    template = build.template(build.container("setup", init=True, memory_limit="32Mi"), build.container())
    status = build.crashing("setup", ended=build.ended(137, "OOMKilled"), init=True)
    found = build.diagnose(build.snapshot(build.pod(status, build.waiting("PodInitializing"), template=template)))
    assert found.proposals[0].action.container == "setup"


@pytest.mark.parametrize(("quantity", "size"), [("1Ki", 1024), ("1.5Gi", 3 * 2**29), ("x", 0), ("", 0), ("5k", 5000)])
def test_quantities_are_read(quantity, size):
    assert bytes_of(quantity) == size


def test_quantities_are_written_in_the_family_they_came_in():
    assert quantity_of(3 * 2**29, "1Gi") == "1536Mi"


def test_each_step_answers_a_fault_of_its_own(build):
    assert oom(build, "100Mi").findings[0].fault != oom(build, "200Mi").findings[0].fault
