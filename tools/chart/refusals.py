"""Mistakes that the chart must refuse, with words that help: tests/refused.yaml."""

import json
import pathlib
import tempfile

import yaml

from .charts import CHART


def cases():
    return yaml.safe_load((CHART / "tests" / "refused.yaml").read_text())


def faults(stage, version, program):
    """Yields the mistakes that a Helm takes, or refuses with other words."""
    minimal = CHART / "ci" / "minimal.yaml"
    with tempfile.TemporaryDirectory() as folder:
        for case in cases():
            mistake = pathlib.Path(folder) / "mistake.yaml"
            mistake.write_text(json.dumps(case["values"]))
            rendered, said = stage.render(program, case["mistake"], [minimal, mistake])
            if rendered is not None:
                yield f"{version} takes this mistake: {case['mistake']}"
            elif not all(word in said for word in case["says"]):
                yield f"{version} refuses {case['mistake']!r}, and does not say {case['says']}: {said.strip()[:600]}"
