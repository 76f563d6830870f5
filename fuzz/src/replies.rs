//! What devices answer: any bytes, healthy replies with some of their bytes changed, and anything between, to the
//! agent's driver on a socket, on one without transaction numbers, and on a line of RTU frames.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use gridtally_edge::config::AgentConfig;
use gridtally_edge::device;
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::time::Timestamp;
use gridtally_simulators::{Device, DeviceSpec, Generation, Home, HomeSpec, Phases, Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// With every model that the agent knows how to read.
static HEALTHY: LazyLock<[Device; 2]> = LazyLock::new(|| {
    let mut spec = HomeSpec::draw(1);
    let mut hybrid = DeviceSpec::new(Role::Hybrid, "FUZZ");
    hybrid.speak(Generation::All, Phases::Three);
    let mut meter = DeviceSpec::new(Role::Meter, "FUZZ");
    meter.speak(Generation::All, Phases::Three);
    spec.devices = vec![hybrid, meter];
    let mut home = Home::new(spec, 0);
    home.advance_to(100_000);
    [home.devices()[0].clone(), home.devices()[1].clone()]
});
static ENGINE: LazyLock<String> = LazyLock::new(|| {
    let key = SigningIdentity::from_secret(&[1; 32]).expect("a key");
    key.identity().to_string()
});

/// How frames look.
#[derive(Clone, Copy)]
enum Frames {
    Tcp,
    Rtu,
}

/// What to send, request by request; healthy replies when it is used up.
struct Script {
    bytes: Vec<u8>,
    at: usize,
}

impl Script {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..len).unwrap_or(rest).to_vec();
        self.at += taken.len();
        taken
    }
}

/// Whatever a device answers, a look at it ends, and ends no task of the agent. The first byte says what
/// kind of device it is and how it is connected.
pub fn replies(bytes: &[u8]) {
    let Some((first, script)) = bytes.split_first() else {
        return;
    };
    let kinds = ["hybrid_inverter", "grid_meter", "pv_inverter", "battery_inverter"];
    let kind = kinds[usize::from(first % 4)];
    let device = HEALTHY[usize::from(kind == "grid_meter")].clone();
    let (scheme, frames, line) = match first / 4 % 3 {
        0 => ("tcp", Frames::Tcp, ""),
        1 => ("tcp", Frames::Tcp, "transaction_ids = \"ignored\""),
        _ => ("rtutcp", Frames::Rtu, ""),
    };
    let script = Script {
        bytes: script.to_vec(),
        at: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(serve(listener, device, frames, Arc::new(Mutex::new(script))));
        let text = format!(
            "[gateway]\nkey = \"k\"\ndata = \"d\"\nengine = \"{}\"\n[broker]\naddress = \"b:1\"\n\
             [owner]\nreserve_percent = 0\n[[device]]\nnumber = 1\nname = \"it\"\nkind = \"{kind}\"\n\
             address = \"{scheme}://{address}\"\ntimeout_ms = 10\nnameplate_watts = 6000\n{line}\n",
            *ENGINE
        );
        let config = AgentConfig::parse(&text, Path::new("agent.toml")).expect("a config");
        let mut agent = device::start(&config.devices).expect("no certificates");
        for look in 1..=2 {
            let now = Timestamp::from_unix(1_800_000_000 + 300 * look).expect("an instant");
            let observing = agent[0].observe(now, true);
            let snapshot = timeout(Duration::from_secs(60), observing.finish())
                .await
                .expect("an end of the look");
            let complaint = snapshot.complaint.unwrap_or_default();
            assert!(!complaint.contains("a fault of the agent"), "{complaint}");
        }
    });
}

async fn serve(listener: TcpListener, device: Device, frames: Frames, script: Arc<Mutex<Script>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(stream, device.clone(), frames, Arc::clone(&script)));
    }
}

async fn converse(mut stream: TcpStream, device: Device, frames: Frames, script: Arc<Mutex<Script>>) {
    let mut request = [0; 12];
    let asked = match frames {
        Frames::Tcp => &mut request[..],
        Frames::Rtu => &mut request[..8],
    };
    while stream.read_exact(asked).await.is_ok() {
        let reply = match script.lock() {
            Ok(mut script) => reply(asked, &device, frames, &mut script),
            Err(_) => return,
        };
        let Some(reply) = reply else { return };
        if stream.write_all(&reply).await.is_err() {
            return;
        }
    }
}

/// What is sent, or `None` for the end of the connection.
fn reply(asked: &[u8], device: &Device, frames: Frames, script: &mut Script) -> Option<Vec<u8>> {
    let pdu = match frames {
        Frames::Tcp => asked.get(7..12),
        Frames::Rtu => asked.get(1..6),
    };
    let healthy = || device.answer_pdu(pdu.unwrap_or_default()).unwrap_or_default();
    let mut sent = match script.byte() {
        None => return Some(frame(asked, frames, &healthy())),
        Some(0) => return None,
        Some(how) => match how % 8 {
            // Any bytes.
            1 => {
                let len = usize::from(script.byte().unwrap_or(0));
                return Some(script.take(len));
            }
            // Any bytes in a frame.
            2 => {
                let len = usize::from(script.byte().unwrap_or(0));
                return Some(frame(asked, frames, &script.take(len)));
            }
            // A frame with another byte somewhere, its checksum included.
            3 => {
                let mut frame = frame(asked, frames, &healthy());
                change(&mut frame, script);
                return Some(frame);
            }
            // Twice, and with something behind it.
            4 => {
                let once = frame(asked, frames, &healthy());
                return Some([once.clone(), once, script.take(3)].concat());
            }
            // Nothing, for now.
            5 => return Some(Vec::new()),
            // Other registers.
            _ => healthy(),
        },
    };
    change(&mut sent, script);
    change(&mut sent, script);
    Some(frame(asked, frames, &sent))
}

fn change(bytes: &mut [u8], script: &mut Script) {
    let (Some(place), Some(new)) = (script.byte(), script.byte()) else {
        return;
    };
    let place = usize::from(place) % bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(place) {
        *byte = new;
    }
}

fn frame(asked: &[u8], frames: Frames, pdu: &[u8]) -> Vec<u8> {
    match frames {
        Frames::Tcp => {
            let [.., high, low] = (pdu.len() + 1).to_be_bytes();
            let header = [asked[0], asked[1], 0, 0, high, low, asked[6]];
            [&header, pdu].concat()
        }
        Frames::Rtu => {
            let mut bytes = [&asked[..1], pdu].concat();
            let mut crc = 0xffff_u16;
            for byte in &bytes {
                crc ^= u16::from(*byte);
                for _ in 0..8 {
                    crc = if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 };
                }
            }
            bytes.extend(crc.to_le_bytes());
            bytes
        }
    }
}
