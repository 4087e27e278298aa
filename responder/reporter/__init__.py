"""Tells people what happened. Nothing here decides anything."""
