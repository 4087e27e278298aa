"""The life of a pod over simulated time: what its spec makes of it, and that the right change heals it."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.sandbox.catalogue import DEFAULT_CATALOGUE
from responder.sandbox.containerconfig import ObjectName, Objects, Place
from responder.sandbox.containerrecord import PodEvent, go_duration
from responder.sandbox.podmachine import PodMachine

Json = dict[str, Any]
START = datetime(2026, 1, 1, tzinfo=UTC)
TITLE = "web-1_shop(u-1)"


def config_map(name: str, **data: str) -> dict[ObjectName, Mapping[str, str]]:
    return {ObjectName(kind="ConfigMap", name=name): data}


class World:
    """A machine and the time it has been told."""

    def __init__(self, spec: Json) -> None:
        self.pod: Json = {"metadata": {"name": "web-1", "namespace": "shop", "uid": "u-1"}, "spec": spec}
        self.found: dict[ObjectName, Mapping[str, str]] = {}
        self.now = 0.0
        self.events: list[PodEvent] = []
        self.machine = PodMachine(
            self.pod,
            catalogue=DEFAULT_CATALOGUE,
            place=Place(pod_ip="10.244.0.5"),
            calendar=lambda at: START + timedelta(seconds=at),
            cache=set(),
            now=0.0,
        )

    def run(self, until: float) -> "World":
        """Wakes the machine whenever it asks for it, up to a time."""
        for _ in range(100_000):
            self.machine.sync(self.now, Objects(found=self.found))
            self.events += self.machine.take_events()
            due = self.machine.next_wake()
            if due > until:
                self.now = until
                return self
            self.now = max(self.now, due)
        raise AssertionError("the machine never comes to rest")

    @property
    def status(self) -> Json:
        return self.machine.status((), self.now)

    @property
    def main(self) -> Json:
        found: Json = self.status["containerStatuses"][0]
        return found

    def messages(self, reason: str) -> list[str]:
        return [event.message for event in self.events if event.reason == reason]

    def log(self, *, previous: bool = False) -> list[str]:
        log = self.machine.containers[-1].log
        return [line.text for line in ((log.previous or ()) if previous else log.current)]


def container(image: str, **fields: Any) -> Json:
    return {"name": "app", "image": image, **fields}


def alone(image: str, **fields: Any) -> World:
    return World({"containers": [container(image, **fields)]})


def script(text: str) -> Json:
    return container("busybox:1.36", command=["sh", "-c", text])


def test_a_healthy_pod_becomes_ready_with_the_usual_events() -> None:
    world = alone("nginx:1.27", readinessProbe={"httpGet": {"path": "/", "port": 80}}).run(5)
    assert world.main["ready"] is True
    assert [event.reason for event in world.events] == ["Pulling", "Pulled", "Created", "Started"]
    assert world.events[-1].field_path == "spec.containers{app}"


def test_a_failed_pull_is_shown_then_backed_off_from_then_tried_again() -> None:
    world = alone("nignx:1.27").run(0.5)
    first = world.main["state"]["waiting"]
    assert first["reason"] == "ErrImagePull"
    assert first["message"].startswith('failed to pull and unpack image "docker.io/library/nignx:1.27"')
    waiting = world.run(5).main["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert waiting["message"].startswith('Back-off pulling image "nignx:1.27": ErrImagePull: failed to pull')
    assert len(world.run(35).messages("Pulling")) == 3
    assert world.status["phase"] == "Pending"


def test_a_corrected_image_heals_the_pod_at_once() -> None:
    world = alone("nignx:1.27").run(100)
    healed = copy.deepcopy(world.pod)
    healed["spec"]["containers"][0]["image"] = "nginx:1.27"
    world.machine.update(healed, world.now)
    assert world.run(102).main["ready"] is True


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        (
            container("bad::image"),
            "InvalidImageName",
            'Failed to apply default image tag "bad::image": couldn\'t parse image name "bad::image": '
            "invalid reference format",
        ),
        (
            container("busybox:1.36", imagePullPolicy="Never"),
            "ErrImageNeverPull",
            'Container image "busybox:1.36" is not present with pull policy of Never',
        ),
        (
            container("nginx:1.27", env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]),
            "CreateContainerConfigError",
            'configmap "c" not found',
        ),
        (
            container("nginx:1.27", env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
            "CreateContainerConfigError",
            'secret "s" not found',
        ),
        (
            container(
                "nginx:1.27", env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "there", "key": "k"}}}]
            ),
            "CreateContainerConfigError",
            "couldn't find key k in ConfigMap shop/there",
        ),
        (
            container("nginx:1.27", envFrom=[{"secretRef": {"name": "s"}}]),
            "CreateContainerConfigError",
            'secret "s" not found',
        ),
        (
            container("nginx:1.27", securityContext={"runAsNonRoot": True}),
            "CreateContainerConfigError",
            f'container has runAsNonRoot and image will run as root (pod: "{TITLE}", container: app)',
        ),
        (
            container("nginx:1.27", securityContext={"runAsNonRoot": True, "runAsUser": 0}),
            "CreateContainerConfigError",
            f'container\'s runAsUser breaks non-root policy (pod: "{TITLE}", container: app)',
        ),
    ],
)
def test_a_container_that_cannot_be_made_waits_with_the_reason(spec: Json, reason: str, message: str) -> None:
    world = World({"containers": [spec]})
    world.found = dict(config_map("there", other="1"))
    world.run(25)
    assert world.main["state"]["waiting"] == {"reason": reason, "message": message}
    assert world.main["restartCount"] == 0
    assert world.messages("Failed")[-1] == f"Error: {message if reason.endswith('ConfigError') else reason}"


def test_optional_references_may_be_missing() -> None:
    optional = {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}}
    spec = container("nginx:1.27", env=[{"name": "A", "valueFrom": optional}])
    spec["envFrom"] = [{"configMapRef": {"name": "c", "optional": True}}]
    assert World({"containers": [spec]}).run(5).main["ready"] is True


def test_a_reference_that_appears_heals_at_the_next_round() -> None:
    source = {"configMapKeyRef": {"name": "c", "key": "url"}}
    world = alone("registry.example/shop/api:1.0", env=[{"name": "DATABASE_URL", "valueFrom": source}]).run(15)
    world.found = dict(config_map("c", url="postgres://db"))
    assert world.run(25).main["ready"] is True


def test_a_missing_volume_source_keeps_the_pod_in_creation() -> None:
    spec = container("nginx:1.27", volumeMounts=[{"name": "v", "mountPath": "/etc/conf"}])
    world = World({"containers": [spec], "volumes": [{"name": "v", "configMap": {"name": "c"}}]}).run(10)
    assert world.main["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert set(world.messages("FailedMount")) == {'MountVolume.SetUp failed for volume "v" : configmap "c" not found'}
    world.found = dict(config_map("c", a="1"))
    assert world.run(40).main["ready"] is True


def test_a_crashing_container_is_restarted_with_growing_pauses() -> None:
    world = World({"containers": [script("echo dying >&2; exit 3")]}).run(1.5)
    assert world.main["restartCount"] == 1
    world.run(5)
    waiting = world.main["state"]["waiting"]
    assert waiting == {
        "reason": "CrashLoopBackOff",
        "message": f"back-off 10s restarting failed container=app pod={TITLE}",
    }
    last = world.main["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (3, "Error")
    assert world.run(40).main["restartCount"] == 3
    assert "back-off 40s" in world.main["state"]["waiting"]["message"]
    assert world.messages("BackOff")[-1] == f"Back-off restarting failed container app in pod {TITLE}"
    assert world.run(3000).main["state"]["waiting"]["message"].startswith("back-off 5m0s")


def test_the_previous_log_outlives_a_restart() -> None:
    world = World({"containers": [script("echo run; sleep 2; exit 1")]}).run(4)
    assert (world.log(), world.log(previous=True)) == (["run"], ["run"])


def test_a_missing_executable_is_a_start_error() -> None:
    world = alone("busybox:1.36", command=["wge"]).run(0.5)
    assert world.main["state"]["waiting"]["reason"] == "RunContainerError"
    last = world.run(5).main["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["startedAt"]) == (128, "StartError", "1970-01-01T00:00:00Z")
    assert last["message"].endswith('exec: "wge": executable file not found in $PATH: unknown')
    assert world.main["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_too_little_memory_ends_as_oomkilled_and_more_heals() -> None:
    limits = {"limits": {"memory": "128Mi"}}
    last = alone("registry.example/shop/reports:1.0", resources=limits).run(6).main["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (137, "OOMKilled")
    roomy = {"limits": {"memory": "256Mi"}}
    assert alone("registry.example/shop/reports:1.0", resources=roomy).run(60).main["restartCount"] == 0


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        ({"httpGet": {"path": "/healthz", "port": 80}}, "HTTP probe failed with statuscode: 404"),
        (
            {"httpGet": {"path": "/", "port": 8080}},
            'Get "http://10.244.0.5:8080/": dial tcp 10.244.0.5:8080: connect: connection refused',
        ),
        ({"tcpSocket": {"port": 8080}}, "dial tcp 10.244.0.5:8080: connect: connection refused"),
        ({"exec": {"command": ["cat", "/tmp/ready"]}}, "cat: /tmp/ready: No such file or directory"),
    ],
)
def test_a_readiness_probe_that_asks_the_wrong_thing_keeps_the_pod_unready(probe: Json, message: str) -> None:
    world = alone("nginx:1.27", readinessProbe=probe).run(30)
    assert world.main["ready"] is False
    assert world.main["restartCount"] == 0
    assert set(world.messages("Unhealthy")) == {f"Readiness probe failed: {message}"}


def test_a_named_port_is_found_in_the_containers_ports() -> None:
    ports = [{"name": "http", "containerPort": 80}]
    world = alone("nginx:1.27", ports=ports, readinessProbe={"httpGet": {"path": "/", "port": "http"}})
    assert world.run(5).main["ready"] is True


def test_a_failed_liveness_probe_restarts_the_container() -> None:
    world = alone("nginx:1.27", livenessProbe={"httpGet": {"path": "/wrong", "port": 80}}).run(30)
    assert world.main["restartCount"] == 1
    assert world.messages("Killing") == ["Container app failed liveness probe, will be restarted"]


def test_a_startup_probe_gives_a_slow_program_its_time() -> None:
    liveness = {"httpGet": {"path": "/healthz", "port": 8080}}
    hasty = alone("registry.example/shop/search:1.0", livenessProbe=liveness).run(100)
    assert hasty.main["restartCount"] > 0
    startup = {**liveness, "failureThreshold": 30}
    patient = alone("registry.example/shop/search:1.0", livenessProbe=liveness, startupProbe=startup)
    assert patient.run(20).main["started"] is False
    assert (patient.run(100).main["started"], patient.main["restartCount"]) == (True, 0)


def test_init_containers_run_one_after_the_other_before_the_rest() -> None:
    inits = [{**script("sleep 5"), "name": "one"}, {**script("sleep 5"), "name": "two"}]
    world = World({"initContainers": inits, "containers": [container("nginx:1.27")]}).run(7)
    states = [next(iter(status["state"])) for status in world.status["initContainerStatuses"]]
    assert (states, world.main["state"]["waiting"]["reason"]) == (["terminated", "running"], "PodInitializing")
    assert world.run(12).main["ready"] is True


def test_a_failing_init_container_holds_the_pod_back() -> None:
    world = World({"initContainers": [{**script("exit 1"), "name": "one"}], "containers": [container("nginx:1.27")]})
    status = world.run(5).status
    assert status["initContainerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert (status["phase"], world.main["state"]["waiting"]["reason"]) == ("Pending", "PodInitializing")


def test_a_sidecar_keeps_running_beside_the_main_container() -> None:
    sidecar = {**script("while true; do sleep 60; done"), "name": "mesh", "restartPolicy": "Always"}
    status = World({"initContainers": [sidecar], "containers": [container("nginx:1.27")]}).run(5).status
    assert status["initContainerStatuses"][0]["ready"] is True
    assert status["containerStatuses"][0]["ready"] is True


@pytest.mark.parametrize(("policy", "code", "expected"), [("Never", 1, "Failed"), ("OnFailure", 0, "Succeeded")])
def test_a_container_that_may_not_restart_ends_the_pod(policy: str, code: int, expected: str) -> None:
    world = World({"restartPolicy": policy, "containers": [script(f"exit {code}")]}).run(100)
    assert (world.status["phase"], world.main["restartCount"]) == (expected, 0)


@pytest.mark.parametrize(
    ("policy", "text", "expected"),
    [
        ("File", "echo seen; exit 1", None),
        ("FallbackToLogsOnError", "echo seen; exit 1", "seen\n"),
        ("FallbackToLogsOnError", "echo seen; exit 0", None),
        ("File", "echo told > /dev/termination-log; exit 1", "told\n"),
    ],
)
def test_the_termination_message_comes_from_file_or_log(policy: str, text: str, expected: str | None) -> None:
    world = World({"restartPolicy": "Never", "containers": [{**script(text), "terminationMessagePolicy": policy}]})
    assert world.run(5).main["state"]["terminated"].get("message") == expected


def test_a_stopped_pod_stays_stopped() -> None:
    world = alone("nginx:1.27").run(5)
    world.machine.stop(world.now)
    assert world.run(1000).main["state"]["terminated"]["exitCode"] == 0
    assert world.messages("Killing") == ["Stopping container app"]


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (80, "1m20s"), (300, "5m0s")])
def test_durations_read_as_go_prints_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
