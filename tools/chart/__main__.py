"""The checks, one after another; see tools/check-chart."""

import itertools
import pathlib
import sys
import tempfile
import time

import yaml

from . import binary as binaries
from . import documents, exercise, generated, kubernetes, policies, programs, refusals, rules
from .charts import CHART, Stage, names

# Renders that are kept, so that a change of a template is seen as what it changes.
GOLDEN = ("minimal", "everything", "bundled-nats")


class Run:
    """Faults so far, and how long each step took."""

    def __init__(self, update):
        self.update = update
        self.faults = []

    def step(self, what, faults):
        began, before = time.monotonic(), len(self.faults)
        self.faults.extend(faults)
        found = len(self.faults) - before
        print(f"chart: {what}: {'ok' if not found else f'{found} faults'} ({time.monotonic() - began:.1f} s)")
        return found

    def same(self, path, wanted):
        """A file that is made must be as it would be made now."""
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted)
        elif not path.is_file() or path.read_text() != wanted:
            yield f"{path.relative_to(programs.ROOT)} is not current: `./justw chart --update`, and look at what changes"


def renders(stage, helms):
    """Renders everything with everything; returns the renders by values and Helm, and what went wrong."""
    made, faults = {}, []
    for name, (version, program), upgrade in itertools.product(names(), helms.items(), (False, True)):
        rendered, said = stage.render(program, name, [CHART / "ci" / f"{name}.yaml"], upgrade)
        if rendered is None:
            faults.append(f"{name}: {version} does not render it: {said.strip()}")
        else:
            made[name, version, upgrade] = rendered
    for name, upgrade in itertools.product(names(), (False, True)):
        texts = {made[key].text for key in made if key[0] == name and key[2] == upgrade}
        if len(texts) > 1:
            faults.append(f"{name}: Helm 3 and Helm 4 render it differently")
    return made, faults


def lint(stage, helms):
    for name, (version, program) in itertools.product(names(), helms.items()):
        done = stage.helm(program, "lint", "--strict", str(stage.chart), "--values", str(CHART / "ci" / f"{name}.yaml"))
        if done.returncode != 0:
            yield f"{name}: {version} lint: {(done.stdout + done.stderr).strip()}"


def schemas(validator, made):
    for (name, _, _), rendered in made.items():
        for manifest in rendered.own + rendered.foreign:
            yield from (f"{name}: {fault}" for fault in validator.faults(manifest))
    yield from (f"there is no schema for {kind}: add one to tools/chart/crds" for kind in validator.unknown)


def own_rules(made, binary):
    seen = set()
    for (name, _, _), rendered in made.items():
        for fault in itertools.chain(rules.faults(rendered), binaries.faults(binary, rendered)):
            if (name, fault) not in seen:
                seen.add((name, fault))
                yield f"{name}: {fault}"
    yield from binaries.repeats(binary, yaml.safe_load((CHART / "values.yaml").read_text()))


def rolls(stage, program, folder):
    """What pods take over by themselves replaces none of them; everything else does."""
    file = pathlib.Path(folder) / "change.yaml"

    def pods(text):
        file.write_text(text)
        rendered, said = stage.render(program, "change", [CHART / "ci" / "minimal.yaml", file])
        return [each["spec"]["template"] for each in rendered.of("Deployment")] if rendered else said

    before = pods("")
    for change in ("telemetry: {log: debug}", "connection: {limits: {message_bytes_max: 1024}}"):
        if pods(f"config: {{{change}}}") != before:
            yield f"config.{change} replaces pods, which would take it over"
    for change in ("telemetry: {format: text}", "connection: {limits: {frame_bytes_max: 300000}}", "storage: {gather_ms: 9}"):
        if pods(f"config: {{{change}}}") == before:
            yield f"config.{change} replaces no pod, and none would see it"


def golden(run, made, version):
    for name in GOLDEN:
        yield from run.same(CHART / "tests" / "golden" / f"{name}.yaml", made[name, version, False].golden)


def notes(run, stage, version, program):
    """What somebody who installs is told; Helm 3 would ask a cluster first."""
    if not version.startswith("v4."):
        stage.complaints.append("only Helm 4 shows NOTES.txt without a cluster: it was NOT checked")
        return
    for name in GOLDEN:
        text = stage.notes(program, [CHART / "ci" / f"{name}.yaml"])
        yield from run.same(CHART / "tests" / "golden" / f"{name}.txt", text)


def checked_by_policies(made, version):
    with tempfile.TemporaryDirectory() as folder:
        for (name, which, upgrade), rendered in made.items():
            if which == version and not upgrade:
                (pathlib.Path(folder) / f"{name}.yaml").write_text(rendered.text)
        yield from policies.faults(folder)


def check(run, binary, helms, folder):
    run.step("generated schema and table", itertools.chain(
        run.same(CHART / "values.schema.json", generated.schema(binary.schema)),
        run.same(CHART / "README.md", generated.readme()),
        (f"values.yaml says nothing about {key}" for key in generated.undocumented()),
    ))
    stage = Stage(folder, helms)
    newest = list(helms)[-1]
    made, faults = renders(stage, helms)
    run.step(f"{len(made)} renders of {len(names())} sets of values with {', '.join(helms)}", faults)
    run.step("lint, strict", lint(stage, helms))
    validator = kubernetes.Validator()
    faulty = run.step(f"schemas of Kubernetes {', '.join(kubernetes.VERSIONS)}", schemas(validator, made))
    counts = validator.counts
    print(f"chart: {counts['kubernetes']} manifests by Kubernetes' schemas, {counts['custom']} by tools/chart/crds")
    # What Kubernetes does not take as it is has no parts to hold against each other.
    if not faults and not faulty:
        run.step("rules between manifests, and with the binary", own_rules(made, binary))
        run.step("which changes replace pods", rolls(stage, helms[newest], folder))
        run.step("golden renders", itertools.chain(golden(run, made, newest), notes(run, stage, newest, helms[newest])))
    for version, program in helms.items():
        run.step(f"{len(refusals.cases())} mistakes are refused by {version}", refusals.faults(stage, version, program))
    run.step("what it renders, run", exercise.faults(stage, binary.program, helms[newest], folder))
    kubectl = programs.kubectl()
    run.step("values and commands in documents", itertools.chain(
        documents.values(stage, helms[newest]), documents.commands(helms, kubectl)
    ))
    if not kubectl:
        stage.complaints.append("there is no kubectl here: its commands in documents were NOT checked")
    run.step("policies", checked_by_policies(made, newest))
    print(f"chart: policies that are skipped: {policies.skipped()}")
    return stage.complaints


def main():
    run = Run(sys.argv[2:] == ["--update"])
    try:
        helms, complaints = programs.helms()
    except programs.Missing as missing:
        print(f"chart: {missing}", file=sys.stderr)
        return 1
    binary = binaries.Binary(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        complaints += check(run, binary, helms, folder)
    for complaint in complaints:
        print(f"chart: {complaint}")
    for fault in run.faults:
        print(f"chart: {fault}", file=sys.stderr)
    return 1 if run.faults else 0


if __name__ == "__main__":
    sys.exit(main())
