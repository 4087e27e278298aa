"""Container logs: asked of the node's kubelet over HTTPS, as the API server does.

The kubelet's certificate is self-signed and not checked, as on a real server without `--kubelet-certificate-authority`.
Source: https://github.com/kubernetes/kubernetes/blob/master/pkg/registry/core/pod/strategy.go (LogLocation)
"""

from collections.abc import Mapping

from aiohttp import ClientError, ClientSession
from yarl import URL

from responder.sandbox.failures import ApiFailure, bad_request, internal, not_found
from responder.sandbox.objects import Object
from responder.sandbox.registry import Registry
from responder.sandbox.resources import KINDS, POD

_PASSED_ON = ("follow", "previous", "timestamps", "sinceSeconds", "sinceTime", "tailLines", "limitBytes")


def log_location(registry: Registry, namespace: str, name: str, query: Mapping[str, str]) -> URL | None:
    """Where the log is served; None while the pod is on no node. Raises `ApiFailure` 400, 404 or 500."""
    pod = registry.get(POD, namespace, name)
    container = _container(pod, query.get("container", ""))
    node_name = pod["spec"].get("nodeName")
    if not node_name:
        return None
    node = registry.store.get(KINDS["Node"], "", node_name)
    if node is None:
        raise not_found(POD, node_name)
    status = node.get("status") or {}
    addresses = {entry["type"]: entry["address"] for entry in status.get("addresses") or ()}
    port = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint", {}).get("Port")
    if "InternalIP" not in addresses or not port:
        raise internal(f"no preferred addresses found; known addresses: {sorted(addresses)}")
    passed_on = {key: query[key] for key in _PASSED_ON if key in query}
    path = f"/containerLogs/{namespace}/{name}/{container}"
    return URL.build(scheme="https", host=addresses["InternalIP"], port=port, path=path, query=passed_on)


def _container(pod: Object, asked: str) -> str:
    spec = pod["spec"]
    names = [container["name"] for container in spec["containers"]]
    init = [container["name"] for container in spec.get("initContainers") or ()]
    name = pod["metadata"]["name"]
    if asked:
        if asked not in (*names, *init):
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(names) == 1 and not init:
        return str(names[0])
    choices = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
    if init:
        choices += f" or one of the init containers: [{' '.join(init)}]"
    raise bad_request(choices)


async def fetch_log(session: ClientSession, location: URL) -> bytes:
    """The log's bytes. Raises `ApiFailure` with the kubelet's words, or 500 when it does not answer."""
    try:
        async with session.get(location, ssl=False) as response:
            body = await response.read()
            status = response.status
    except ClientError as exc:
        raise internal(f'Get "{location}": {exc}') from exc
    text = body.decode("utf-8", "replace")
    match status:
        case 200 | 206:
            return body
        case 400:
            raise bad_request(text)
        case 500:
            raise internal(text)
        case 404:
            message = f"the server could not find the requested resource ( {location.path})"
            raise ApiFailure(404, "NotFound", message, details={"causes": [{"message": text}]})
        case _:
            raise ApiFailure(status, "InternalError", text, details={})
