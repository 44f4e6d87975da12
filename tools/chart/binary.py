"""Rules between the chart and the binary: keys, defaults, ports, paths, times and arguments come from what it says of itself."""

import functools
import json
import math
import re
import subprocess
import tempfile
import tomllib

import jsonschema

from .charts import CHART, ROOT
from .rules import WORKLOADS, natter, pod_of

# Variables that others than Natter define; see the specification of OpenTelemetry's environment variables.
FOREIGN = {
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
}
# Values of the chart that repeat a default of the binary on purpose, so that they are seen.
REPEATED = {"nats.partitions": ("config", "nats", "partitions"), "connection.drain_per_sec": ("config", "connection", "drain_per_sec")}


class Binary:
    """What `natter` says of itself."""

    def __init__(self, program):
        self.program = program
        shown = subprocess.run([program, "config", "--format", "json"], check=True, capture_output=True, text=True)
        self.schema = json.loads(shown.stdout)
        self.facts = self.schema["x-natter"]
        self.validator = jsonschema.Draft202012Validator(self.schema)
        self.helps = {}

    def defaults(self):
        """All defaults, by section."""
        return {name: each.get("default") for name, each in self.schema["properties"].items()}

    def key(self, path):
        """The schema of a key, or None."""
        node = self.schema
        for part in path:
            while "$ref" in node:
                node = self.schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
            node = node.get("properties", {}).get(part)
            if node is None:
                return None
        return node

    def live(self):
        """The keys that a running process takes over."""
        shown = subprocess.run([self.program, "config"], check=True, capture_output=True, text=True).stdout
        return set(re.findall(r"^  (\S+)  \(.*\)  ↻$", shown, re.MULTILINE))

    def help(self, *command):
        """The help of a subcommand, or None when there is none."""
        if command not in self.helps:
            shown = subprocess.run([self.program, *command, "--help"], capture_output=True, text=True)
            self.helps[command] = shown.stdout if shown.returncode == 0 else None
        return self.helps[command]

    @functools.cache
    def refuses(self, toml):
        """What the binary itself says against a configuration, or nothing."""
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(toml)
            file.flush()
            secret = ["--set", "auth.hs256_secret=" + "0" * 32]
            done = subprocess.run([self.program, "--config", file.name, *secret, "token", "--as", "chart"], capture_output=True, text=True)
            return done.stderr.strip() if done.returncode else ""


def _environment(binary, name, variables):
    for variable in variables:
        key = variable["name"]
        if key in FOREIGN or key == "NATTER_CONFIG" or not key.startswith(("NATTER_", "OTEL_")):
            continue
        path = key.removeprefix("NATTER_").lower().split("__")
        found = None if key.startswith("OTEL_") else binary.key(path)
        if found is None:
            yield f"{name}: the binary knows no variable {key}"
        elif "value" in variable and "integer" in str(found.get("type")) and not variable["value"].isdigit():
            yield f"{name}: {key} must be a number, and is {variable['value']!r}"


def _arguments(binary, name, arguments):
    words = [word for word in arguments if not word.startswith("-")]
    if words[0] == "serve":
        if binary.help("serve") is None or not set(words[1:]) <= set(binary.facts["services"]):
            yield f"{name}: the binary cannot {' '.join(arguments)}"
        return
    command = ("nats", "apply") if words[0] == "nats" else (words[0],)
    known = binary.help(*command)
    if known is None:
        yield f"{name}: the binary has no `{' '.join(command)}`"
        return
    for flag in (word for word in arguments if word.startswith("--")):
        if not re.search(rf"{re.escape(flag)}(?![\w-])", known):
            yield f"{name}: `natter {' '.join(command)}` has no {flag}"


def _port(address):
    return int(address.rsplit(":", 1)[1])


def _container(binary, name, container, config):
    ports = {each["name"]: each["containerPort"] for each in container.get("ports", [])}
    listens = {"client": config["connection"]["listen"], "admin": config["admin"]["listen"]}
    for port, number in ports.items():
        if number != _port(listens[port]):
            yield f"{name}: the port {port} is {number}, and the configuration listens at {listens[port]}"
    for probe, path in (("startupProbe", "live"), ("livenessProbe", "live"), ("readinessProbe", "ready")):
        if probe in container and container[probe]["httpGet"]["path"] != binary.facts[path]:
            yield f"{name}: the {probe} asks {container[probe]['httpGet']['path']}, the binary answers {binary.facts[path]}"


def _files(name, spec, config):
    """Every file that the configuration names lies where something is mounted."""
    mounts = [each["mountPath"] for each in natter(spec).get("volumeMounts", [])]
    wanted = config["nats"] if any(word in name for word in ("connection", "delivery", "storage", "presence")) else {}
    for key, value in wanted.items():
        if key.endswith("_file") and not any(str(value).startswith(mount + "/") for mount in mounts):
            yield f"{name}: {key} is {value}, where nothing is mounted"


def _drain(binary, rendered, config):
    connection = binary.defaults()["connection"] | config["connection"]
    drain = math.ceil(connection.get("drain_delay_ms", 0) / 1000)
    drain += math.ceil(connection["connections_max"] / connection["drain_per_sec"])
    for deployment in rendered.of("Deployment"):
        _, spec = pod_of(deployment)
        gateway = natter(spec)["args"][1:] == ["connection"]
        needed = binary.facts["stop_grace_secs"] + (drain if gateway else 0)
        if spec["terminationGracePeriodSeconds"] < needed:
            name = deployment["metadata"]["name"]
            yield f"Deployment {name} is killed after {spec['terminationGracePeriodSeconds']} s, and may need {needed} s to stop"


def faults(binary, rendered):
    """Yields what a render asks of the binary that it does not have or do."""
    text = next(each for each in rendered.of("ConfigMap") if "natter.toml" in each.get("data", {}))["data"]["natter.toml"]
    config = tomllib.loads(text)
    for error in binary.validator.iter_errors(config):
        yield f"natter.toml: {'.'.join(map(str, error.absolute_path))}: {error.message}"
    if said := binary.refuses(text):
        yield f"natter.toml: {said}"
    for workload in rendered.of(*WORKLOADS):
        name = f"{workload['kind']} {workload['metadata']['name']}"
        _, spec = pod_of(workload)
        container = natter(spec)
        yield from _environment(binary, name, container.get("env", []))
        yield from _arguments(binary, name, container["args"])
        yield from _container(binary, name, container, config)
        yield from _files(name, spec, config)
    yield from _drain(binary, rendered, config)
    yield from metrics(rendered)
    for monitor in rendered.of("PodMonitor", "ServiceMonitor"):
        for endpoint in monitor["spec"].get("podMetricsEndpoints", []) + monitor["spec"].get("endpoints", []):
            if endpoint["path"] != binary.facts["metrics"]:
                yield f"{monitor['kind']}: looks at {endpoint['path']}, the binary answers {binary.facts['metrics']}"


def metrics(rendered):
    """Yields metrics that something scales by and that no process has; docs/operate/metrics.md is made from the code."""
    known = set(re.findall(r"`(natter_\w+)`", (ROOT / "docs" / "operate" / "metrics.md").read_text()))
    for manifest in rendered.of("HorizontalPodAutoscaler", "ScaledObject"):
        for metric in sorted(set(re.findall(r"\bnatter_\w+", json.dumps(manifest["spec"]))) - known):
            yield f"{manifest['kind']} {manifest['metadata']['name']} scales by {metric}, which nothing measures"


def repeats(binary, values):
    """Yields defaults that are written down in the chart too, and have gone another way than the binary's."""
    defaults = binary.defaults()
    for key, place in REPEATED.items():
        section, name = key.split(".")
        ours = values
        for part in place:
            ours = ours[part]
        if ours != defaults[section][name]:
            yield f"values.yaml: {'.'.join(place)} is {ours}, and the binary's default is {defaults[section][name]}"
    listed = re.search(r'"natter.config.live" -}}(.*?){{- end', (CHART / "templates" / "_config.tpl").read_text(), re.DOTALL)
    for key in sorted(set(listed[1].split()) - binary.live()):
        yield f"_config.tpl: no pod is replaced for {key}, and the binary does not take it over while it runs"
    for path in (CHART / "templates").rglob("*"):
        for section, name, ours in re.findall(r"\.config\.(\w+)\.(\w+) \| default (\w+)", path.read_text() if path.is_file() else ""):
            if str(defaults[section][name]) != ours:
                yield f"{path.name}: takes {ours} for {section}.{name}, and the binary takes {defaults[section][name]}"
