# SPDX-License-Identifier: Apache-2.0
"""The demo's last act: an update that its own objectives find nothing wrong with breaks the application beside it. Prometheus
sees that, Alertmanager tells the agent, the agent rolls back."""

import shutil
import time

from alert_host import Application, Watch, wait_for

PATIENCE = 40  # seconds, for each wait
PACKETS = 500  # a second: the module's objectives need samples


class AlertAct:
    def __init__(self, demo, folder, say):
        self.demo, self.folder, self.say = demo, folder, say

    def play(self):
        """What was wrong."""
        missing = [tool for tool in ("prometheus", "prometheus-alertmanager") if not shutil.which(tool)]
        if missing:
            self.say(f"skipped  the rollback by an alert: {' and '.join(missing)} missing")
            return []
        application = Application()
        place = self.folder / "watch"
        place.mkdir()
        watch = Watch(place, self.demo.agent["metrics"], self.demo.agent["api"], self.folder / "run/rollback-token", application)
        try:
            watch.start()
            return self.roll_back(watch, application)
        except RuntimeError as error:
            return [f"the rollback by an alert: {error}"]
        finally:
            watch.stop()
            application.stop()

    def roll_back(self, watch, application):
        self.demo.light_traffic(PACKETS, 2 * PATIENCE)
        wait_for("Prometheus scrapes the application", lambda: watch.error_rate() == 0, PATIENCE, 0.2)
        status, record, errors = self.demo.start_update(2, "60s")
        if status != 0:
            return [f"the update that an alert is to roll back did not start: {errors}"]
        record = self.wait_for_state(record["id"], ("baking",))
        time.sleep(2.5)  # until its own objectives have been measured, and Prometheus has seen the bake
        application.break_down()
        record = self.wait_for_state(record["id"], ("rolled_back", "committed", "failed", "aborted", "stuck"))
        return self.tell(record, application)

    def wait_for_state(self, update_id, states):
        def look():
            _, record, _ = self.demo.cli("explain", update_id)
            return record if record.get("state") in states else None

        return wait_for(f"update {update_id} is {states[0]}", look, PATIENCE, 0.1)

    def tell(self, record, application):
        passed = [m for m in record["measurements"] if m["outcome"] == "pass"]
        failed = [m for m in record["measurements"] if m["outcome"] == "fail"]
        seconds = time.time() - application.first_bad_scrape
        self.say(f"updated  flowmeter 2.0.0 anew: its objectives passed {len(passed)} times and failed {len(failed)} times, but the application "
                 f"began to fail\n           rolled back by {record['trigger']}, {seconds:.1f} s after Prometheus' first bad sample: {record['reason']}")
        if record["state"] != "rolled_back" or record["trigger"] != "alert" or failed:
            return [f"the rollback by an alert ended {record['state']} by {record['trigger']}: {record['reason']}"]
        return []
