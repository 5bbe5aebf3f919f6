# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus and a real Alertmanager on free ports, with the rules and the configuration that are shipped, and an
application whose errors can be switched on. Everything is ended by its process id."""

import http.server
import json
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, patience=20, step=0.02):
    """The first value of `condition` that is true."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(step)
    raise RuntimeError(f"{what}: not within {patience} s")


def http_json(url, body=None, token=None, method=None, timeout=10):
    """Status, document and seconds of one request; the document is None when the answer is no JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    start = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    seconds = time.monotonic() - start
    try:
        return status, json.loads(text), seconds
    except ValueError:
        return status, None, seconds


class Application:
    """What the module serves: /metrics with app_errors_total, which grows by 20 a second while `broken`."""

    def __init__(self):
        self.broken_since = None
        self.errors = 0.0
        self.first_bad_scrape = None  # wall clock: when Prometheus got the first sample with an error in it
        application = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = f"# TYPE app_errors_total counter\napp_errors_total {application.scrape():.0f}\n".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def scrape(self):
        if self.broken_since is None:
            return self.errors
        now = self.errors + (time.time() - self.broken_since) * 20
        if self.first_bad_scrape is None and now >= self.errors + 1:
            self.first_bad_scrape = time.time()
        return now

    def break_down(self):
        self.broken_since, self.first_bad_scrape = time.time(), None

    def repair(self):
        self.errors = self.scrape()
        self.broken_since = None

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Process:
    def __init__(self, name, command, folder):
        self.name, self.command, self.log = name, [str(part) for part in command], folder / f"{name}.log"
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def check(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {self.log.read_text(errors='replace')[-1500:]}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


class Watch:
    """Prometheus and Alertmanager as alerts/ ships them, with this host's ports and paths."""

    def __init__(self, folder, metrics_address, api_address, token_file, application):
        self.prometheus_url = f"http://127.0.0.1:{free_port()}"
        self.alertmanager_url = f"http://127.0.0.1:{free_port()}"
        alerts = ROOT / "alerts"
        for name in ("mapshift.rules.yml", "examples/rollback.rules.yml"):
            shutil.copy(alerts / name, folder / pathlib.Path(name).name)
        config = (alerts / "examples/prometheus.yml").read_text()
        config = self.replace(config, {"../mapshift.rules.yml": "mapshift.rules.yml", "127.0.0.1:9093": self.alertmanager_url[7:],
                                       "127.0.0.1:9847": metrics_address, "127.0.0.1:8080": application.address})
        (folder / "prometheus.yml").write_text(config)
        config = (alerts / "alertmanager.yml").read_text()
        config = self.replace(config, {"http://127.0.0.1:9848": f"http://{api_address}", "/run/mapshift/rollback-token": str(token_file)})
        (folder / "alertmanager.yml").write_text(config)
        manager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        self.prometheus = Process("prometheus", [
            shutil.which("prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={self.prometheus_url[7:]}",
            # What fires before Prometheus has found Alertmanager is lost until it is sent again; by default after a minute.
            "--rules.alert.resend-delay=5s"], folder)
        self.alertmanager = Process("alertmanager", [
            manager, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={self.alertmanager_url[7:]}", "--cluster.listen-address="], folder)

    @staticmethod
    def replace(text, pairs):
        for old, new in pairs.items():
            if old not in text:
                raise RuntimeError(f"the shipped configuration has no {old} any more")
            text = re.sub(re.escape(old), lambda _: new, text)
        return text

    def start(self):
        self.alertmanager.start()
        self.prometheus.start()
        wait_for("Alertmanager is ready", lambda: self.answers(self.alertmanager, self.alertmanager_url))
        wait_for("Prometheus is ready", lambda: self.answers(self.prometheus, self.prometheus_url))

    @staticmethod
    def answers(process, url):
        process.check()
        try:
            return http_json(url + "/-/ready", timeout=1)[0] == 200
        except OSError:
            return False

    def restart_alertmanager(self):
        self.alertmanager.kill()
        self.alertmanager.start()
        wait_for("Alertmanager is ready again", lambda: self.answers(self.alertmanager, self.alertmanager_url))

    def firing_since(self, alertname, update_id):
        """Prometheus' own word for when the alert began, as a wall clock time; None when it does not fire."""
        _, document, _ = http_json(self.prometheus_url + "/api/v1/alerts")
        for alert in (document or {}).get("data", {}).get("alerts", []):
            labels = alert["labels"]
            if alert["state"] == "firing" and labels["alertname"] == alertname and labels.get("update_id") == update_id:
                return alert["activeAt"]
        return None

    def error_rate(self):
        _, document, _ = http_json(self.prometheus_url + "/api/v1/query?query=sum(rate(app_errors_total[10s]))")
        result = (document or {}).get("data", {}).get("result")
        return float(result[0]["value"][1]) if result else None

    def stop(self):
        self.prometheus.stop()
        self.alertmanager.stop()
