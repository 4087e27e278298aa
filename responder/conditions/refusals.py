"""Who refused a pod, read from the API server's words: keys of causes that other workloads may share.

The words are those of the admission plugins (ResourceQuota, ServiceAccount, PodSecurity, Priority, NamespaceLifecycle)
and of the webhook dispatcher in kube-apiserver. A LimitRange does not give its name, so it leaves no key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from responder.conditions.messages import causes_in, keys

_DENIED = re.compile(r'admission webhook "([-a-z0-9.]{1,253})" denied')
_POLICY = re.compile(r'violates PodSecurity "([a-z]{1,20})(?::[a-z0-9.]{1,20})?"')
_PRIORITY = re.compile(r"no PriorityClass with name ([-a-z0-9.]{1,253}) was found")
_TERMINATING = "because it is being terminated"


def causes_of_refusal(message: str, namespace: str) -> tuple[str, ...]:
    """Keys such as `ResourceQuota/shop/compute` or `webhook/policy.example.com`; none where the words name nobody."""
    return keys((*causes_in(message, namespace), *_further(message, namespace)))


def _further(message: str, namespace: str) -> Iterator[str]:
    yield from (f"webhook/{name}" for name in _DENIED.findall(message))
    yield from (f"PodSecurity/{namespace}/{level}" for level in _POLICY.findall(message))
    yield from (f"PriorityClass/{name}" for name in _PRIORITY.findall(message))
    if _TERMINATING in message:
        yield f"Namespace/{namespace}"
