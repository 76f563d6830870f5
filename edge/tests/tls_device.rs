//! Modbus/TCP Security: a simulated meter behind TLS that demands a certificate, and a neighbour without any.

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridtally_edge::config::AgentConfig;
use gridtally_edge::device::{self, Device, Observed, Snapshot};
use gridtally_simulators::{Home, HomeSpec, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use support::{DEADLINE, MIDNIGHT, at, key};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// An authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn file(&self, directory: &Path, name: &str) -> PathBuf {
        write(directory, name, &self.0.pem())
    }

    /// A certificate for a name, and its key, as PEM.
    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// What a client shows, as files and as lines of the config.
    fn issue_to_agent(&self, directory: &Path, change: impl FnOnce(&mut CertificateParams)) -> String {
        let (certificate, key) = self.issue("agent", change);
        write(directory, "agent.crt", &certificate);
        write(directory, "agent.key", &key);
        "certificate = \"agent.crt\"\nkey = \"agent.key\"\n".to_owned()
    }
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn expired(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
}

fn as_it_comes(_: &mut CertificateParams) {}

/// What stands before the device and speaks TLS for it.
struct Gate {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Gate {
    async fn open(
        device: SocketAddr,
        authority: &Authority,
        (certificate, key): (String, String),
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(relay(acceptor.clone(), stream, device));
            }
        });
        Self { address, task }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(acceptor: TlsAcceptor, stream: TcpStream, device: SocketAddr) {
    match acceptor.accept(stream).into_fallible().await {
        Ok(mut inside) => {
            let mut outside = TcpStream::connect(device).await.unwrap();
            drop(copy_bidirectional(&mut inside, &mut outside).await);
        }
        // What the client has sent meanwhile is taken, so that it reads why it was refused.
        Err((_, mut refused)) => {
            drop(timeout(DEADLINE, refused.read_to_end(&mut Vec::new())).await);
        }
    }
}

/// A home whose meter is behind TLS, and whose roof is not.
struct House {
    home: Home,
    meter: Server,
    roof: Server,
    directory: TempDir,
    authority: Authority,
}

impl House {
    async fn build() -> Self {
        let home = Home::new(HomeSpec::draw(7), MIDNIGHT + 43_200);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("the right authority");
        authority.file(directory.path(), "ca.crt");
        Self {
            meter: home.grid_meter().serve(any).await.unwrap(),
            roof: home.pv_inverter().serve(any).await.unwrap(),
            home,
            directory,
            authority,
        }
    }

    /// The gate with a good certificate.
    async fn gate(&self, versions: &[&'static SupportedProtocolVersion]) -> Gate {
        let certificate = self.authority.issue("localhost", as_it_comes);
        Gate::open(self.meter.address(), &self.authority, certificate, versions).await
    }

    /// The agent's own good certificate.
    fn agent(&self) -> String {
        self.authority.issue_to_agent(self.directory.path(), as_it_comes)
    }

    /// Meter and roof, as the agent starts them. `lines` are about the meter's certificates.
    fn devices(&self, meter: &str, lines: &str) -> Vec<Device> {
        let [roof_unit, meter_unit] = [self.home.pv_inverter().unit(), self.home.grid_meter().unit()];
        let text = format!(
            "[gateway]\nkey = \"k\"\ndata = \"d\"\nengine = \"{}\"\n[broker]\naddress = \"b:1\"\n\
             [owner]\nreserve_percent = 0\n\
             [[device]]\nnumber = 1\nname = \"meter\"\nkind = \"grid_meter\"\naddress = \"{meter}\"\n\
             unit = {meter_unit}\ntimeout_ms = 5000\nnameplate_watts = 23000\n{lines}\
             [[device]]\nnumber = 2\nname = \"roof\"\nkind = \"pv_inverter\"\naddress = \"{}\"\n\
             unit = {roof_unit}\ntimeout_ms = 5000\nnameplate_watts = 6000\n",
            key(1).identity(),
            self.roof.address()
        );
        let config = AgentConfig::parse(&text, &self.directory.path().join("agent.toml")).unwrap();
        device::start(&config.devices).unwrap()
    }

    /// What meter and roof show.
    async fn shown(&self, meter: &str, lines: &str) -> [Snapshot; 2] {
        let mut devices = self.devices(meter, lines);
        let observing: Vec<_> = devices
            .iter_mut()
            .map(|device| device.observe(at(0), true))
            .collect();
        let mut shown = Vec::new();
        for observing in observing {
            shown.push(
                timeout(DEADLINE, observing.finish())
                    .await
                    .expect("an end in time"),
            );
        }
        shown.try_into().unwrap()
    }

    /// The meter is not believed, for a reason that speaks of all these; the roof goes on.
    async fn is_refused(&self, meter: &str, lines: &str, words: &[&str]) {
        let [meter, roof] = self.shown(meter, lines).await;
        let complaint = meter.complaint.expect("a complaint about the meter");
        for word in words {
            assert!(complaint.contains(word), "{word:?} is not in {complaint:?}");
        }
        assert!(
            meter.channels.iter().all(|(_, value)| value.is_err()),
            "{complaint}"
        );
        assert_eq!(roof.complaint, None);
        assert!(roof.channels.iter().all(|(_, value)| value.is_ok()));
    }
}

fn over_tls(host: &str, gate: &Gate) -> String {
    format!("tls://{host}:{}", gate.address.port())
}

const CA: &str = "ca = \"ca.crt\"\n";

#[tokio::test]
async fn a_meter_behind_tls_reads_as_it_does_without() {
    for versions in [&[&TLS12][..], &[&TLS13], BOTH] {
        let house = House::build().await;
        let gate = house.gate(versions).await;
        let lines = format!("{CA}{}", house.agent());
        let [secured, roof] = house.shown(&over_tls("localhost", &gate), &lines).await;
        let [bare, _] = house.shown(&house.meter.address().to_string(), "").await;
        assert_eq!((secured.complaint, roof.complaint), (None, None));
        assert_eq!(secured.channels.len(), 2);
        for ((channel, seen), (_, expected)) in secured.channels.iter().zip(&bare.channels) {
            assert!(matches!(seen, Ok(Observed::Counter(_))), "{channel:?}: {seen:?}");
            assert_eq!(seen, expected, "{channel:?}");
        }
        assert_eq!(secured.live.grid, bare.live.grid);
    }
}

#[tokio::test]
async fn a_meter_of_a_foreign_authority_is_refused() {
    let house = House::build().await;
    let gate = house.gate(BOTH).await;
    let lines = format!("ca = \"foreign.crt\"\n{}", house.agent());
    // One of another name, and one that only bears the right one.
    for name in ["somebody else", "the right authority"] {
        Authority::new(name).file(house.directory.path(), "foreign.crt");
        let words = ["signed by no authority", "`ca`"];
        house
            .is_refused(&over_tls("localhost", &gate), &lines, &words)
            .await;
    }
}

#[tokio::test]
async fn a_meter_whose_certificate_is_for_another_name_is_refused() {
    let house = House::build().await;
    let gate = house.gate(BOTH).await;
    let lines = format!("{CA}{}", house.agent());
    let words = ["127.0.0.1", "localhost", "write its address"];
    house
        .is_refused(&over_tls("127.0.0.1", &gate), &lines, &words)
        .await;
}

#[tokio::test]
async fn a_meter_whose_certificate_has_expired_is_refused() {
    let house = House::build().await;
    let certificate = house.authority.issue("localhost", expired);
    let gate = Gate::open(house.meter.address(), &house.authority, certificate, BOTH).await;
    let lines = format!("{CA}{}", house.agent());
    let words = ["has expired", "clock", "renew it"];
    house
        .is_refused(&over_tls("localhost", &gate), &lines, &words)
        .await;
}

#[tokio::test]
async fn an_agent_without_a_certificate_reads_that_the_meter_demands_one() {
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let house = House::build().await;
        let gate = house.gate(versions).await;
        let words = ["demands a certificate", "`certificate`", "`key`"];
        house.is_refused(&over_tls("localhost", &gate), CA, &words).await;
    }
}

#[tokio::test]
async fn an_agent_whose_certificate_is_not_believed_reads_so() {
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let house = House::build().await;
        let gate = house.gate(versions).await;
        let directory = house.directory.path();
        let foreign = Authority::new("somebody else").issue_to_agent(directory, as_it_comes);
        let words = ["does not accept the agent's certificate", "believe its authority"];
        house
            .is_refused(&over_tls("localhost", &gate), &format!("{CA}{foreign}"), &words)
            .await;
        let stale = house.authority.issue_to_agent(directory, expired);
        let words = ["does not accept the agent's certificate", "expired"];
        house
            .is_refused(&over_tls("localhost", &gate), &format!("{CA}{stale}"), &words)
            .await;
    }
}

#[tokio::test]
async fn a_meter_without_tls_is_named_as_such() {
    let house = House::build().await;
    // A port on which one hangs up on what one does not understand.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hangs_up = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 7]).await);
        }
    });
    let words = ["does not speak TLS", "802", "tcp://"];
    house
        .is_refused(&format!("tls://localhost:{}", address.port()), CA, &words)
        .await;
    hangs_up.abort();
}
