//! `[broker]`: where the broker is, whom to believe there, and how to show who we are.

use std::path::{Path, PathBuf};

use gridtally_link::{ConfigError as LinkError, LinkConfig, Login, TlsFiles, TlsIdentity};
use serde::Deserialize;

use super::value::Address;

/// A password is no longer than this, in bytes.
const PASSWORD_LEN_MAX: usize = 4096;

/// The broker, as the owner wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerConfig {
    /// `host:port` or `mqtt://host:port`, with `mqtts://` for TLS; `user:password@` may stand before the host.
    pub address: String,
    /// The authority to believe, and the client certificate with its key.
    pub tls: TlsFiles,
    /// As whom to log in, and the file with the password.
    pub login: Option<(String, PathBuf)>,
}

/// Why the broker of the config can never be talked to.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The password's file cannot be read.
    #[error("the broker's password_file {} cannot be read: {source}", file.display())]
    Password {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds no password.
    #[error("the broker's password_file {} holds no password: it has one line of 1 to {PASSWORD_LEN_MAX} bytes", file.display())]
    NoPassword {
        /// Which file.
        file: PathBuf,
    },
    /// The address or the files for TLS.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl BrokerConfig {
    /// What the link is told, with the password read from its file; checked as far as it can be without
    /// the broker.
    ///
    /// # Errors
    /// [`BrokerError`], a sentence that names the file or the address.
    pub fn link(&self, client_id: impl Into<String>) -> Result<LinkConfig, BrokerError> {
        let login = self.login.as_ref().map(|(user, file)| {
            Ok::<_, BrokerError>(Login {
                user: user.clone(),
                password: password(file)?,
            })
        });
        let config = LinkConfig {
            login: login.transpose()?,
            tls: self.tls.clone(),
            ..LinkConfig::new(&self.address, client_id)
        };
        config.check()?;
        Ok(config)
    }
}

/// The one line of the file.
fn password(file: &Path) -> Result<String, BrokerError> {
    let text = std::fs::read_to_string(file).map_err(|source| BrokerError::Password {
        file: file.to_owned(),
        source,
    })?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() || line.len() > PASSWORD_LEN_MAX || line.contains('\n') {
        return Err(BrokerError::NoPassword {
            file: file.to_owned(),
        });
    }
    Ok(line.to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Broker {
    address: Address,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
}

impl Broker {
    /// With its paths relative to `directory`; what does not go together is a sentence.
    pub(super) fn into_config(self, directory: &Path) -> Result<BrokerConfig, String> {
        let Address(address) = self.address;
        let with_files = self.ca.is_some() || self.certificate.is_some() || self.key.is_some();
        if with_files && !(address.starts_with("mqtts://") || address.starts_with("ssl://")) {
            return Err(
                "ca, certificate and key are for TLS; begin the address with mqtts://, or leave them out"
                    .to_owned(),
            );
        }
        let identity = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some(TlsIdentity {
                certificate: directory.join(certificate),
                key: directory.join(key),
            }),
            (None, None) => None,
            _ => return Err("certificate and key go together; give both or neither".to_owned()),
        };
        let login = match (self.user, self.password_file) {
            (Some(user), Some(file)) => Some((user, directory.join(file))),
            (None, None) => None,
            _ => return Err("user and password_file go together; give both or neither".to_owned()),
        };
        if login.is_some() && address.contains('@') {
            return Err("the address names a user already; leave user and password_file out".to_owned());
        }
        Ok(BrokerConfig {
            address,
            tls: TlsFiles {
                ca: self.ca.map(|ca| directory.join(ca)),
                identity,
            },
            login,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(text: &str) -> Result<BrokerConfig, String> {
        let broker: Broker = toml::from_str(text).map_err(|e| e.to_string())?;
        broker.into_config(Path::new("/home/box"))
    }

    #[test]
    fn files_are_beside_the_config_and_the_address_alone_suffices() {
        let all = broker(
            "address = \"mqtts://b.example:8883\"\nca = \"ca.crt\"\ncertificate = \"box.crt\"\n\
             key = \"/etc/box.key\"\nuser = \"z6Mk\"\npassword_file = \"password\"",
        )
        .unwrap();
        assert_eq!(all.tls.ca.as_deref(), Some(Path::new("/home/box/ca.crt")));
        let identity = all.tls.identity.unwrap();
        assert_eq!(identity.certificate, Path::new("/home/box/box.crt"));
        assert_eq!(identity.key, Path::new("/etc/box.key"));
        assert_eq!(all.login, Some(("z6Mk".to_owned(), "/home/box/password".into())));
        let alone = broker("address = \"b.example:1883\"").unwrap();
        let expected = BrokerConfig {
            address: "b.example:1883".to_owned(),
            ..BrokerConfig::default()
        };
        assert_eq!(alone, expected);
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        let cases = [
            ("address = \"b:1\"\nca = \"ca.crt\"", "mqtts://"),
            (
                "address = \"mqtts://b:1\"\ncertificate = \"a\"",
                "certificate and key",
            ),
            ("address = \"mqtts://b:1\"\nkey = \"a\"", "certificate and key"),
            ("address = \"b:1\"\nuser = \"a\"", "user and password_file"),
            (
                "address = \"mqtt://a:p@b:1\"\nuser = \"a\"\npassword_file = \"p\"",
                "already",
            ),
            ("address = \"b:1\"\npassword = \"secret\"", "unknown field"),
        ];
        for (text, word) in cases {
            let said = broker(text).unwrap_err();
            assert!(said.contains(word), "{said:?} does not speak of {word:?}");
        }
    }

    #[test]
    fn the_password_is_the_one_line_of_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        let config = BrokerConfig {
            address: "b:1".to_owned(),
            login: Some(("box".to_owned(), file.clone())),
            ..BrokerConfig::default()
        };
        let said = config.link("box").unwrap_err().to_string();
        assert!(
            said.contains("password_file") && said.contains("cannot be read"),
            "{said}"
        );
        for (text, password) in [
            ("secret\n", Some("secret")),
            ("a b ", Some("a b ")),
            ("\n", None),
            ("a\nb\n", None),
        ] {
            std::fs::write(&file, text).unwrap();
            let login = config.link("box").ok().and_then(|link| link.login);
            assert_eq!(login.map(|l| l.password).as_deref(), password, "{text:?}");
        }
    }

    #[test]
    fn a_missing_file_of_tls_is_named_before_anything_starts() {
        let config = broker("address = \"mqtts://b:1\"\nca = \"no-such.crt\"").unwrap();
        let said = config.link("box").unwrap_err().to_string();
        assert!(
            said.contains("/home/box/no-such.crt") && said.contains("cannot be read"),
            "{said}"
        );
    }
}
