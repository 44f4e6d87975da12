"""Runs what a render says, as processes on this machine: the containers' arguments, environment and configuration.

Kubernetes' part is played here: files are put where mounts say, Secrets are filled in, probes are asked. Addresses alone are others,
because all "pods" share one machine.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from .charts import CHART
from .rules import natter, pod_of

VALUES = "small"
SECRET = "a secret of at least thirty-two bytes"
WAIT = 60


class Failed(Exception):
    """The render does not work; the text says what was seen."""


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _status(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def _until(what, holds, processes, seconds=WAIT):
    """Waits for something; a process that ends meanwhile is told with its last words."""
    end = time.monotonic() + seconds
    while not holds():
        for process in processes:
            if process.running.poll() is not None:
                raise Failed(f"{process.name} has ended ({process.running.returncode}): {process.said()}")
        if time.monotonic() > end:
            words = "; ".join(f"{process.name}: {process.said()}" for process in processes)
            raise Failed(f"{what} did not come true within {seconds} s. {words}")
        time.sleep(0.05)


class Process:
    """A container as a process."""

    def __init__(self, name, command, environment, folder, container=None, ports=None):
        self.name, self.container, self.ports = name, container or {}, ports or {}
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.running = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)

    def said(self):
        return self.log.read_text(errors="replace")[-500:].strip()

    def probe(self, which):
        asked = self.container[which]["httpGet"]
        return _status(f"http://127.0.0.1:{self.ports[asked['port']]}{asked['path']}")

    def memory(self):
        status = pathlib.Path(f"/proc/{self.running.pid}/status")
        lines = [line.split() for line in status.read_text().splitlines()] if status.is_file() else []
        return next((int(words[1]) // 1024 for words in lines if words[0] == "VmRSS:"), 0)

    def end(self):
        if self.running.poll() is None:
            self.running.kill()
            self.running.wait()


class Cluster:
    """The pods of one render."""

    def __init__(self, rendered, program, folder, secrets):
        self.rendered, self.program, self.folder, self.secrets = rendered, program, folder, secrets
        self.gateway = _free_port()
        maps = rendered.of("ConfigMap")
        config = next(each["data"]["natter.toml"] for each in maps if "natter.toml" in each.get("data", {}))
        (folder / "natter.toml").write_text(config)

    def _environment(self, container, ports):
        environment = {"PATH": os.environ["PATH"]}
        for variable in container.get("env", []):
            wanted = variable.get("valueFrom", {}).get("secretKeyRef")
            environment[variable["name"]] = self.secrets[wanted["name"]][wanted["key"]] if wanted else variable["value"]
        if "NATTER_CONFIG" in environment:
            environment["NATTER_CONFIG"] = str(self.folder / "natter.toml")
        if "admin" in ports:
            environment["NATTER_ADMIN__LISTEN"] = f"127.0.0.1:{ports['admin']}"
        if "client" in ports:
            environment["NATTER_CONNECTION__LISTEN"] = f"127.0.0.1:{ports['client']}"
        return environment

    def start(self, workload, container=None):
        container = container or natter(pod_of(workload)[1])
        ports = {each["name"]: self.gateway if each["name"] == "client" else _free_port() for each in container.get("ports", [])}
        service = next(each for each in self.rendered.of("Service") if each["spec"].get("type"))["metadata"]
        inside = f"ws://{service['name']}.{service['namespace']}.svc:8080"
        arguments = [word.replace(inside, f"ws://127.0.0.1:{self.gateway}") for word in container["args"]]
        name = workload["metadata"]["name"]
        return Process(name, [self.program, *arguments], self._environment(container, ports), self.folder, container, ports)


def _nats(folder, port):
    program = os.environ.get("NATTER_NATS_SERVER") or shutil.which("nats-server")
    if not program:
        raise Failed("there is no nats-server: run this by ./justw, which fetches one")
    command = [program, "--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir", str(folder / "nats")]
    return Process("nats-server", command, dict(os.environ), folder)


def _steps(cluster, nats):
    """Yields what was seen, in order; raises at the first thing that is not as it must be."""
    pods = []
    for deployment in cluster.rendered.of("Deployment"):
        pods.append(cluster.start(deployment))
        yield pods[-1]
    alive = lambda: all(pod.probe("livenessProbe") == 200 for pod in pods)
    ready = lambda: [pod.name for pod in pods if pod.probe("readinessProbe") == 200]
    _until("every pod lives without streams", alive, pods)
    if ready():
        raise Failed(f"ready without streams: {ready()}")
    (job,) = cluster.rendered.of("Job")
    apply = cluster.start(job)
    yield apply
    if apply.running.wait(WAIT) != 0:
        raise Failed(f"the Job failed: {apply.said()}")
    _until("every pod is ready once the Job is done", lambda: len(ready()) == len(pods), pods)
    (test,) = cluster.rendered.of("Pod")
    tested = cluster.start(test)
    yield tested
    if tested.running.wait(WAIT) != 0:
        raise Failed(f"the test pod failed: {tested.said()}")
    used = ", ".join(f"{pod.name.rsplit('-', 1)[1]} {pod.memory()} MiB" for pod in pods)
    print(f"chart: the test pod says: {tested.said().splitlines()[-1]} Memory without sessions: {used}")
    _stops(cluster, pods[:2])
    nats.end()
    time.sleep(2)
    rest = pods[2:]
    _until("the rest lives without NATS", lambda: all(pod.probe("livenessProbe") == 200 for pod in rest), rest)
    _stops(cluster, rest)


def _stops(cluster, pods):
    """All at once: each must end by itself within its grace period."""
    graces = {each["metadata"]["name"]: pod_of(each)[1]["terminationGracePeriodSeconds"] for each in cluster.rendered.of("Deployment")}
    began = time.monotonic()
    for pod in pods:
        pod.running.send_signal(signal.SIGTERM)
    for pod in pods:
        try:
            code = pod.running.wait(max(0, began + graces[pod.name] - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failed(f"{pod.name} does not stop within its grace of {graces[pod.name]} s: {pod.said()}") from None
        if code != 0:
            raise Failed(f"{pod.name} ended with {code} after {time.monotonic() - began:.1f} s: {pod.said()}")


def faults(stage, program, helm, folder):
    """Yields what does not work."""
    folder = pathlib.Path(folder) / "exercise"
    folder.mkdir()
    port = _free_port()
    more = folder / "values.yaml"
    more.write_text(f'externalNats: {{url: "nats://127.0.0.1:{port}"}}\n')
    rendered, said = stage.render(helm, VALUES, [CHART / "ci" / f"{VALUES}.yaml", more])
    if rendered is None:
        yield f"{VALUES}: {said.strip()}"
        return
    secrets = {"natter-tokens": {"secret": SECRET}, "natter-postgres": {"url": f"sqlite://{folder}/archive.db"}}
    with contextlib.ExitStack() as ends:
        try:
            nats = _nats(folder, port)
            ends.callback(nats.end)
            for process in _steps(Cluster(rendered, program, folder, secrets), nats):
                ends.callback(process.end)
        except Failed as failed:
            yield f"{VALUES}: {failed}"
