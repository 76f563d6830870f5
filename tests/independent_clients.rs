//! Clients that know nothing of Gridtally agree with the simulated devices: pysunspec2 finds them, reads what their
//! physics says and controls them; mbpoll reads and writes them. Without either these tests fail: `./test` installs
//! both.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longer than a check gives itself, for one that does not end by itself.
const DEADLINE: Duration = Duration::from_secs(150);

#[test]
fn pysunspec2_discovers_every_device_over_tcp_and_rtu() {
    assert!(values_agreed("discovery") > 20_000);
}

#[test]
fn pysunspec2_reads_in_every_point_what_the_physics_says() {
    assert!(values_agreed("points") > 70_000);
}

#[test]
fn what_pysunspec2_writes_acts_and_reverts() {
    assert!(values_agreed("writes") > 10_000);
}

#[test]
fn mbpoll_reads_the_marker_and_a_block_and_its_writes_act() {
    assert!(values_agreed("mbpoll") > 500);
}

#[test]
fn the_python_example_of_the_device_lab_runs() {
    let python = std::env::var_os("GRIDTALLY_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(&python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/simulators/examples/test_inverter.py"
        ))
        .env("GRIDTALLY", env!("CARGO_BIN_EXE_gridtally"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap_or_else(|error| panic!("{} does not start ({error}); ./test makes it", python.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("Ran 2 tests"), "{said}");
}

/// Processes of a group of their own; what is left of it ends with this.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0);
        let _ = Command::new("kill")
            .args(["-KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
    }
}

/// Runs a check of tests/devices to its end; how many values it compared and found equal.
fn values_agreed(check: &str) -> u64 {
    let python = std::env::var_os("GRIDTALLY_PYTHON").unwrap_or_else(|| "python3".into());
    let child = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/devices/check.py"))
        .args([check, env!("CARGO_BIN_EXE_gridtally")])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start ({error}); ./test makes it", python.display()));
    let group = Group(child.id());
    let (done, outcome) = mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let output = outcome
        .recv_timeout(DEADLINE)
        .expect("the check ends before its deadline")
        .unwrap();
    drop(group);
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "{check}: a client disagrees, or is not there"
    );
    let count = said
        .lines()
        .last()
        .and_then(|line| line.strip_prefix(&format!("{check}: "))?.split(' ').next());
    count
        .and_then(|count| count.parse().ok())
        .expect("a check ends with the number of values that agreed")
}
