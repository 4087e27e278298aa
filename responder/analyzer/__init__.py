"""Investigation: reading the cluster around an incident's root object, and saying what is wrong.

`collect` is the only module here that reads the cluster; what it read is a `Snapshot`, and every judgement is a pure
function of it. Nothing an analyzer returns is trusted: the guard checks each proposal against the snapshot again.
"""
