"""Who may do what: users by token, and the evaluation of Roles and bindings.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from collections.abc import Iterator
from dataclasses import dataclass

from responder.sandbox.failures import ApiFailure, forbidden
from responder.sandbox.objects import Object, Store
from responder.sandbox.resources import BY_PLURAL, KINDS, Resource

MASTERS = "system:masters"


@dataclass(frozen=True, kw_only=True)
class User:
    """The authenticated sender of a request."""

    name: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """What a request wants to do, as authorization sees it."""

    verb: str
    group: str
    resource: str
    """Plural, without the subresource."""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def resource_path(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def service_account(namespace: str, name: str) -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(name=f"system:serviceaccount:{namespace}:{name}", groups=frozenset(groups))


def rules_for(store: Store, user: User, namespace: str) -> Iterator[Object]:
    """Every policy rule that holds for the user in the namespace; cluster-wide ones only when it is empty."""
    for binding in store.list(KINDS["ClusterRoleBinding"]):
        if _names(binding, user, ""):
            yield from _role_rules(store, binding["roleRef"], "")
    if not namespace:
        return
    for binding in store.list(KINDS["RoleBinding"], namespace):
        if _names(binding, user, namespace):
            yield from _role_rules(store, binding["roleRef"], namespace)


def _names(binding: Object, user: User, namespace: str) -> bool:
    for subject in binding.get("subjects") or ():
        name = subject.get("name", "")
        match subject.get("kind"):
            case "User" if name == user.name:
                return True
            case "Group" if name in user.groups:
                return True
            case "ServiceAccount":
                account = service_account(subject.get("namespace") or namespace, name)
                if account.name == user.name:
                    return True
            case _:
                continue
    return False


def _role_rules(store: Store, ref: Object, namespace: str) -> Iterator[Object]:
    if ref.get("kind") == "ClusterRole":
        role = store.get(KINDS["ClusterRole"], "", ref["name"])
    else:
        role = store.get(KINDS["Role"], namespace, ref["name"])
    yield from (role or {}).get("rules") or ()


def rule_allows(rule: Object, wanted: Attributes) -> bool:
    """One policy rule against one request."""
    names = rule.get("resourceNames") or ()
    return (
        _listed(rule.get("verbs"), wanted.verb)
        and _listed(rule.get("apiGroups"), wanted.group)
        and _resource_listed(rule.get("resources"), wanted)
        and (not names or wanted.name in names)
    )


def _listed(values: list[str] | None, wanted: str) -> bool:
    return wanted in (values or ()) or "*" in (values or ())


def _resource_listed(values: list[str] | None, wanted: Attributes) -> bool:
    any_with_subresource = wanted.subresource and f"*/{wanted.subresource}" in (values or ())
    return _listed(values, wanted.resource_path) or bool(any_with_subresource)


def is_allowed(store: Store, user: User, wanted: Attributes) -> bool:
    if MASTERS in user.groups:
        return True
    return any(rule_allows(rule, wanted) for rule in rules_for(store, user, wanted.namespace))


def require(store: Store, user: User, wanted: Attributes) -> None:
    """Raises `ApiFailure` 403 in the server's words."""
    if not is_allowed(store, user, wanted):
        raise refusal(user, wanted)


def refusal(user: User, wanted: Attributes) -> ApiFailure:
    scope = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    why = (
        f'User "{user.name}" cannot {wanted.verb} resource "{wanted.resource_path}" '
        f'in API group "{wanted.group}" {scope}'
    )
    return forbidden(_resource(wanted), wanted.name, why)


def _resource(wanted: Attributes) -> Resource:
    for (group, _, plural), resource in BY_PLURAL.items():
        if (group, plural) == (wanted.group, wanted.resource):
            return resource
    return Resource(
        group=wanted.group,
        version="v1",
        plural=wanted.resource,
        kind="",
        namespaced=bool(wanted.namespace),
        has_status=False,
        has_scale=False,
    )
