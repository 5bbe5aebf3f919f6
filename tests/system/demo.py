#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo: hot-updates a stateful module under live traffic, lets a broken version roll itself back and an alert roll back another,
and checks its own claim, packet by packet. Started by ./dev demo. Exit status 0 only if everything was right."""

import argparse
import fcntl
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time
import urllib.request

import demo_host as host
from demo_alert import AlertAct
from demo_check import Comparison, read_flows, read_stats
from demo_go import GoService
from demo_host import DemoError

UPDATE_TIMEOUT = 180  # seconds, for all of an update with its bake
TRAFFIC_SECONDS = 600  # no sender lives longer, whatever happens to this script
STAY_RATE = 2000  # packets a second that go on under --stay


def say(text):
    print(text, flush=True)


class Demo:
    def __init__(self, options):
        self.build = pathlib.Path(options.build).resolve()
        self.options = options
        self.processes = host.Processes()
        self.agent = None
        self.service = GoService(self, say)

    def module(self, version):
        return str(self.build / "modules" / "flowmeter" / f"flowmeter_v{version}.json")

    def pin(self, name):
        return host.FOLDER / "bpffs" / "mapshift" / "flowmeter" / "maps" / name

    def cli(self, *arguments):
        """One command: its exit status, and the JSON document that it prints."""
        command = [str(self.build / "mapshift"), "--run-dir", str(host.FOLDER / "run"), "--output", "json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=UPDATE_TIMEOUT)
        try:
            return done.returncode, json.loads(done.stdout or "{}"), done.stderr.strip()
        except json.JSONDecodeError as error:
            raise DemoError(f"mapshift {arguments[0]} printed no JSON document ({error}): {done.stdout[:200]}") from error

    def start_agent(self):
        host.FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        host.mount_bpffs(host.FOLDER / "bpffs")
        config = {
            "state_dir": str(host.FOLDER / "state"), "run_dir": str(host.FOLDER / "run"), "bpffs": str(host.FOLDER / "bpffs"),
            "metrics": {"listen": "127.0.0.1:0"},
            "api": {"listen": "127.0.0.1:0", "token_file": str(host.FOLDER / "run" / "token"),
                    "rollback_token_file": str(host.FOLDER / "run" / "rollback-token")},
            "module_dirs": [], "go": self.service.config(), "changes": {"maps": []},
        }
        path = host.FOLDER / "mapshiftd.json"
        path.write_text(json.dumps(config, indent=2))
        daemon = self.processes.start("mapshiftd", [str(self.build / "mapshiftd"), "--config", str(path)], "mapshiftd.out")
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and daemon.poll() is None:
            if self.ready():
                return
            time.sleep(0.05)
        log = (host.FOLDER / "mapshiftd.log").read_text(errors="replace")
        raise DemoError("the agent did not become ready; its log ends with:\n" + "\n".join(log.splitlines()[-20:]))

    def ready(self):
        try:
            self.agent = json.loads((host.FOLDER / "run" / "agent.json").read_text())
            with urllib.request.urlopen(f"http://{self.agent['metrics']}/-/ready", timeout=1) as answer:
                return answer.status == 200
        except (OSError, ValueError, KeyError):
            return False

    def traffic(self, name, where, mode, *arguments):
        command = [*where, str(self.build / "mapshift-traffic"), mode, "--address", host.HOST_ADDRESS, "--port", str(host.PORT)]
        return self.processes.start(name, [*command, *map(str, arguments)], f"{name}.json")

    def start_traffic(self):
        sink = self.traffic("sink", (), "sink", "--seconds", TRAFFIC_SECONDS + 30)
        time.sleep(0.3)
        rate = self.options.rate
        if rate == 0 and tuple(map(int, platform.release().split("-")[0].split(".")[:2])) < (6, 8):
            rate = 100000  # an older veth drops without telling the sender: do not let its ring fill up
        sender = self.traffic("sender", ("ip", "netns", "exec", host.NAMESPACE), "send", "--seconds", TRAFFIC_SECONDS,
                              "--flows", self.options.flows, "--threads", self.options.threads, "--rate", rate,
                              "--tcp-bytes", 1 << 40, "--tcp-rate", 20_000_000)
        time.sleep(2)
        for process, name in ((sink, "sink"), (sender, "sender")):
            if process.poll() is not None:
                raise DemoError(f"the {name} ended early: " + (host.FOLDER / f"{name}.json").read_text()[-300:])
        return sink, sender

    def stop_traffic(self, sink, sender):
        """The sender first: its last packets must arrive. Their reports."""
        reports = []
        for process, name in ((sender, "sender"), (sink, "sink")):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)
            time.sleep(0.3)
            report = json.loads((host.FOLDER / f"{name}.json").read_text())
            if report["error"]:
                raise DemoError(f"the {name} failed: {report['error']}")
            reports.append(report)
        return reports

    def load(self):
        status, module, errors = self.cli("load", self.module(1), "--set", f"IFACE={host.HOST_LINK}")
        if status != 0:
            raise DemoError(f"load failed with exit status {status}: {errors}")
        say(f"loaded   flowmeter {module.get('version', '1.0.0')}: meters every IPv4 flow on {host.HOST_LINK}, by XDP and tcx")

    def update(self, version, bake, want_status, want_state):
        """Runs an update to its end, under traffic. Its record, and what was not as it should be."""
        start = time.monotonic()
        status, record, errors = self.cli("update", self.module(version), "--set", f"IFACE={host.HOST_LINK}", "--bake", bake, "--wait")
        seconds = time.monotonic() - start
        old, new = record.get("from", {}).get("version", "?"), record.get("to", {}).get("version", f"{version}.0.0")
        say(f"updated  flowmeter {old} -> {new} under traffic: {record.get('state', errors)} after {seconds:.1f} s")
        for item in record.get("maps", []):
            changes = [f"{f['name'] or f['from']}: {f['change']}" for f in item.get("fields", []) if f.get("change")]
            say(f"           {item['name']}: {item['policy']}, {item.get('keys', 0):,} keys, {item.get('passes', 0)} passes"
                + (f" ({'; '.join(changes)})" if changes else ""))
        problems = []
        if status != want_status or record.get("state") != want_state:
            problems.append(f"update to version {version} ended with exit status {status}, {record.get('state')}; "
                            f"expected {want_status}, {want_state}. {errors or record.get('reason', '')}")
        return record, problems

    def check_end(self):
        """What the agent says of itself must be what happened."""
        problems = []
        status, module, errors = self.cli("status", "flowmeter")
        if status != 0 or module.get("version") != "2.0.0":
            problems.append(f"the active version is {module.get('version', errors)}, expected 2.0.0")
        with urllib.request.urlopen(f"http://{self.agent['metrics']}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        for result in ("committed", "rolled_back"):
            lines = [line for line in text.splitlines() if line.startswith("mapshift_updates_total{") and f'result="{result}"' in line]
            if [float(line.split()[-1]) for line in lines] != [1.0]:
                problems.append(f"/metrics does not show one update that was {result}: {lines}")
        return problems

    def play(self):
        """The whole story; what was wrong."""
        self.start_agent()
        host.make_network()
        before = host.counters()
        self.load()
        self.service.start(TRAFFIC_SECONDS)
        sink, sender = self.start_traffic()
        self.service.mark()
        time.sleep(2)
        self.service.mark()
        good, problems = self.update(2, self.options.bake, 0, "committed")
        bad, more = self.update(3, "60s", 3, "rolled_back")
        time.sleep(1)
        self.service.mark()
        reports = self.stop_traffic(sink, sender)
        problems += self.service.end()
        link = {name: value - before[name] for name, value in host.counters().items()}
        comparison = Comparison(*reports, link, read_flows(self.pin("flows")), read_stats(self.pin("stats")))
        print_table(good, bad, comparison, reports, self.service)
        self.service.show()
        problems += more + comparison.problems + self.check_end()
        return problems + AlertAct(self, host.FOLDER, say).play()

    def start_update(self, version, bake):
        """Only starts it: exit status, record, errors."""
        return self.cli("update", self.module(version), "--set", f"IFACE={host.HOST_LINK}", "--bake", bake)

    def light_traffic(self, rate, seconds):
        self.traffic("light-sink", (), "sink", "--seconds", seconds)
        time.sleep(0.3)
        self.traffic("light-sender", ("ip", "netns", "exec", host.NAMESPACE), "send", "--seconds", seconds, "--flows", 64, "--rate", rate)

    def stay(self):
        self.traffic("sink", (), "sink", "--seconds", 3600)
        time.sleep(0.3)
        self.traffic("sender", ("ip", "netns", "exec", host.NAMESPACE), "send", "--seconds", 3600, "--flows", 64, "--rate", STAY_RATE)
        self.service.load(50, 3600)
        say(f"""
Everything stays. Light traffic goes on for an hour.
  metrics   http://{self.agent['metrics']}/metrics
  API       http://{self.agent['api']}/api/v1/modules   (token: {host.FOLDER}/run/token)
  try       {self.build}/mapshift --run-dir {host.FOLDER}/run status flowmeter
            {self.build}/mapshift --run-dir {host.FOLDER}/run go
  log       {host.FOLDER}/mapshiftd.log
  stop      ./dev demo --stop""")


def seconds(value):
    if value is None:
        return "not reported"
    return f"{value * 1000:.3f} ms" if value else "0"


def staleness(record):
    values = [m["staleness_seconds"] for m in record.get("maps", []) if m.get("policy") == "sync" and "staleness_seconds" in m]
    return max(values) if values else None


def why(record):
    if record.get("reason"):
        return record["reason"]
    failed = [m for m in record.get("measurements", []) if m.get("outcome") == "fail"]
    return f"{failed[-1]['objective']} was {failed[-1]['value']}, limit {failed[-1]['limit']}" if failed else "not reported"


def print_table(good, bad, comparison, reports, service):
    udp = sum(1 for flow in comparison.sent_flows if flow["proto"] == 17)
    duration = max(report["seconds"] for report in reports)
    rows = [
        ("packets sent, all numbered", f"{comparison.sent:,} in {duration:.1f} s ({udp} UDP flows, 1 TCP connection both ways)"),
        ("packets the maps counted", f"{comparison.counted:,}"),
        ("lost", f"{comparison.lost:,}"),
        ("counted twice", f"{comparison.twice:,}"),
        ("flows that are off by any number", f"{len(comparison.wrong)} of {len(comparison.sent_flows)}"),
        ("interruption (no version ran)", f"{seconds(good.get('interruption_seconds'))}; rollback: {seconds(bad.get('interruption_seconds'))}"),
        ("mixed window (both versions ran)", f"{seconds(good.get('mixed_window_seconds'))}; rollback: {seconds(bad.get('mixed_window_seconds'))}"),
        ("staleness of the new map at the swap", seconds(staleness(good))),
        ("why version 3 was rolled back", why(bad)),
        *service.rows(),
    ]
    width = max(len(name) for name, _ in rows)
    say("")
    for name, value in rows:
        say(f"  {name:<{width}}  {value}")
    say("")


def parse():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--build", default="build/release", help=argparse.SUPPRESS)
    parser.add_argument("--stay", action="store_true", help="leave everything running and print the addresses")
    parser.add_argument("--stop", action="store_true", help="end what --stay left running")
    parser.add_argument("--bake", default="5s", help="how long version 2 is judged")
    parser.add_argument("--flows", type=int, default=500, help="UDP flows")
    parser.add_argument("--threads", type=int, default=1, help="UDP sender threads")
    parser.add_argument("--rate", type=int, default=0, help="UDP packets a second; 0: as many as the machine gives")
    return parser.parse_args()


def lock():
    """One demo at a time on a machine. The lock ends with this process."""
    handle = open("/run/mapshift-demo.lock", "w")
    os.set_inheritable(handle.fileno(), False)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DemoError("another demo is running on this machine: wait for its end") from None
    return handle


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    options = parse()
    signal.signal(signal.SIGTERM, interrupt)
    stays = False
    held = None
    try:
        held = lock()
        host.clean_up()
        if options.stop:
            return 0
        demo = Demo(options)
        problems = demo.play()
        for problem in problems:
            say(f"WRONG: {problem}")
        say("RESULT: " + ("wrong, see above" if problems else "right: nothing lost, nothing counted twice, the broken versions are gone"))
        if options.stay:
            stays = True
            demo.stay()
        return 1 if problems else 0
    except (DemoError, subprocess.TimeoutExpired, OSError, KeyError) as error:
        print(f"demo: {type(error).__name__ + ': ' if not isinstance(error, DemoError) else ''}{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    finally:
        if held and not stays:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            host.clean_up()


if __name__ == "__main__":
    sys.exit(main())
