"""The controllers of the sandbox: enough of kube-controller-manager and kube-scheduler to roll workloads over."""

from responder.sandbox.controllers import (
    budgets,
    claims,
    daemonset,
    deployment,
    endpoints,
    garbage,
    job,
    namespaces,
    nodes,
    replicaset,
    scaling,
    scheduler,
    statefulset,
)
from responder.sandbox.controllers.loop import Controller

CONTROLLERS: tuple[Controller, ...] = (
    namespaces.CONTROLLER_LOOP,
    deployment.CONTROLLER_LOOP,
    replicaset.CONTROLLER_LOOP,
    statefulset.CONTROLLER_LOOP,
    daemonset.CONTROLLER_LOOP,
    job.CONTROLLER_LOOP,
    scheduler.CONTROLLER_LOOP,
    endpoints.CONTROLLER_LOOP,
    garbage.CONTROLLER_LOOP,
    claims.CONTROLLER_LOOP,
    nodes.CONTROLLER_LOOP,
    scaling.CONTROLLER_LOOP,
    budgets.DISRUPTION_LOOP,
    budgets.QUOTA_LOOP,
)
