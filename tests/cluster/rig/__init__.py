"""Runs real servers for tests: a control plane and Alertmanager. Standard library only, except `api`."""
