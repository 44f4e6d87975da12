"""The expressions of dashboards and rules."""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FILES = ROOT / "helm" / "natter" / "files"
RULES = FILES / "rules"
# What Grafana puts in for its own variables.
VARIABLES = {"$__rate_interval": "1m", "$__range": "1h", "$__interval": "15s"}


def dashboards():
    """Yields where each expression of a dashboard stands, and the expression as Prometheus gets it."""
    for path in sorted((FILES / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"]
                for variable, value in VARIABLES.items():
                    expression = expression.replace(variable, value)
                yield f"{path.name}: {panel['title']}", expression


def documents():
    """Yields every expression that the operators' pages tell to ask."""
    for path in sorted((ROOT / "docs" / "operate").rglob("*.md")):
        for block in re.findall(r"^```promql\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            yield str(path.relative_to(ROOT)), block.strip()


def rules():
    """Yields where each rule stands, and the rule.

    The files use a small part of YAML, which this reads without a library: rules with a folded
    expression, and labels and annotations.
    """
    for path in sorted(RULES.glob("*.yaml")):
        for block in re.split(r"^      - (?=alert:|record:)", path.read_text(), flags=re.MULTILINE)[1:]:
            yield f"{path.name}: {block.splitlines()[0]}", parse(block)


def parse(block):
    """Reads one rule."""
    kind, name = re.match(r"(alert|record): (\S+)", block).groups()
    folded = re.search(r"^        expr: >-\n((?:^ {10}.*\n)+)", block, re.MULTILINE)
    plain = re.search(r"^        expr: (?!>)(.*)$", block, re.MULTILINE)
    expression = " ".join(line.strip() for line in folded.group(1).splitlines()) if folded else plain.group(1)
    labels = re.search(r"^        labels: \{(.*)\}$", block, re.MULTILINE)
    labels = dict(pair.split(": ") for pair in labels.group(1).split(", ")) if labels else {}
    annotations = dict(re.findall(r"^          (summary|description|runbook_url): (.*)$", block, re.MULTILINE))
    return {kind: name, "expr": expression, "labels": labels, "annotations": annotations}


def recorded():
    """Returns the names that rules record."""
    return {rule["record"] for _, rule in rules() if "record" in rule}


def metrics_in(expression):
    """Returns every metric of Natter that an expression names, outside of its label values."""
    return set(re.findall(r"\bnatter[_:][\w:]+", re.sub(r'"[^"]*"', '""', expression)))
