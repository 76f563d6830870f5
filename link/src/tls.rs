//! TLS towards the broker: whom to believe, and with what to show who we are. `rustls` with `ring`; TLS 1.2
//! and 1.3; the broker's name is always checked.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rumqttc::ConnectionError;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

/// The files that TLS needs, all of them PEM. They are read anew for each connection, so that a renewed
/// certificate is taken without a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates of the authorities that may vouch for the broker, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Our own certificate (its chain, ours first) and its private key, for a broker that asks for one.
    pub identity: Option<TlsIdentity>,
}

/// The files by which we show who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The certificate, followed by those between it and the authority's.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Whether nothing is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ca.is_none() && self.identity.is_none()
    }
}

/// Why TLS cannot be spoken with these files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} (the {what}) cannot be read: {reason}", file.display())]
    Read {
        /// What it should hold.
        what: &'static str,
        /// Which file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {what} in PEM form (`-----BEGIN …`): {reason}", file.display())]
    Form {
        /// What it should hold.
        what: &'static str,
        /// Which file.
        file: PathBuf,
        /// What the reader met.
        reason: String,
    },
    /// A certificate of an authority cannot be used.
    #[error("a certificate in {} cannot be used as an authority's: {reason}", file.display())]
    Authority {
        /// Which file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The key belongs to another certificate.
    #[error(
        "the key {} does not belong to the certificate {}; give the two files that were made together",
        key.display(), certificate.display()
    )]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate or the key is of a kind that cannot be used.
    #[error("the certificate {} with the key {} cannot be used: {reason}", certificate.display(), key.display())]
    Identity {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
    /// The system knows no authority.
    #[error(
        "the system has no certificates of authorities ({reason}); install ca-certificates, or name a file with the broker's own"
    )]
    NoSystemAuthorities {
        /// What was met while looking.
        reason: String,
    },
    /// The cryptography itself.
    #[error("TLS cannot be set up: {0}")]
    Provider(String),
}

const AUTHORITY: &str = "certificate of the broker's authority";
const CERTIFICATE: &str = "client certificate";
const KEY: &str = "private key";

/// Reads the files and makes of them what a connection needs.
pub(crate) fn client(files: &TlsFiles) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsError::Provider(e.to_string()))?
        .with_root_certificates(match &files.ca {
            Some(file) => authorities(file)?,
            None => system_authorities()?,
        });
    let Some(identity) = &files.identity else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let (certificate, key) = (identity.certificate.clone(), identity.key.clone());
    let config = builder
        .with_client_auth_cert(certificates(CERTIFICATE, &certificate)?, private_key(&key)?)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch { certificate, key },
            other => TlsError::Identity {
                certificate,
                key,
                reason: other.to_string(),
            },
        })?;
    Ok(Arc::new(config))
}

fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(AUTHORITY, file)? {
        store.add(certificate).map_err(|e| TlsError::Authority {
            file: file.to_owned(),
            reason: e.to_string(),
        })?;
    }
    Ok(store)
}

fn system_authorities() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // A system's store holds old and odd ones, too; those that cannot be read vouch for nobody.
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let reason = found
            .errors
            .first()
            .map_or_else(|| "none was found".to_owned(), ToString::to_string);
        return Err(TlsError::NoSystemAuthorities { reason });
    }
    Ok(store)
}

fn certificates(what: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(what, file)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| form(what, file, &e))?;
    if certificates.is_empty() {
        return Err(form(what, file, &pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(KEY, file)?).map_err(|e| form(KEY, file, &e))
}

fn read(what: &'static str, file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Read {
        what,
        file: file.to_owned(),
        reason: source.to_string(),
    })
}

fn form(what: &'static str, file: &Path, error: &pem::Error) -> TlsError {
    TlsError::Form {
        what,
        file: file.to_owned(),
        reason: error.to_string(),
    }
}

/// What a failed handshake means to the person who set it up; `None` where TLS is not what failed.
pub(crate) fn explain(error: &ConnectionError, host: &str) -> Option<String> {
    let no_tls = format!("{host} does not speak TLS on this port; the port for TLS is usually 8883");
    // Only a handshake ends with this variant.
    if let ConnectionError::Tls(rumqttc::TlsError::Io(error)) = error
        && matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
        )
    {
        return Some(no_tls);
    }
    let error = rustls_error(error)?;
    Some(match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::UnknownIssuer => format!(
                "the certificate of {host} is signed by none of the authorities that are believed here; \
                 is it the right broker, and does `ca` name its authority's file?"
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
                "the broker's certificate is not made for the name {host}; give its address as the \
                 certificate has it ({reason})"
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of {host} has expired, or the clock here is ahead ({reason})")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate of {host} is not valid yet, or the clock here is behind ({reason})")
            }
            other => format!("the certificate of {host} is not good: {other}"),
        },
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            format!("{host} demands a client certificate; give one with `certificate` and `key`")
        }
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied),
        ) => {
            format!("{host} does not accept our client certificate ({alert:?}); have its operator look at it")
        }
        rustls::Error::InvalidMessage(_) => no_tls,
        other => format!("TLS with {host} failed: {other}"),
    })
}

/// The error of the TLS library somewhere below: I/O errors hide it from `source`.
fn rustls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        at = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
