//! What a failed handshake means to the person who set the device up.

use std::error::Error;
use std::io;

use tokio_rustls::rustls::{self, AlertDescription, CertificateError};

/// Why agent and device do not come together over TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody whom the owner believes vouches for the device.
    #[error(
        "its certificate is signed by no authority in the file of `ca`; put the certificate of its authority there"
    )]
    Authority,
    /// The certificate is another device's.
    #[error("{0}; write its address with a name or number that its certificate has")]
    Name(String),
    /// Past its time.
    #[error("its certificate has expired, or the clock of this box is ahead ({0}); renew it on the device")]
    Expired(String),
    /// Before its time.
    #[error("its certificate is not valid yet, or the clock of this box is behind ({0}); set the clocks")]
    NotYet(String),
    /// Any other fault of the device's certificate.
    #[error("its certificate is not good: {0}; give the device a new one")]
    Certificate(String),
    /// The agent has shown none.
    #[error("it demands a certificate of the agent; name the files with `certificate` and `key`")]
    Nameless,
    /// The agent's is not believed.
    #[error(
        "it does not accept the agent's certificate ({0}); let the device believe its authority, and see whether \
         it has expired and bears the role that the device wants"
    )]
    Ours(String),
    /// What answers is no TLS.
    #[error(
        "it does not speak TLS on this port; the port for it is usually 802, and addresses without TLS begin with tcp://"
    )]
    NoTls,
    /// Any other failure.
    #[error("TLS with it fails: {0}")]
    Other(String),
}

impl Refused {
    /// What TLS says in an error of the connection; `None` where TLS is not what failed.
    pub(super) fn told_by(error: &io::Error) -> Option<Self> {
        if let Some(told) = within::<Self>(error) {
            return Some(told.clone());
        }
        Some(match within::<rustls::Error>(error)? {
            rustls::Error::InvalidCertificate(reason) => Self::by_certificate(reason),
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => Self::Nameless,
            rustls::Error::AlertReceived(
                alert @ (AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::DecryptError
                | AlertDescription::AccessDenied),
            ) => Self::Ours(format!("{alert:?}")),
            rustls::Error::InvalidMessage(_) => Self::NoTls,
            other => Self::Other(other.to_string()),
        })
    }

    fn by_certificate(reason: &CertificateError) -> Self {
        match reason {
            // An authority of the same name with another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Authority,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::Name(reason.to_string())
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Self::Expired(reason.to_string())
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYet(reason.to_string())
            }
            other => Self::Certificate(other.to_string()),
        }
    }
}

/// The error as its reader is told it, where it is one of TLS.
pub(in crate::device::bus) fn in_words(error: io::Error) -> io::Error {
    match Refused::told_by(&error) {
        Some(refused) => io::Error::new(error.kind(), refused),
        None => error,
    }
}

/// Whether TLS is what failed.
pub(in crate::device::bus) fn is_of_tls(error: &io::Error) -> bool {
    within::<rustls::Error>(error).is_some() || within::<Refused>(error).is_some()
}

/// The error of this kind somewhere below: I/O errors hide what they hold from `source`.
fn within<E: Error + 'static>(error: &io::Error) -> Option<&E> {
    let mut at: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<E>() {
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
