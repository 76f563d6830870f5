//! A real mosquitto, for the tests of the link and of the agent.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::DEADLINE;

/// A mosquitto of our own on a free port.
pub struct Mosquitto {
    child: Child,
    pub address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Mosquitto {
    pub async fn start() -> Mosquitto {
        let settings = "allow_anonymous true\nset_tcp_nodelay true\n";
        Mosquitto::start_with(tempfile::tempdir().unwrap(), settings).await
    }

    pub async fn start_with(directory: tempfile::TempDir, settings: &str) -> Mosquitto {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let config = format!("listener {} 127.0.0.1\n{settings}", address.port());
        std::fs::write(directory.path().join("mosquitto.conf"), config).unwrap();
        let child = spawn(directory.path());
        let mosquitto = Mosquitto {
            child,
            address,
            directory,
        };
        mosquitto.listening().await;
        mosquitto
    }

    /// SIGKILL: nothing is persisted, every session is lost.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub async fn start_again(&mut self) {
        self.child = spawn(self.directory.path());
        self.listening().await;
    }

    async fn listening(&self) {
        let connecting = async {
            while TcpStream::connect(self.address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(DEADLINE, connecting).await.expect("mosquitto listens");
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(directory: &Path) -> Child {
    let program = if Path::new("/usr/sbin/mosquitto").exists() {
        "/usr/sbin/mosquitto"
    } else {
        "mosquitto"
    };
    Command::new(program)
        .arg("-c")
        .arg(directory.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto is installed (apt-get install mosquitto)")
}
