"""The Kubernetes API server, seen through one protocol. `client` is the only user of the client library."""
