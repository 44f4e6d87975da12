"""The chart as the checks use it: a copy, values to render it with, and what comes out."""

import dataclasses
import pathlib
import shutil
import subprocess

import yaml

from . import programs

ROOT = programs.ROOT
CHART = ROOT / "helm" / "natter"
NAMESPACE = "chat"
RELEASE = "talk"


class Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):
    """Refuses a key that stands twice in a map; YAML libraries take the last one, and say nothing."""


def _unique(loader, node, deep=False):
    loader.flatten_mapping(node)
    seen = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=deep)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique)


@dataclasses.dataclass
class Rendered:
    """One render: of the chart itself, and of the charts that it brings along."""

    name: str
    text: str
    # The text without rules and dashboards: they are files of their own, and are shown as those.
    golden: str
    own: list
    foreign: list

    def of(self, *kinds):
        return [manifest for manifest in self.own if manifest["kind"] in kinds]


def values(name):
    return yaml.load((CHART / "ci" / f"{name}.yaml").read_text(), Loader)


def names():
    """The sets of values that everything is checked with."""
    return sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))


def load(text):
    return [each for each in yaml.load_all(text, Loader) if each]


def _joined(documents):
    text = "\n---\n".join(documents).strip() + "\n"
    return text if text.startswith("---\n") else "---\n" + text


class Stage:
    """A copy of the chart in a folder of its own, with its dependencies in place."""

    def __init__(self, folder, helms):
        self.folder = pathlib.Path(folder)
        self.chart = self.folder / "natter"
        self.helms = helms
        self.complaints = []
        shutil.copytree(CHART, self.chart, ignore=shutil.ignore_patterns("charts"))
        for dependency in yaml.safe_load((CHART / "Chart.yaml").read_text())["dependencies"]:
            self._bring(dependency)

    def _bring(self, dependency):
        """Puts a dependency into place, or an empty chart when it is not at hand."""
        name, version = dependency["name"], dependency["version"]
        charts = self.chart / "charts"
        charts.mkdir(exist_ok=True)
        for place in (programs.KEPT, CHART / "charts"):
            if (archive := place / f"{name}-{version}.tgz").is_file():
                shutil.copy(archive, charts)
                return
        (charts / name).mkdir()
        (charts / name / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: {version}\n")
        pull = f"helm pull {name} --repo {dependency['repository']} --version {version} --destination .tools/chart"
        self.complaints.append(f"the chart {name} {version} is not at hand, so what it renders was NOT checked (`{pull}`)")

    def helm(self, program, *arguments):
        return subprocess.run([program, *arguments], capture_output=True, text=True, cwd=self.folder)

    def notes(self, program, files):
        """What somebody who installs is told."""
        flags = [flag for file in files for flag in ("--values", str(file))]
        done = self.helm(program, "install", RELEASE, str(self.chart), "--namespace", NAMESPACE, "--dry-run=client", *flags)
        return done.stdout.partition("\nNOTES:\n")[2]

    def render(self, program, name, files, upgrade=False):
        """Renders; the text is what Helm said instead when it refused."""
        flags = [flag for file in files for flag in ("--values", str(file))]
        flags += ["--is-upgrade"] if upgrade else []
        done = self.helm(program, "template", RELEASE, str(self.chart), "--namespace", NAMESPACE, *flags)
        if done.returncode != 0:
            return None, done.stderr
        own, foreign = [], []
        for document in done.stdout.split("\n---\n"):
            (foreign if "# Source: natter/charts/" in document else own).append(document)
        copies = ("kind: PrometheusRule\n", "app.kubernetes.io/component: dashboards\n")
        golden = [document for document in own if not any(copy in document for copy in copies)]
        parsed = lambda documents: [each for document in documents for each in load(document)]
        return Rendered(name, _joined(own), _joined(golden), parsed(own), parsed(foreign)), ""
