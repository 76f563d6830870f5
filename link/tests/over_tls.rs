//! The link against a real mosquitto over TLS, with certificates made here.

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use gridtally_link::{Link, LinkConfig, Login, TlsFiles, TlsIdentity};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use support::mosquitto::Mosquitto;
use support::*;

/// An authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes its certificate into a file.
    fn file(&self, directory: &Path, name: &str) -> PathBuf {
        write(directory, name, &self.0.pem())
    }

    /// A certificate for a name or an address, and its key, as files.
    fn issue(&self, directory: &Path, name: &str) -> TlsIdentity {
        self.issue_with(directory, name, |_| {})
    }

    fn issue_with(
        &self,
        directory: &Path,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsIdentity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        TlsIdentity {
            certificate: write(directory, &format!("{name}.crt"), &certificate.pem()),
            key: write(directory, &format!("{name}.key"), &key.serialize_pem()),
        }
    }
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

struct Room {
    directory: tempfile::TempDir,
    authority: Authority,
    ca: PathBuf,
    broker: Mosquitto,
}

impl Room {
    /// A broker whose certificate is for `server`, with further settings.
    async fn open(server: &str, settings: &str) -> Self {
        let authority = Authority::new("the right authority");
        let directory = tempfile::tempdir().unwrap();
        let server = authority.issue(directory.path(), server);
        Self::with(directory, authority, &server, settings).await
    }

    async fn with(
        directory: tempfile::TempDir,
        authority: Authority,
        server: &TlsIdentity,
        settings: &str,
    ) -> Self {
        let ca = authority.file(directory.path(), "ca.crt");
        // mosquitto gives up its rights before it reads its files, unless it is told not to.
        let settings = format!(
            "{settings}\nuser root\nset_tcp_nodelay true\ncertfile {}\nkeyfile {}\ncafile {}\n",
            server.certificate.display(),
            server.key.display(),
            ca.display(),
        );
        let broker = Mosquitto::start_with(tempfile::tempdir().unwrap(), &settings).await;
        Self {
            directory,
            authority,
            ca,
            broker,
        }
    }

    fn link(&self, host: &str) -> LinkConfig {
        over_tls(host, self.broker.address, &self.ca)
    }
}

fn over_tls(host: &str, broker: SocketAddr, ca: &Path) -> LinkConfig {
    LinkConfig {
        broker: format!("mqtts://{host}:{}", broker.port()),
        subscriptions: vec!["a/b".to_owned()],
        tls: TlsFiles {
            ca: Some(ca.to_owned()),
            identity: None,
        },
        ..config(broker, "box")
    }
}

async fn talks_to_itself(config: LinkConfig) {
    let (link, mut events) = Link::start(config);
    connected(&mut events).await;
    link.publish("a/b", b"secret".to_vec(), false).unwrap();
    let heard = message(&mut events).await;
    assert_eq!(heard.payload, b"secret");
    link.acknowledge(&heard);
}

async fn refused_because(config: LinkConfig, words: &[&str]) {
    let (_link, mut events) = Link::start(config);
    let reason = disconnected(&mut events).await;
    for word in words {
        assert!(reason.contains(word), "{reason:?} does not speak of {word:?}");
    }
}

#[tokio::test]
async fn a_broker_that_the_given_authority_vouches_for_is_talked_to() {
    let room = Room::open("localhost", "allow_anonymous true").await;
    talks_to_itself(room.link("localhost")).await;
}

#[tokio::test]
async fn a_broker_is_talked_to_by_its_address_where_its_certificate_has_it() {
    let room = Room::open("127.0.0.1", "allow_anonymous true").await;
    talks_to_itself(room.link("127.0.0.1")).await;
}

#[tokio::test]
async fn a_broker_of_a_foreign_authority_is_refused_and_the_reason_says_so() {
    let room = Room::open("localhost", "allow_anonymous true").await;
    let foreign = Authority::new("somebody else").file(room.directory.path(), "foreign.crt");
    let config = over_tls("localhost", room.broker.address, &foreign);
    refused_because(config, &["localhost", "none of the authorities", "`ca`"]).await;
}

#[tokio::test]
async fn a_broker_whose_certificate_bears_another_name_is_refused() {
    let room = Room::open("broker.example", "allow_anonymous true").await;
    refused_because(
        room.link("localhost"),
        &["not made for the name localhost", "broker.example"],
    )
    .await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused_with_a_word_about_the_clock() {
    let authority = Authority::new("the right authority");
    let directory = tempfile::tempdir().unwrap();
    let server = authority.issue_with(directory.path(), "localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let room = Room::with(directory, authority, &server, "allow_anonymous true").await;
    refused_because(room.link("localhost"), &["expired", "clock"]).await;
}

#[tokio::test]
async fn a_broker_that_demands_a_client_certificate_gets_it_and_names_the_client_by_it() {
    let settings = "allow_anonymous false\nrequire_certificate true\nuse_identity_as_username true";
    let room = Room::open("localhost", settings).await;
    refused_because(
        room.link("localhost"),
        &["demands a client certificate", "`certificate`"],
    )
    .await;

    let mut known = room.link("localhost");
    known.tls.identity = Some(room.authority.issue(room.directory.path(), "z6MkA"));
    talks_to_itself(known).await;

    let stranger = Authority::new("somebody else").issue(room.directory.path(), "z6MkB");
    let mut unknown = room.link("localhost");
    unknown.tls.identity = Some(stranger);
    refused_because(unknown, &["does not accept our client certificate"]).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_at_the_next_connection() {
    let settings = "allow_anonymous false\nrequire_certificate true\nuse_identity_as_username true";
    let room = Room::open("localhost", settings).await;
    let unknown = Authority::new("somebody else").issue(room.directory.path(), "z6MkA");
    let mut config = room.link("localhost");
    config.tls.identity = Some(unknown);
    let (_link, mut events) = Link::start(config);
    disconnected(&mut events).await;
    // The two files change one after the other: a pair that does not fit for a moment is survived.
    room.authority.issue(room.directory.path(), "z6MkA");
    connected(&mut events).await;
}

#[tokio::test]
async fn user_and_password_are_checked_inside_of_tls() {
    let directory = tempfile::tempdir().unwrap();
    let passwords = write(directory.path(), "passwords", "z6MkA:p@ss w/ö\n");
    let mut hashing = std::process::Command::new("mosquitto_passwd");
    assert!(hashing.arg("-U").arg(&passwords).status().unwrap().success());
    let settings = format!("allow_anonymous false\npassword_file {}", passwords.display());
    let room = Room::open("localhost", &settings).await;
    let as_user = |password: &str| LinkConfig {
        login: Some(Login {
            user: "z6MkA".to_owned(),
            password: password.to_owned(),
        }),
        ..room.link("localhost")
    };
    assert!(!format!("{:?}", as_user("p@ss w/ö")).contains("p@ss"));
    talks_to_itself(as_user("p@ss w/ö")).await;
    refused_because(as_user("wrong"), &["NotAuthorized"]).await;
}

#[tokio::test]
async fn a_port_without_tls_is_named_as_such() {
    let broker = Mosquitto::start().await;
    let directory = tempfile::tempdir().unwrap();
    let ca = Authority::new("any").file(directory.path(), "ca.crt");
    let config = over_tls("localhost", broker.address, &ca);
    refused_because(config, &["localhost", "does not speak TLS", "8883"]).await;
}

#[test]
fn files_that_cannot_work_are_named_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let authority = Authority::new("the right authority");
    let ca = authority.file(at, "ca.crt");
    let (one, other) = (authority.issue(at, "one"), authority.issue(at, "other"));
    let noise = write(at, "noise", "this is no certificate\n");
    let missing = at.join("missing.crt");
    let mixed = TlsIdentity {
        certificate: one.certificate.clone(),
        key: other.key,
    };
    let swapped = TlsIdentity {
        certificate: one.key,
        key: one.certificate,
    };
    let files = |ca: &Path, identity| TlsFiles {
        ca: Some(ca.to_owned()),
        identity,
    };
    let cases = [
        (files(&missing, None), ["missing.crt", "cannot be read"]),
        (
            files(&noise, None),
            ["noise", "no certificate of the broker's authority in PEM form"],
        ),
        (
            files(&ca, Some(mixed)),
            ["other.key does not belong to", "one.crt"],
        ),
        (
            files(&ca, Some(swapped)),
            ["one.key", "no client certificate in PEM form"],
        ),
    ];
    for (tls, words) in cases {
        let config = LinkConfig {
            tls,
            ..LinkConfig::new("mqtts://broker.example", "box")
        };
        let error = config.check().unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{error:?} does not speak of {word:?}");
        }
    }
    let plain = LinkConfig {
        tls: files(&ca, None),
        ..LinkConfig::new("mqtt://broker.example", "box")
    };
    let error = plain.check().unwrap_err().to_string();
    assert!(error.contains("mqtts://"), "{error}");
}
