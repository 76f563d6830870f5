//! The example of a test in Python that the simulators' README shows passes against this program.

use std::path::Path;
use std::process::Command;

#[test]
fn the_python_example_of_the_simulators_passes() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulators/examples/test_inverter.py");
    let python = std::env::var_os("GRIDTALLY_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python)
        .arg(&example)
        .env("GRIDTALLY", env!("CARGO_BIN_EXE_gridtally"))
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let text = std::fs::read_to_string(&example).unwrap();
    let tests = text.lines().filter(|line| line.starts_with("def test_")).count();
    let passed = said.lines().filter(|line| line.starts_with("passed: ")).count();
    assert!(tests > 0 && passed == tests, "{passed} of {tests}\n{said}");
}
