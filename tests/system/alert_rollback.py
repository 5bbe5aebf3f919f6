#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rolls updates back through a real Prometheus and a real Alertmanager, and delivers to the webhook what can go wrong.
Usage: alert_rollback.py --build DIR. Exit status 77: this machine cannot run it."""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from alert_host import Application, Process, Watch, http_json, wait_for

LINK, PEER = "msalert0", "msalert1"
BOUND = 15.0  # seconds from the first bad sample to the old generation, on the dedicated route
WEBHOOK_BOUND = 1.0  # seconds for 1,000 alerts, beyond which Alertmanager would take the answer for lost; aimed at: 0.05
ALERT = "AppErrorsSinceFlowmeterUpdate"
SKIPPED = 77


def run(*command):
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def parse_time(text):
    return datetime.datetime.fromisoformat(text[:19] + "+00:00").timestamp() + float("0" + text[19:].rstrip("Z"))


def now_text(offset=0.0):
    return datetime.datetime.fromtimestamp(time.time() + offset, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@contextlib.contextmanager
def link():
    """A veth pair without addresses, and a trickle of packets into it, so that the module's own objectives have samples."""
    run("ip", "link", "add", LINK, "type", "veth", "peer", "name", PEER)
    ending = threading.Event()

    def send():
        frame = b"\x02" * 6 + b"\x04" * 6 + struct.pack("!HBBHHHBBH4s4s", 0x0800, 0x45, 0, 28, 1, 0, 64, 17, 0, b"\xc6\x12\x4d\x01", b"\xc6\x12\x4d\x02")
        frame += struct.pack("!HHHH", 1000, 2000, 8, 0)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind((PEER, 0))
            while not ending.wait(0.02):
                with contextlib.suppress(OSError):
                    out.send(frame)

    thread = threading.Thread(target=send)
    try:
        for name in (LINK, PEER):
            run("ip", "link", "set", name, "up")
        thread.start()
        yield
    finally:
        ending.set()
        if thread.is_alive():
            thread.join()
        run("ip", "link", "delete", LINK)


class Agent:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        (folder / "bpffs").mkdir()
        self.config = {
            "state_dir": str(folder / "state"), "run_dir": str(folder / "run"), "bpffs": str(folder / "bpffs"),
            "metrics": {"listen": "127.0.0.1:0"}, "api": {"listen": "127.0.0.1:0"}, "module_dirs": [], "go": {"enabled": False},
            "limits": {"max_rollbacks_per_hour": 5, "rollback_cooldown": "1s"},
        }
        self.file = folder / "mapshiftd.json"
        self.daemon = Process("mapshiftd", [build / "mapshiftd", "--config", self.file], folder)
        self.addresses = {}

    def start(self, **changes):
        self.config.update(changes)
        self.file.write_text(json.dumps(self.config))
        self.daemon.start()
        wait_for("the agent is ready", self.ready)
        self.token = (self.folder / "run/token").read_text().strip()
        self.rollback_token = (self.folder / "run/rollback-token").read_text().strip()

    def ready(self):
        self.daemon.check()
        with contextlib.suppress(OSError, ValueError):
            self.addresses = json.loads((self.folder / "run/agent.json").read_text())
            return self.addresses["pid"] == self.daemon.process.pid and http_json(f"http://{self.addresses['metrics']}/-/ready", timeout=1)[0] == 200
        return False

    def keep_ports(self):
        for part in ("metrics", "api"):
            self.config[part]["listen"] = self.addresses[part]

    def call(self, path, body=None, token=None, method=None):
        return http_json(f"http://{self.addresses['api']}{path}", body, token or self.token, method)

    def manifest(self, version, **changes):
        path = self.build / "modules/flowmeter" / f"flowmeter_v{version}.json"
        document = json.loads(path.read_text())
        document["analysis"]["bake"] = "120s"
        return {"manifest": {**document, **changes}, "dir": str(path.parent), "set": {"IFACE": LINK}}

    def load(self):
        status, document, _ = self.call("/api/v1/modules", self.manifest(1))
        assert status == 201, document

    def update(self, force=True, version=2):
        """Starts an update and waits until it bakes; its id."""
        status, document, _ = self.call("/api/v1/updates", {**self.manifest(version), "force_quarantined": force})
        assert status == 202, document
        wait_for("the update bakes", lambda: self.record(document["id"])["state"] == "baking")
        return document["id"]

    def record(self, update_id):
        return self.call(f"/api/v1/updates/{update_id}")[1]

    def ended(self, update_id, state, patience=20):
        record = wait_for(f"{update_id} ends", lambda: (r := self.record(update_id)) and r["state"] in ("rolled_back", "committed", "failed", "aborted", "stuck") and r, patience)
        assert record["state"] == state, (record["state"], record["reason"])
        return record

    def decide(self, update_id, what):
        status, document, _ = self.call(f"/api/v1/updates/{update_id}/{what}", {})
        assert status == 202, document

    def post(self, alerts, token=None, **members):
        body = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "r", "alerts": alerts, **members}
        return self.call("/api/v1/alerts", body, token or self.rollback_token)

    def dispositions(self, alerts):
        status, document, _ = self.post(alerts)
        assert status == 200, document
        return [alert["disposition"] for alert in document["alerts"]]

    def metric(self, line):
        import urllib.request
        with urllib.request.urlopen(f"http://{self.addresses['metrics']}/metrics", timeout=5) as answer:
            found = [text.split()[-1] for text in answer.read().decode().splitlines() if text.startswith(line + " ")]
        return float(found[0]) if found else None

    def cli(self, *arguments):
        return subprocess.run([self.build / "mapshift", "--run-dir", self.folder / "run", *arguments], capture_output=True, text=True, timeout=60)

    def stop(self):
        self.daemon.stop()
        subprocess.run(["umount", str(self.folder / "bpffs")], capture_output=True)


def alert(fingerprint, update_id=None, start=0.0, **labels):
    everything = {"alertname": "Synthetic", "mapshift_action": "rollback", "module": "flowmeter", **labels}
    if update_id:
        everything["update_id"] = update_id
    status = everything.pop("status", "firing")
    return {"status": status, "labels": everything, "annotations": {"summary": "made by the test"}, "fingerprint": fingerprint,
            "startsAt": now_text(start), "endsAt": "0001-01-01T00:00:00Z"}


def quiet(watch):
    wait_for("the errors of before are out of the rate's window", lambda: watch.error_rate() == 0, 30, 0.5)


def through_prometheus(agent, watch, application, label):
    """A version that its own objectives pass, and that breaks the application. The time of each leg."""
    quiet(watch)
    update_id = agent.update()
    time.sleep(2)  # Prometheus must have seen the bake, and the objectives must have passed
    application.break_down()
    began = application.broken_since
    active_at = parse_time(wait_for("the alert fires", lambda: watch.firing_since(ALERT, update_id), 30))
    record = agent.ended(update_id, "rolled_back", 30)
    application.repair()
    assert record["trigger"] == "alert" and ALERT in record["reason"], record
    assert all(m["outcome"] == "pass" for m in record["measurements"]) and record["measurements"], "the objectives did not pass"
    accepted = [a for a in record["alerts"] if a["disposition"] == "accepted"]
    assert len(accepted) == 1, record["alerts"]
    sample, received, ended = application.first_bad_scrape, parse_time(accepted[0]["received_at"]), parse_time(record["updated_at"])
    legs = [("errors begin to first bad sample", sample - began), ("to the alert", active_at - sample),
            ("to the webhook", received - active_at), ("to the old generation", ended - received)]
    print(f"{label}: " + "; ".join(f"{name} {seconds:.3f} s" for name, seconds in legs)
          + f"; first bad sample to old generation {ended - sample:.3f} s (at most {BOUND:.0f} s)", flush=True)
    assert ended - sample < BOUND, "too slow"
    quiet(watch)  # or it would fire for the next update, too
    return update_id


def check_webhook(agent):
    """What can come in besides the one alert that is wanted. Ends with nothing baking."""
    update_id = agent.update()
    swap = parse_time(agent.record(update_id)["updated_at"])
    assert agent.dispositions([alert("late", update_id, -600)]) == ["stale"]
    assert agent.dispositions([alert("gone", "u-000001"), alert("never", "u-999999")]) == ["stale", "stale"]
    assert agent.dispositions([alert("module", module="other")]) == ["unknown_module"]
    assert agent.dispositions([alert("host", update_id, instance="elsewhere:9847")]) == ["other_host"]
    assert agent.dispositions([alert("over", update_id, status="resolved")]) == ["resolved"]
    assert agent.dispositions([alert("plain", update_id, mapshift_action="")]) == ["no_action"]
    for token in ("wrong", agent.rollback_token + "x"):
        assert agent.post([alert("token", update_id)], token)[0] == 401
    assert agent.call(f"/api/v1/updates/{update_id}/commit", {}, agent.rollback_token)[0] == 401
    for broken in (b"{", b"<html>", b"", b"[]", b'{"alerts": 1}'):
        status, document, _ = agent.call("/api/v1/alerts", broken, agent.rollback_token, "POST")
        assert status == 400 and document["errors"], (broken, status, document)
    assert agent.call("/api/v1/alerts", {"alerts": [alert(str(i)) for i in range(1001)]}, agent.rollback_token)[0] == 413
    assert agent.record(update_id)["state"] == "baking" and swap
    return update_id


def check_thousand(agent, update_id):
    many = [alert(f"many-{i}", update_id, -600, instance=f"127.0.0.1:{i}") for i in range(1000)]
    times = []
    for _ in range(10):
        status, document, seconds = agent.post(many)
        assert status == 200 and len(document["alerts"]) == 1000, document
        assert {a["disposition"] for a in document["alerts"]} == {"stale"}
        times.append(seconds)
    times.sort()
    print(f"webhook with 1,000 alerts: median {times[5] * 1000:.1f} ms, {times[0] * 1000:.1f} to {times[-1] * 1000:.1f} ms", flush=True)
    assert times[5] < WEBHOOK_BOUND, "too slow"


def check_twice(agent, update_id):
    one = alert("twice", update_id)
    assert agent.dispositions([one, {**one, "fingerprint": "its twin"}]) == ["accepted", "duplicate"]
    assert agent.dispositions([one]) == ["duplicate"]
    record = agent.ended(update_id, "rolled_back")
    assert record["trigger"] == "alert", record
    assert agent.dispositions([one, alert("afterwards", update_id)]) == ["duplicate", "duplicate"]
    shown = agent.cli("explain", update_id)
    for part in ("Synthetic", "accepted", "by alert", "Phases", "baking", "runs again and holds all state"):
        assert part in shown.stdout, (part, shown.stdout)


def check_quarantine(agent):
    """Comes after a rollback by an alert."""
    manifest = agent.folder / "quarantined.json"
    document = agent.manifest(2)["manifest"]
    document["object"] = str(agent.build / "modules/flowmeter/flowmeter_v2.bpf.o")
    manifest.write_text(json.dumps(document))
    refused = agent.cli("update", str(manifest), "--set", f"IFACE={LINK}")
    assert refused.returncode == 1 and "--force-quarantined" in refused.stdout + refused.stderr, refused
    forced = agent.cli("--output", "json", "update", str(manifest), "--set", f"IFACE={LINK}", "--force-quarantined")
    assert forced.returncode == 0, forced
    update_id = json.loads(forced.stdout)["id"]
    wait_for("the update bakes", lambda: agent.record(update_id)["state"] == "baking")
    agent.decide(update_id, "rollback")
    agent.ended(update_id, "rolled_back")


def check_polling(agent, watch, application):
    """The same with no inbound port: the rollback token is nobody's, and the agent asks Alertmanager itself."""
    agent.daemon.stop()
    (agent.folder / "run/rollback-token").write_text("unknown-to-Alertmanager\n")
    agent.start(alertmanager={"url": watch.alertmanager_url, "poll": True})
    update_id = through_prometheus(agent, watch, application, "polled")
    assert agent.record(update_id)["alert_path"] == "proven", agent.record(update_id)["alert_path"]


def check_breaker_and_commit(agent):
    rollbacks = agent.metric("mapshift_automation_stopped")
    update_id = agent.update()
    if not rollbacks:
        assert agent.dispositions([alert("fifth", update_id)]) == ["accepted"]
        agent.ended(update_id, "rolled_back")
        update_id = agent.update()
    assert agent.metric("mapshift_automation_stopped") == 1
    assert agent.dispositions([alert("beyond", update_id)]) == ["held"]
    agent.decide(update_id, "commit")
    agent.ended(update_id, "committed")
    assert agent.dispositions([alert("committed", update_id), alert("committed, not named")]) == ["irreversible", "irreversible"]
    assert agent.metric('mapshift_alerts_received_total{disposition="irreversible"}') == 2


def story(agent, folder):
    agent.start()
    agent.keep_ports()
    agent.load()
    application = Application()
    watch = Watch(folder, agent.addresses["metrics"], agent.addresses["api"], folder / "run/rollback-token", application)
    try:
        watch.start()
        wait_for("the watchdog proves the path", lambda: agent.metric("mapshift_alert_path_proven") == 1, 40)
        update_id = through_prometheus(agent, watch, application, "pushed")
        assert agent.record(update_id)["alert_path"] == "proven", agent.record(update_id)["alert_path"]
        watch.restart_alertmanager()
        through_prometheus(agent, watch, application, "pushed, after Alertmanager was killed and started again")
        update_id = check_webhook(agent)
        check_thousand(agent, update_id)
        check_twice(agent, update_id)
        check_quarantine(agent)
        check_polling(agent, watch, application)
        check_breaker_and_commit(agent)
    finally:
        watch.stop()
        application.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    options = parser.parse_args()
    missing = [tool for tool in ("prometheus", "prometheus-alertmanager", "ip") if not shutil.which(tool)]
    if os.geteuid() != 0 or missing:
        print(f"skipped: needs root, Prometheus and Alertmanager; missing: {missing or 'root'}")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="mapshift-alerts-") as name, link():
        folder = pathlib.Path(name)
        agent = Agent(options.build.resolve(), folder)
        try:
            story(agent, folder)
        except Exception:
            for log in sorted(folder.glob("*.log")):
                print(f"--- {log.name}\n" + log.read_text(errors="replace")[-3000:])
            raise
        finally:
            if agent.addresses and agent.daemon.process.poll() is None:
                agent.call("/api/v1/modules/flowmeter", method="DELETE")
            agent.stop()
    print("RESULT: right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
