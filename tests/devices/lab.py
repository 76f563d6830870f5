"""Simulated devices as a process of their own, and the control API that steps their time."""

import http.client
import json
import queue
import re
import subprocess
import threading
import time
from pathlib import Path

START = "2026-06-21T02:00:00Z"
# For every wait: a lab that starts, a device that answers, a process that ends.
DEADLINE_SECONDS = 15


class LabFailed(Exception):
    """The lab did not start, or refused something."""


class Lab:
    """A `gridtally simulate` in stepped time. It ends with its `with` block, whatever happens there."""

    def __init__(self, program, *arguments, start=START):
        stepped = ["--time", "stepped", "--start", start, "--control", "127.0.0.1:0"]
        self.command = [str(program), "simulate", *map(str, arguments), *stepped]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            self.port = self._control_port()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(timeout=DEADLINE_SECONDS)
        self.process.stdout.close()

    def _control_port(self):
        lines, said = queue.Queue(), []
        # It goes on to the end, so that the lab never waits for a reader.
        self.reader = threading.Thread(target=self._listen, args=(lines,), daemon=True)
        self.reader.start()
        end = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                line = lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise LabFailed(f"{' '.join(self.command)} did not start. It said:\n{''.join(said)}")
            said.append(line)
            if found := re.search(r"Control API on http://127\.0\.0\.1:(\d+)/", line):
                return int(found[1])

    def _listen(self, lines):
        for line in self.process.stdout:
            lines.put(line)
        lines.put(None)

    def ask(self, path, method="GET", body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body))
            answer = connection.getresponse()
            content = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise LabFailed(f"{method} {path}: {answer.status} {content}")
        return content

    def overview(self):
        return self.ask("/")

    def devices(self):
        return self.overview()["devices"]

    def device(self, name):
        return self.ask(f"/devices/{name}")

    def points(self, name):
        return self.ask(f"/devices/{name}/points")

    def flow(self):
        return self.overview()["flow_milliwatts"]

    def advance(self, seconds):
        self.ask("/time", "POST", {"advance": f"{seconds}s"})

    def step_to(self, instant):
        self.ask("/time", "POST", {"to": instant})


def write_home(path, tables, devices):
    """Writes a home's file: `tables` by their names, "" for what stands before them, then the devices."""
    lines = []
    for name, keys in [*tables.items(), *(("[device]", device) for device in devices)]:
        lines += [f"[{name}]"] if name else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
    Path(path).write_text("\n".join(lines) + "\n")
    return path


def address(device):
    """("tcp", host, port) or ("rtu", path) of what the control API calls `at`."""
    if device["at"].startswith("tcp://"):
        host, port = device["at"].removeprefix("tcp://").rsplit(":", 1)
        return "tcp", host, int(port)
    return "rtu", device["at"].removeprefix("rtu:")
