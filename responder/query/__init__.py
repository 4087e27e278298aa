"""Statements that operators write, answered from a copy of the record in a process of their own.

`statement` decides what may run, `child` runs it, `runner` starts and bounds the child, `copies` provides what it
reads.
"""
