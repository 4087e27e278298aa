"""Clopus answers Kubernetes alerts: the responder. ARCHITECTURE.md has the map of its rooms."""

__version__ = "0.1.0"
