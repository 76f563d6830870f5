//! Which address the broker listens on: the agents know it, so it stays.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use super::super::error::{At, SuperviseError};

/// MQTT's port.
const MQTT_PORT: u16 = 1883;
/// Ports from here to where the system's range for outgoing connections begins. From that range
/// none is taken: while the broker is down, a client that keeps connecting to such a port sooner or
/// later gets it as its own local port, is connected to itself, and bars the broker's way back.
const FREE_PORTS_FROM: u16 = 10_000;
const OUTGOING_PORTS_FROM: u16 = 32_768;
const ATTEMPTS: u32 = 200;

/// Chooses the address and remembers it in `file`.
pub(super) fn choose(file: &Path, listen: Option<SocketAddr>) -> Result<SocketAddr, SuperviseError> {
    if let Some(address) = listen.filter(|address| !address.ip().is_loopback()) {
        return Err(SuperviseError::NotLoopback { address });
    }
    let remembered = remembered(file)?;
    let fixed = match listen {
        Some(address) if address.port() != 0 => Some(address),
        Some(any_port) => remembered.filter(|address| address.ip() == any_port.ip()),
        None => remembered,
    };
    let address = match fixed {
        Some(address) if is_free(address) => address,
        Some(address) => return Err(SuperviseError::AddressTaken { address }),
        None => {
            let ip = listen.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
            let usual = listen.is_none().then_some(SocketAddr::new(ip, MQTT_PORT));
            match usual.filter(|address| is_free(*address)) {
                Some(address) => address,
                None => free_address(ip)?,
            }
        }
    };
    let unfinished = file.with_extension("new");
    fs::write(&unfinished, format!("{address}\n")).at("write", &unfinished)?;
    fs::rename(&unfinished, file).at("rename", &unfinished)?;
    Ok(address)
}

fn remembered(file: &Path) -> Result<Option<SocketAddr>, SuperviseError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text
            .trim()
            .parse()
            .ok()
            .filter(|address: &SocketAddr| address.ip().is_loopback())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", file),
    }
}

fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

fn free_address(ip: IpAddr) -> Result<SocketAddr, SuperviseError> {
    let end = outgoing_ports_from();
    let count = u32::from(end.saturating_sub(FREE_PORTS_FROM)).max(1);
    let random = getrandom::u32().unwrap_or_else(|_| std::process::id());
    (0..ATTEMPTS)
        .filter_map(|attempt| u16::try_from(random.wrapping_add(attempt) % count).ok())
        .map(|offset| SocketAddr::new(ip, FREE_PORTS_FROM.saturating_add(offset)))
        .find(|address| is_free(*address))
        .ok_or(SuperviseError::AddressTaken {
            address: SocketAddr::new(ip, 0),
        })
}

/// The first port that the system gives to outgoing connections.
fn outgoing_ports_from() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .filter(|first| *first > FREE_PORTS_FROM)
        .unwrap_or(OUTGOING_PORTS_FROM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_remembered_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("address");
        let any = Some("127.0.0.1:0".parse().unwrap());
        let first = choose(&file, any).unwrap();
        assert!(
            (FREE_PORTS_FROM..outgoing_ports_from()).contains(&first.port()),
            "{first}"
        );
        assert_eq!(choose(&file, any).unwrap(), first);
        assert_eq!(choose(&file, None).unwrap(), first);
    }

    #[test]
    fn an_explicit_address_wins_and_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("address");
        choose(&file, Some("127.0.0.1:0".parse().unwrap())).unwrap();
        let other = free_address(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        assert_eq!(choose(&file, Some(other)).unwrap(), other);
        assert_eq!(choose(&file, None).unwrap(), other);
    }

    #[test]
    fn a_taken_address_that_agents_know_is_an_error_and_not_silently_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("address");
        let address = choose(&file, Some("127.0.0.1:0".parse().unwrap())).unwrap();
        let _taken = TcpListener::bind(address).unwrap();
        assert!(matches!(
            choose(&file, None),
            Err(SuperviseError::AddressTaken { .. })
        ));
    }

    #[test]
    fn an_address_that_others_can_reach_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = choose(&dir.path().join("address"), Some("0.0.0.0:1883".parse().unwrap())).unwrap_err();
        assert!(matches!(error, SuperviseError::NotLoopback { .. }), "{error}");
    }
}
