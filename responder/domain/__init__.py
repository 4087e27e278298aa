"""The words of Clopus as frozen dataclasses, and the pure decisions that need nothing else.

Standard library only; no I/O; no clock: time comes in as an argument, in UTC.
"""
