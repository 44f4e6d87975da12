"""What is made from values.yaml, values.schema.yaml and the binary: values.schema.json and the table in README.md."""

import copy
import json
import re

import yaml

from .charts import CHART

# Of the binary's schema, what says which values are right; defaults are its own business.
KEPT = {"type", "properties", "additionalProperties", "items", "oneOf", "anyOf", "enum", "const", "minimum", "maximum", "description"}
BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"


def _of_binary(binary, stricter):
    """The binary's schema as definitions of ours, stricter where the chart needs it."""

    def moved(node):
        if not isinstance(node, dict):
            return [moved(each) for each in node] if isinstance(node, list) else node
        if "$ref" in node:
            return {"$ref": "#/$defs/natter-" + node["$ref"].rsplit("/", 1)[1]}
        kept = {key: moved(value) for key, value in node.items() if key in KEPT and key != "properties"}
        if "properties" in node:
            kept["properties"] = {name: moved(each) for name, each in node["properties"].items()}
        return kept

    defined = {f"natter-{name}": moved(each) for name, each in binary["$defs"].items()}
    whole = moved(binary)
    for section, more in stricter.items():
        target = defined[whole["properties"][section]["$ref"].rsplit("/", 1)[1]]
        target["required"] = more["required"]
        for name, rules in more["properties"].items():
            target["properties"][name] |= rules
    return {"natter": whole, **defined}


def _expanded(node, definitions):
    """`$extends: NAME` becomes the properties of that definition, less `without`, plus the node's own."""
    if isinstance(node, list):
        return [_expanded(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: _expanded(value, definitions) for key, value in node.items()}
    if "$extends" not in node:
        return node
    base = copy.deepcopy(definitions[node.pop("$extends")])
    without = node.pop("without", [])
    properties = {key: value for key, value in base["properties"].items() if key not in without}
    return {**base, "additionalProperties": False, "properties": {**properties, **node.get("properties", {})}}


def schema(binary):
    source = yaml.safe_load((CHART / "values.schema.yaml").read_text())
    definitions, stricter = source.pop("$defs"), source.pop("x-config")
    whole = _expanded(source, definitions)
    bases = {name for name, each in definitions.items() if each.pop("base", False)}
    kept = {name: each for name, each in definitions.items() if name not in bases}
    whole["$defs"] = {**kept, **_of_binary(binary, stricter)}
    return json.dumps(whole, indent=2) + "\n"


def _said(default):
    text = json.dumps(default)
    return f"`{text}`" if len(text) <= 90 else "see values.yaml"


def rows():
    """Yields path, default and meaning of every value that has a `# --` comment."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    path, comment = [], []
    for line in (CHART / "values.yaml").read_text().splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            comment = [stripped[5:]]
        elif stripped.startswith("# ") and comment:
            comment.append(stripped[2:])
        elif (key := re.match(r"^( *)([\w.-]+):", line)) is not None:
            path = [*path[: len(key[1]) // 2], key[2]]
            if comment:
                value = values
                for part in path:
                    value = value[part]
                yield ".".join(path), value, " ".join(comment)
            comment = []
        else:
            comment = []


def table():
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, default, meaning in rows():
        lines.append(f"| `{path}` | {_said(default)} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def readme():
    text = (CHART / "README.md").read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def undocumented():
    """Yields the top-level values and services' values without a word about them."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    known = {path for path, _, _ in rows()}
    for key in values:
        if not any(path == key or path.startswith(key + ".") for path in known):
            yield key
