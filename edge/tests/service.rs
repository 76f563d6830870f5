//! The agent as a service of the system: it says when it is ready, keeps the watchdog fed, reads its config anew
//! and ends in good order.

mod support;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::key;
use support::map::{self, Device};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

struct Service {
    child: Child,
    system: UnixDatagram,
    directory: TempDir,
}

impl Service {
    fn start(device: &Device) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let system = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        system.set_read_timeout(Some(PATIENCE)).unwrap();
        write_config(directory.path(), device, "roof");
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_gridtally-edge"))
            .args(["run", "--config", "agent.toml"])
            .current_dir(directory.path())
            .env("NOTIFY_SOCKET", directory.path().join("notify"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            system,
            directory,
        }
    }

    /// Waits until the agent tells the system this.
    fn told(&self, expected: &str) {
        let began = Instant::now();
        let mut buffer = [0; 512];
        loop {
            let len = self.system.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..len]);
            if text.lines().any(|line| line == expected) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "no {expected}: {}", self.log());
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Waits until the log says this; the watchdog is fed meanwhile.
    fn says(&self, expected: &str) {
        let began = Instant::now();
        while !self.log().contains(expected) {
            assert!(began.elapsed() < PATIENCE, "{expected} is not in {}", self.log());
            self.told("WATCHDOG=1");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn write_config(directory: &Path, device: &Device, name: &str) {
    let text = format!(
        "[gateway]\nkey = \"key\"\ndata = \"state\"\nengine = \"{}\"\n[broker]\naddress = \"127.0.0.1:1\"\n\
         [owner]\nreserve_percent = 20\n[[device]]\nnumber = 1\nname = \"{name}\"\nkind = \"pv_inverter\"\n\
         address = \"{}\"\nnameplate_watts = 6000\n",
        key(1).identity(),
        device.address()
    );
    std::fs::write(directory.join("agent.toml"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_service_is_ready_feeds_the_watchdog_takes_a_new_config_and_ends() {
    let device = Device::serve(map::inverter(1_000)).await;
    let mut service = Service::start(&device);
    service.told("READY=1");
    service.told("WATCHDOG=1");

    std::fs::write(service.directory.path().join("agent.toml"), "[gateway]\n").unwrap();
    service.signal("-HUP");
    service.says("the config that runs stays in force");

    // Right by itself, and the agent cannot start with it.
    write_config(service.directory.path(), &device, "roof");
    let config = service.directory.path().join("agent.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let blocked = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = blocked.local_addr().unwrap();
    std::fs::write(&config, format!("{text}[page]\nlisten = \"{taken}\"\n")).unwrap();
    service.signal("-HUP");
    service.says("the old one stays in force");

    write_config(service.directory.path(), &device, "the new roof");
    service.signal("-HUP");
    service.says("the new config is in force");

    service.signal("-TERM");
    service.told("STOPPING=1");
    assert!(service.child.wait().unwrap().success(), "{}", service.log());
}
