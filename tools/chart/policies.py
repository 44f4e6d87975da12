"""Policies for Kubernetes manifests, by checkov. What is skipped, and why, stands here."""

import json
import pathlib
import subprocess
import sys

SKIPPED = {
    "CKV_K8S_11": "CPU has no limit: a throttled gateway is late for everybody on it, and requests share the node fairly",
    "CKV_K8S_14": "the tag is the release's version, and image.digest pins it where that is wanted",
    "CKV_K8S_15": "an image with the tag of a release never changes: pulling it again at every start only adds a way to fail",
    "CKV_K8S_35": "NATTER_AUTH__HS256_SECRET and NATTER_STORAGE__URL come from Secrets by reference; files would say no less",
    "CKV_K8S_43": "image.digest is for whoever pins by digest; the default names the release",
}

# A pod that runs once and ends has nobody to answer.
ONCE = {"CKV_K8S_8", "CKV_K8S_9"}


def faults(folder):
    """Yields the policies that manifests in a folder fail."""
    command = [sys.executable, "-m", "checkov.main", "--directory", str(folder), "--framework", "kubernetes"]
    command += ["--skip-check", ",".join(SKIPPED), "--output", "json", "--compact", "--quiet", "--skip-download"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        yield f"checkov did not work: {(done.stderr or done.stdout).strip()[-600:]}"
        return
    if "results" not in report:
        yield "checkov found nothing to check"
        return
    for failed in report["results"]["failed_checks"]:
        if failed["check_id"] in ONCE and failed["resource"].startswith("Pod."):
            continue
        file = pathlib.Path(failed["file_path"]).name
        yield f"{failed['check_id']} ({failed['check_name']}): {failed['resource']} in {file}"


def skipped():
    return "; ".join(f"{name}: {why}" for name, why in SKIPPED.items())
