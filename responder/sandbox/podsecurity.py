"""The Pod Security Standards: what `baseline` and `restricted` refuse in a pod spec. Pure.

Only Linux pods and the checks that workloads meet in practice; the order of the sentences is the server's.
Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ and
https://github.com/kubernetes/kubernetes/tree/master/staging/src/k8s.io/pod-security-admission/policy
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from responder.sandbox.defaults import containers

_DEFAULT_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_RESTRICTED_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_PROFILES = ("RuntimeDefault", "Localhost")

Spec = Mapping[str, Any]


def violations(spec: Spec, level: str) -> str:
    """The sentences of every failed check, joined as the server joins them; empty when the pod is allowed."""
    checks = {"baseline": _BASELINE, "restricted": _RESTRICTED}.get(level, ())
    return ", ".join(sentence for check in checks for sentence in check(spec))


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _plural(word: str, names: list[str]) -> str:
    return f"{word}{'s' if len(names) > 1 else ''} {_quoted(names)}"


def _context(container: Mapping[str, Any]) -> Mapping[str, Any]:
    context: Mapping[str, Any] = container.get("securityContext") or {}
    return context


def _pod_context(spec: Spec) -> Mapping[str, Any]:
    context: Mapping[str, Any] = spec.get("securityContext") or {}
    return context


def _named(spec: Spec, faulty: Callable[[Mapping[str, Any]], bool]) -> list[str]:
    return [container.get("name", "") for container in containers(spec) if faulty(container)]


def _escalation(spec: Spec) -> Iterator[str]:
    if names := _named(spec, lambda c: _context(c).get("allowPrivilegeEscalation") is not False):
        rule = "must set securityContext.allowPrivilegeEscalation=false"
        yield f"allowPrivilegeEscalation != false ({_plural('container', names)} {rule})"


def _added(container: Mapping[str, Any], allowed: frozenset[str]) -> list[str]:
    capabilities = _context(container).get("capabilities") or {}
    return sorted(name for name in capabilities.get("add") or () if name not in allowed)


def _capabilities_baseline(spec: Spec) -> Iterator[str]:
    allowed = _DEFAULT_CAPABILITIES
    if names := _named(spec, lambda c: bool(_added(c, allowed))):
        added = sorted({name for container in containers(spec) for name in _added(container, allowed)})
        rule = f"must not include {_quoted(added)} in securityContext.capabilities.add"
        yield f"non-default capabilities ({_plural('container', names)} {rule})"


def _capabilities_restricted(spec: Spec) -> Iterator[str]:
    allowed = frozenset({"NET_BIND_SERVICE"})
    parts: list[str] = []
    if names := _named(spec, lambda c: "ALL" not in ((_context(c).get("capabilities") or {}).get("drop") or ())):
        parts.append(f'{_plural("container", names)} must set securityContext.capabilities.drop=["ALL"]')
    if names := _named(spec, lambda c: bool(_added(c, allowed))):
        added = sorted({name for container in containers(spec) for name in _added(container, allowed)})
        rule = f"must not include {_quoted(added)} in securityContext.capabilities.add"
        parts.append(f"{_plural('container', names)} {rule}")
    if parts:
        yield f"unrestricted capabilities ({'; '.join(parts)})"


def _host_namespaces(spec: Spec) -> Iterator[str]:
    if used := [f"{key}=true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]:
        yield f"host namespaces ({', '.join(used)})"


def _host_path(spec: Spec) -> Iterator[str]:
    if names := [volume["name"] for volume in spec.get("volumes") or () if "hostPath" in volume]:
        yield f"hostPath volumes ({_plural('volume', names)})"


def _host_ports(spec: Spec) -> Iterator[str]:
    def used(container: Mapping[str, Any]) -> list[int]:
        return [port["hostPort"] for port in container.get("ports") or () if port.get("hostPort")]

    if names := _named(spec, lambda c: bool(used(c))):
        numbers = sorted({port for container in containers(spec) for port in used(container)})
        word = "uses" if len(names) == 1 else "use"
        ports = ", ".join(str(number) for number in numbers)
        yield f"hostPort ({_plural('container', names)} {word} hostPort{'s' if len(numbers) > 1 else ''} {ports})"


def _privileged(spec: Spec) -> Iterator[str]:
    if names := _named(spec, lambda c: _context(c).get("privileged") is True):
        yield f"privileged ({_plural('container', names)} must not set securityContext.privileged=true)"


def _volume_types(spec: Spec) -> Iterator[str]:
    bad = {
        volume["name"]: kind
        for volume in spec.get("volumes") or ()
        for kind in volume
        if kind != "name" and kind not in _RESTRICTED_VOLUMES
    }
    if bad:
        types = sorted(set(bad.values()))
        word = "uses" if len(bad) == 1 else "use"
        kinds = f"restricted volume type{'s' if len(types) > 1 else ''} {_quoted(types)}"
        yield f"restricted volume types ({_plural('volume', list(bad))} {word} {kinds})"


def _non_root(spec: Spec) -> Iterator[str]:
    pod = _pod_context(spec).get("runAsNonRoot")
    if explicit := _named(spec, lambda c: _context(c).get("runAsNonRoot") is False):
        rule = "must not set securityContext.runAsNonRoot=false"
        yield f"runAsNonRoot != true ({_plural('container', explicit)} {rule})"
    elif implicit := _named(spec, lambda c: _context(c).get("runAsNonRoot") is None and pod is not True):
        if pod is False:
            yield "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)"
        else:
            rule = "must set securityContext.runAsNonRoot=true"
            yield f"runAsNonRoot != true (pod or {_plural('container', implicit)} {rule})"


def _root_user(spec: Spec) -> Iterator[str]:
    parts = ["pod"] if _pod_context(spec).get("runAsUser") == 0 else []
    if names := _named(spec, lambda c: _context(c).get("runAsUser") == 0):
        parts.append(_plural("container", names))
    if parts:
        yield f"runAsUser=0 ({' and '.join(parts)} must not set runAsUser=0)"


def _profile(context: Mapping[str, Any]) -> str | None:
    kind = (context.get("seccompProfile") or {}).get("type")
    return str(kind) if kind else None


def _seccomp_baseline(spec: Spec) -> Iterator[str]:
    if names := _named(spec, lambda c: _profile(_context(c)) == "Unconfined"):
        rule = 'must not set securityContext.seccompProfile.type to "Unconfined"'
        yield f"seccompProfile ({_plural('container', names)} {rule})"
    elif _profile(_pod_context(spec)) == "Unconfined":
        yield 'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'


def _seccomp_restricted(spec: Spec) -> Iterator[str]:
    pod = _profile(_pod_context(spec))
    if names := _named(spec, lambda c: _profile(_context(c)) == "Unconfined"):
        rule = 'must not set securityContext.seccompProfile.type to "Unconfined"'
        yield f"seccompProfile ({_plural('container', names)} {rule})"
    elif names := _named(spec, lambda c: (_profile(_context(c)) or pod) not in _PROFILES):
        rule = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        yield f"seccompProfile (pod or {_plural('container', names)} {rule})"


_BASELINE = (_capabilities_baseline, _host_namespaces, _host_path, _host_ports, _privileged, _seccomp_baseline)
_RESTRICTED = (
    _host_namespaces,
    _host_ports,
    _privileged,
    _escalation,
    _capabilities_restricted,
    _volume_types,
    _non_root,
    _root_user,
    _seccomp_restricted,
)
