"""What Kubernetes says of a manifest: its schemas, strictly, at several versions; and those of others that the chart speaks to."""

import functools
import json
import pathlib

import jsonschema
import kubernetes_validate
from kubernetes_validate import utils

# The oldest that Chart.yaml allows, the newest that has schemas, and between.
VERSIONS = ["1.28", "1.31", "1.34", "1.37"]
CRDS = pathlib.Path(__file__).resolve().parent / "crds"

utils.schema_contents = functools.cache(utils.schema_contents)


@functools.cache
def _custom():
    """The schemas of kinds that are not of Kubernetes itself, by version and kind."""
    found = {}
    for path in CRDS.glob("*.json"):
        schema = json.loads(path.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        for name, kind in schema["kinds"].items():
            found[name] = jsonschema.Draft202012Validator({**kind, "$defs": schema.get("$defs", {})})
    return found


def _where(error):
    return ".".join(str(each) for each in error.absolute_path) or "the whole"


class Validator:
    """Checks manifests, each different one once; remembers what had no schema."""

    def __init__(self):
        self.seen = set()
        self.counts = {"kubernetes": 0, "custom": 0}
        self.unknown = set()

    def faults(self, manifest):
        key = json.dumps(manifest, sort_keys=True)
        if key in self.seen:
            return
        self.seen.add(key)
        name = f"{manifest['kind']} {manifest['metadata'].get('name')}"
        kind = f"{manifest['apiVersion']}/{manifest['kind']}"
        if (validator := _custom().get(kind)) is not None:
            self.counts["custom"] += 1
            for error in validator.iter_errors(manifest):
                yield f"{name}: {_where(error)}: {error.message}"
            return
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{name}: Kubernetes {version} refuses {'.'.join(map(str, error.path))}: {error.message[:300]}"
            except kubernetes_validate.SchemaNotFoundError:
                self.unknown.add(kind)
        self.counts["kubernetes"] += 1
