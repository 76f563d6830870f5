//! Modbus/TCP Security (Modbus.org, protocol specification v36): TLS with a certificate on either side.

mod refused;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub use self::refused::Refused;
pub(super) use self::refused::{in_words, is_of_tls};

/// The files of a device's TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Whose certificates are believed (PEM).
    pub ca: PathBuf,
    /// The agent's own certificate and its private key (PEM), where the device asks for one. The
    /// certificate bears the role that the device grants rights to (§8.3 of the specification).
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not what it should be.
    #[error("{} is no {what} in PEM: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Certificate and key, or the authority, are refused.
    #[error("the certificates cannot be used: {0}")]
    Refused(String),
}

/// How connections of one device are secured.
#[derive(Clone)]
pub struct Tls(TlsConnector);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`], with the file that is wrong.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&files.ca)? {
            roots
                .add(certificate)
                .map_err(|error| wrong(&files.ca, "certificate of an authority", &error))?;
        }
        let refused = |error: tokio_rustls::rustls::Error| TlsError::Refused(error.to_string());
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_root_certificates(roots);
        let config = match &files.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let key =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, "private key", &error))?;
                builder.with_client_auth_cert(chain, key).map_err(refused)?
            }
        };
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Secures a connection to `address` (`host:port`), whose certificate must be for that host.
    pub(super) async fn shake_hands(
        &self,
        address: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.0
            .connect(name, stream)
            .await
            .map_err(|error| match error.kind() {
                // Who does not know what a handshake is hangs up on it.
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                    io::Error::new(error.kind(), Refused::NoTls)
                }
                _ => in_words(error),
            })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error: &dyn std::fmt::Display| wrong(path, "certificate", error);
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|error| wrong(&error))?
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(&error))?;
    if chain.is_empty() {
        return Err(wrong(&"there is none in it"));
    }
    Ok(chain)
}

fn wrong(path: &Path, what: &'static str, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        what,
        why: why.to_string(),
    }
}
