"""What the documents tell operators to do: values are rendered, commands must exist in Helm and kubectl."""

import functools
import pathlib
import re
import shlex
import subprocess
import tempfile

from .charts import CHART, ROOT, load

BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def _pages():
    yield from sorted((ROOT / "docs" / "operate").glob("*.md"))
    yield from (CHART / "README.md", CHART / "UPGRADING.md")


def _blocks(*languages):
    for page in _pages():
        for language, text in BLOCK.findall(page.read_text()):
            if language in languages:
                yield page.name, text


def values(stage, program):
    """Each block that begins with `# values` is taken by the chart, over the least that it needs."""
    with tempfile.TemporaryDirectory() as folder:
        for page, text in _blocks("yaml"):
            if not text.startswith("# values"):
                continue
            file = pathlib.Path(folder) / "values.yaml"
            file.write_text(text)
            rendered, said = stage.render(program, page, [CHART / "ci" / "minimal.yaml", file])
            if rendered is None:
                yield f"{page}: values that the chart refuses: {said.strip()[-400:]}"


@functools.cache
def _help(program, words):
    shown = subprocess.run([program, *words, "--help"], capture_output=True, text=True)
    return shown.stdout if shown.returncode == 0 else None


def _set(setting, known):
    """The key of `--set`, followed into the chart's values."""
    for part in setting.split("=")[0].split("."):
        if not isinstance(known, dict) or part not in known:
            return False
        known = known[part]
    return True


def _faults(words, programs, known):
    subcommand, rest = [], iter(words[1:])
    for word in rest:
        if word == "--namespace":
            next(rest)
            continue
        if word.startswith("-") or not re.fullmatch(r"[a-z][a-z-]*", word) or len(subcommand) == 3:
            break
        subcommand.append(word)
    # A name such as that of a release looks like a subcommand; the flags are then those of the first word.
    for program in programs:
        flags = "".join(_help(program, tuple(subcommand[:depth])) or "" for depth in (1, 2, 3))
        flags += subprocess.run([program, "options"], capture_output=True, text=True).stdout
        shown = _help(program, tuple(subcommand[:1]))
        # kubectl shows its own help for what it does not know.
        if shown is None or not re.search(rf"^  {words[0]} {subcommand[0]}\b", shown, re.MULTILINE):
            yield f"there is no `{words[0]} {subcommand[0]}`"
        for word in (word.split("=")[0] for word in words if word.startswith("--")):
            if not re.search(rf"{re.escape(word)}(?![\w-])", flags):
                yield f"`{words[0]} {' '.join(subcommand)}` has no {word}"
    for flag, setting in zip(words, words[1:]):
        if words[0] == "helm" and flag == "--set" and not _set(setting, known):
            yield f"the chart has no value {setting.split('=')[0]}"


def commands(helms, kubectl):
    known = load((CHART / "values.yaml").read_text())[0]
    programs = {"helm": list(helms.values()), "kubectl": [kubectl] if kubectl else []}
    for page, text in _blocks("sh"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            words = words[: words.index(">")] if ">" in words else words
            if words and words[0] in programs:
                yield from (f"{page}: {fault} (`{' '.join(words)}`)" for fault in _faults(words, programs[words[0]], known))
