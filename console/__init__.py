"""What runs on the operator's side of the port-forward: it knows `responder.domain` and `responder.wire` only."""
