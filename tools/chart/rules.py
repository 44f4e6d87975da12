"""Rules between the manifests of one render: what one names, another is; what is promised of every pod, every pod has."""

import collections
import json

import yaml

from .charts import CHART

FILES = CHART / "files"
WORKLOADS = ("Deployment", "Job", "Pod")


def pod_of(manifest):
    """Returns labels and specification of the pod that a workload makes."""
    if manifest["kind"] == "Pod":
        return manifest["metadata"].get("labels", {}), manifest["spec"]
    template = manifest["spec"]["template"]
    return template["metadata"].get("labels", {}), template["spec"]


def _matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", selector).items() if key != "matchExpressions")


def natter(spec):
    """Returns the container that runs the binary."""
    return next(each for each in spec["containers"] if each["name"] == "natter")


def _names(rendered):
    counted = collections.Counter((each["kind"], each["metadata"]["name"]) for each in rendered.own)
    for (kind, name), count in counted.items():
        if count > 1:
            yield f"{kind} {name} stands {count} times"
        if len(name) > 63:
            yield f"{kind} {name} is longer than 63 characters"


def _selectors(rendered):
    pods = [pod_of(each)[0] for each in rendered.of(*WORKLOADS)]
    for manifest in rendered.of("Deployment"):
        if not _matches(manifest["spec"]["selector"], pod_of(manifest)[0]):
            yield f"Deployment {manifest['metadata']['name']} does not select its own pods"
    for manifest in rendered.of("Service", "PodDisruptionBudget"):
        if not any(_matches(manifest["spec"]["selector"], labels) for labels in pods):
            yield f"{manifest['kind']} {manifest['metadata']['name']} selects no pod"
    for manifest in rendered.of("HorizontalPodAutoscaler", "ScaledObject"):
        target = manifest["spec"]["scaleTargetRef"]["name"]
        deployment = next((each for each in rendered.of("Deployment") if each["metadata"]["name"] == target), None)
        if deployment is None:
            yield f"{manifest['kind']} {manifest['metadata']['name']} scales {target}, which is not there"
        elif "replicas" in deployment["spec"]:
            yield f"Deployment {target} has a number of replicas and something that scales it"
    services = {each["metadata"]["name"] for each in rendered.of("Service")}
    for manifest in rendered.of("Ingress"):
        for rule in manifest["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                if path["backend"]["service"]["name"] not in services:
                    yield f"Ingress {manifest['metadata']['name']} leads to no Service"


def _policies(rendered):
    """Each pod is denied everything, and has a policy of its own that says what it may."""
    policies = rendered.of("NetworkPolicy")
    if not policies:
        return
    for workload in rendered.of(*WORKLOADS):
        labels, _ = pod_of(workload)
        matching = [each for each in policies if _matches(each["spec"]["podSelector"], labels)]
        if len(matching) != 2:
            yield f"{workload['kind']} {workload['metadata']['name']} has {len(matching)} network policies, not denial and its own"
        for each in matching:
            if each["spec"]["policyTypes"] != ["Ingress", "Egress"]:
                yield f"NetworkPolicy {each['metadata']['name']} does not cover both directions"


def _parts(rendered):
    """Volumes, mounts, ports and accounts that a pod names are there."""
    accounts = {each["metadata"]["name"] for each in rendered.of("ServiceAccount")}
    maps = {each["metadata"]["name"] for each in rendered.of("ConfigMap")}
    for workload in rendered.of(*WORKLOADS):
        name = f"{workload['kind']} {workload['metadata']['name']}"
        _, spec = pod_of(workload)
        if spec.get("serviceAccountName") not in accounts:
            yield f"{name} has no service account of its own"
        volumes = {each["name"]: each for each in spec.get("volumes", [])}
        for volume in volumes.values():
            if (wanted := volume.get("configMap", {}).get("name")) and wanted not in maps:
                yield f"{name} mounts the ConfigMap {wanted}, which is not there"
        container = natter(spec)
        mounted = [each["name"] for each in container.get("volumeMounts", [])]
        if set(mounted) != set(volumes):
            yield f"{name}: volumes {sorted(volumes)} and mounts {sorted(mounted)} differ"
        ports = {each["name"] for each in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in container and container[probe]["httpGet"]["port"] not in ports:
                yield f"{name}: the {probe} asks a port that is not there"
        variables = collections.Counter(each["name"] for each in container.get("env", []))
        yield from (f"{name}: {variable} is set twice" for variable, count in variables.items() if count > 1)


def _secure(rendered):
    """The restricted Pod Security Standard, and no token of Kubernetes."""
    for workload in rendered.of(*WORKLOADS):
        name = f"{workload['kind']} {workload['metadata']['name']}"
        _, spec = pod_of(workload)
        pod, container = spec["securityContext"], natter(spec)["securityContext"]
        wanted = {
            "runAsNonRoot": pod.get("runAsNonRoot") is True,
            "runAsUser 65532": pod.get("runAsUser") == 65532,
            "seccomp RuntimeDefault": pod.get("seccompProfile") == {"type": "RuntimeDefault"},
            "no more privileges": container.get("allowPrivilegeEscalation") is False,
            "drop ALL": container.get("capabilities") == {"drop": ["ALL"]},
            "a root file system that is read only": container.get("readOnlyRootFilesystem") is True,
            "no token": spec.get("automountServiceAccountToken") is False,
            "no variables of Services": spec.get("enableServiceLinks") is False,
            "a limit of memory": "memory" in natter(spec).get("resources", {}).get("limits", {}),
        }
        yield from (f"{name} is without: {what}" for what, held in wanted.items() if not held)


def _foreign(rendered):
    """What comes along with the release keeps to the same standard."""
    for workload in rendered.foreign:
        if workload["kind"] not in (*WORKLOADS, "StatefulSet"):
            continue
        _, spec = pod_of(workload)
        pod = spec.get("securityContext", {})
        restricted = pod.get("runAsNonRoot") is True and "seccompProfile" in pod
        for container in spec["containers"]:
            own = container.get("securityContext", {})
            restricted &= own.get("allowPrivilegeEscalation") is False and own.get("capabilities", {}).get("drop") == ["ALL"]
        if not restricted:
            yield f"{workload['kind']} {workload['metadata']['name']} would not run under the restricted standard"


def _rolling(rendered):
    for deployment in rendered.of("Deployment"):
        strategy = deployment["spec"]["strategy"]
        if strategy["type"] == "RollingUpdate" and strategy["rollingUpdate"]["maxUnavailable"] != 0:
            yield f"Deployment {deployment['metadata']['name']} rolls by taking pods away first"


def _copies(rendered):
    """Rules and dashboards arrive as the files say, and fit into an object."""
    rules = [each["spec"]["groups"] for each in rendered.of("PrometheusRule")]
    if rules:
        files = sorted((FILES / "rules").glob("*.yaml"))
        if rules != [yaml.safe_load(path.read_text())["groups"] for path in files]:
            yield "the PrometheusRules are not what files/rules says"
    for each in rendered.of("ConfigMap"):
        for name, text in each.get("data", {}).items():
            if len(text) > 900_000:
                yield f"ConfigMap {each['metadata']['name']} is too large for Kubernetes"
            if name.endswith(".json") and json.loads(text) != json.loads((FILES / "dashboards" / name).read_text()):
                yield f"ConfigMap {each['metadata']['name']} is not what files/dashboards/{name} says"


def faults(rendered):
    for rule in (_names, _selectors, _policies, _parts, _secure, _foreign, _rolling, _copies):
        yield from rule(rendered)
