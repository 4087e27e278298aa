"""An embedded cluster for the demo and for tests: a Kubernetes API subset over HTTP, controllers, simulated nodes.

It answers as a real API server does, for the requests that Clopus makes; where the two differ, this one is wrong.
"""

from responder.sandbox.sandbox import Sandbox

__all__ = ["Sandbox"]
