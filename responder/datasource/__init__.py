"""Where numbers come from that no Kubernetes object carries. `prometheus` is the one implementation."""
