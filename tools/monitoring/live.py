"""Natter under a little load, a Prometheus that scrapes it, and every expression asked of it."""

import base64
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from monitoring.expressions import RULES, dashboards, documents, metrics_in, rules

LIMIT = 120
# What shows only after something that this deployment does not go through, and what that is.
NOT_PROVOKED = {
    "natter_storage_log_behind_total": "a NATS that was put back",
    "natter_reconciler_divergent_entries_total": "a log that was changed by hand",
    "natter_consumers_made_anew_total": "a consumer that was deleted",
}
# Panels of what must not happen may be empty; every other one has to show something.
FAILURES = re.compile(r'outcome(!=|=~)|> 0$|ALERTS')
# Rates low enough for the load to meet them, and a handshake short enough to wait for.
SETTINGS = {
    "connection.user_requests_per_sec": 20,
    "connection.user_requests_burst": 20,
    "connection.handshake_timeout_ms": 1000,
}


class Deployment:
    """Everything that runs, until the folder is left."""

    def __init__(self, natter, prometheus, stack, folder):
        self.natter, self.prometheus, self.stack, self.folder = natter, prometheus, stack, folder
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(("NATTER_", "OTEL_"))}
        self.environment |= {"NATTER_DATA_DIR": str(folder / "data")}
        server = pathlib.Path(__file__).resolve().parent.parent.parent / ".tools" / "bin" / "nats-server"
        self.environment["NATTER_NATS_SERVER"] = os.environ.get("NATTER_NATS_SERVER") or str(server)

    def start(self, name, command):
        """Starts a program; what it says goes into a file that a failure shows."""
        log = self.stack.enter_context((self.folder / f"{name}.log").open("w"))
        process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        self.stack.callback(stop, process)
        return process

    def said(self, name, pattern):
        """Waits until a program has said something."""
        return until(f"{name} to say {pattern}", lambda: re.search(pattern, (self.folder / f"{name}.log").read_text()), self.folder)

    def up(self):
        settings = [f"--set={key}={value}" for key, value in SETTINGS.items()]
        serve = [self.natter, "serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", *settings]
        self.process = self.start("natter", serve)
        self.url = self.said("natter", r"connection (ws://\S+)").group(1)
        admins = [self.said("natter", r"admin http://(\S+)").group(1)]
        self.said("natter", r"(?m)^ready$")
        if subprocess.run([self.natter, "help", "canary"], capture_output=True).returncode == 0:
            port = free_port()
            admins.append(f"127.0.0.1:{port}")
            self.start("canary", [self.natter, "canary", "--every=500ms", f"--set=admin.listen={admins[-1]}"])
        else:
            print("monitoring: this binary has no canary: its expressions are asked, and answer nothing", file=sys.stderr)
        self.scrape(admins)

    def scrape(self, targets):
        rules_folder = self.folder / "rules"
        rules_folder.mkdir()
        for source in RULES.glob("*.yaml"):
            (rules_folder / source.name).write_text(source.read_text().replace("interval: 30s", "interval: 1s"))
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{rules_folder}/*.yaml"],
            "scrape_configs": [{"job_name": "natter", "static_configs": [{"targets": targets}]}],
        }
        (self.folder / "prometheus.json").write_text(json.dumps(config))
        self.address = f"127.0.0.1:{free_port()}"
        self.start("prometheus", [
            self.prometheus / "prometheus",
            f"--config.file={self.folder}/prometheus.json",
            f"--storage.tsdb.path={self.folder}/tsdb",
            f"--web.listen-address={self.address}",
        ])  # fmt: skip
        until("Prometheus to scrape all", lambda: len(self.ask("up == 1") or []) == len(targets), self.folder)

    def ask(self, expression):
        """Returns what an expression yields, None while Prometheus starts, or raises what it has against it."""
        query = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/query?{query}", timeout=30) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise ValueError(json.load(error)["error"]) from error
        except OSError:
            return None

    def load(self):
        """People who talk, come and go; one who says nothing."""
        silent = threading.Thread(target=say_nothing, args=(self.url,))
        silent.start()
        log = self.folder / "log.txt"
        with log.open("w") as file:
            subprocess.run([self.natter, "replay", "--generate=3", "--lines=600", "--speakers=20"], env=self.environment, stdout=file, check=True)
        replay = self.start("replay", [self.natter, "replay", log, f"--gateways={self.url}"])
        if replay.wait(LIMIT) != 0:
            raise RuntimeError(f"the replay failed:\n{(self.folder / 'replay.log').read_text()[-2000:]}")
        silent.join()
        self.ask_too_often()
        self.process.send_signal(signal.SIGHUP)
        # Once more for rates, and for the rules that are evaluated after that.
        scraped = time.time()
        until("rules to be evaluated", lambda: self.ask(f"min(timestamp(natter_build_info)) > {scraped + 3}"), self.folder)


    def ask_too_often(self):
        """One user who asks for more than the rate allows: refused by name."""
        token = subprocess.run([self.natter, "token", "--as=eve"], env=self.environment, capture_output=True, text=True, check=True).stdout.strip()
        address = re.sub(r"^ws(.*)/v1/ws$", r"http\1/v1/conversations", self.url)
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
        for _ in range(10 * SETTINGS["connection.user_requests_burst"]):
            try:
                urllib.request.urlopen(request, timeout=30).read()
            except urllib.error.HTTPError as refused:
                if refused.code == 429:
                    return
                raise
        raise RuntimeError("a user was never refused for asking too often")


def say_nothing(url):
    """A client that never says hello: the gateway closes it."""
    host, port = re.match(r"ws://([^:/]+):(\d+)", url).groups()
    with socket.create_connection((host, int(port)), timeout=30) as wire:
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET /v1/ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: natter.v1\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        wire.sendall(head.encode())
        while wire.recv(4096):
            pass


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def stop(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until(what, probe, folder):
    """Waits for something, and shows the logs when it does not come."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(0.1)
    logs = "".join(f"\n{path.name}:\n{path.read_text()[-1500:]}" for path in folder.glob("*.log"))
    raise RuntimeError(f"waited {LIMIT} s for {what}{logs}")


def check(natter, prometheus, known, faults):
    """Asks everything, and adds what is wrong."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        deployment = Deployment(natter, prometheus, stack, pathlib.Path(folder))
        deployment.up()
        deployment.load()
        with urllib.request.urlopen(f"http://{deployment.address}/api/v1/label/__name__/values", timeout=30) as answer:
            seen = {name for name in json.load(answer)["data"] if re.match("natter[_:]", name)}
        asked = 0
        for where, expression in [*dashboards(), *documents(), *((where, rule["expr"]) for where, rule in rules())]:
            asked += 1
            try:
                silent = FAILURES.search(expression) or metrics_in(expression) & NOT_PROVOKED.keys()
                if deployment.ask(expression) == [] and where.startswith("natter-") and not silent:
                    faults.append(f"{where}: answers nothing\n  {expression}")
            except ValueError as error:
                faults.append(f"{where}: {error}\n  {expression}")
            for name in sorted(metrics_in(expression) - seen - NOT_PROVOKED.keys()):
                faults.append(f"{where}: nothing shows {name}")
        bare = {re.sub(r"_(bucket|sum|count)$", "", name) if name not in known else name for name in seen if ":" not in name}
        for name in sorted(bare - known.keys()):
            faults.append(f"{name}: is scraped and not in `natter metrics`")
        print(f"monitoring: {asked} expressions asked of Prometheus, which has {len(bare)} of {len(known)} metrics")
