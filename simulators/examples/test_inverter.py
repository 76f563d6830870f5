"""An inverter to test a client with: python3 -m unittest test_inverter.py (needs pysunspec2, and gridtally in the PATH
or in $GRIDTALLY)."""
import json, os, re, subprocess, unittest, urllib.request

import sunspec2.modbus.client as modbus


class Inverter(unittest.TestCase):
    def setUp(self):
        program = os.environ.get("GRIDTALLY", "gridtally")
        self.lab = subprocess.Popen(
            [program, "simulate", "inverter", "--port", "0", "--control", "127.0.0.1:0",
             "--time", "stepped", "--start", "2026-06-21T12:00:00Z"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.lab.communicate)
        self.addCleanup(self.lab.terminate)
        said = ""
        while "Control API" not in said:  # it says on which ports
            said += self.lab.stdout.readline() or self.fail(f"the lab does not start: {said}")
        self.api = re.search(r"http://[\d.:]+", said).group()
        port = int(re.search(r"127\.0\.0\.1:(\d+)", said).group(1))
        self.inverter = modbus.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port)
        self.addCleanup(self.inverter.close)
        self.inverter.scan()

    def ask(self, method, path, **body):
        request = urllib.request.Request(self.api + path, method=method, data=json.dumps(body).encode() if body else None)
        return json.load(urllib.request.urlopen(request))

    def test_a_limit_reverts(self):
        controls = self.inverter.controls[0]
        controls.WMaxLimPct.cvalue, controls.WMaxLimPct_RvrtTms.value, controls.WMaxLim_Ena.value = 10, 60, 1
        controls.write()
        self.ask("POST", "/time", advance="30s")
        nameplate = self.inverter.nameplate[0].WRtg.cvalue
        self.assertEqual(self.ask("GET", "/")["flow_milliwatts"]["pv"], nameplate * 100)
        self.ask("POST", "/time", advance="60s")
        self.assertGreater(self.ask("GET", "/")["flow_milliwatts"]["pv"], nameplate * 100)

    def test_a_silent_device_is_noticed(self):
        self.ask("PUT", "/devices/inverter/faults/silent")
        self.inverter.client.timeout = 0.2
        with self.assertRaises(Exception):
            self.inverter.inverter[0].read()


if __name__ == "__main__":
    unittest.main()
