"""Model providers on loopback: servers that speak a provider's protocol and answer by a script, faults included."""
