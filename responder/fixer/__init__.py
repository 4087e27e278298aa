"""Changing the cluster: who may (guard, approval), what exactly (planner, actions, diff), once (executor), and whether
it helped (verifier).

Everything that decides is pure; only `planner`, `rehearsal` and `executor` talk to the cluster, and only `executor`
writes.
"""
