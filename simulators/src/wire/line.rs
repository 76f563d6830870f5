//! Serial ports and pseudo-terminals.

use crate::server::SameUnit;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{ControlModes, OptionalActions, tcgetattr, tcsetattr};
use serde::Deserialize;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};

/// A serial line by where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A new pseudo-terminal, and a symbolic link to what clients open. A link that is there already
    /// is replaced.
    Pty {
        /// Where the link is to be.
        link: Option<PathBuf>,
    },
    /// A serial port.
    Serial {
        /// Its device file.
        path: PathBuf,
        /// Bits a second.
        baud: u32,
        /// Parity bit.
        parity: Parity,
        /// Stop bits.
        stop_bits: StopBits,
    },
}

/// The parity bit of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    /// There is none.
    #[default]
    None,
    /// An even number of ones.
    Even,
    /// An odd number of ones.
    Odd,
}

/// The stop bits of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopBits {
    /// One.
    One,
    /// Two.
    Two,
}

/// Why a serial line cannot be had.
#[derive(Debug, Error)]
pub enum LineError {
    /// Two devices cannot be told apart.
    #[error(transparent)]
    SameUnit(#[from] SameUnit),
    /// The system has no more of them.
    #[error("there is no pseudo-terminal to be had ({0}); is /dev/pts mounted?")]
    Pty(#[source] io::Error),
    /// The device file is absent or barred.
    #[error(
        "the serial port {path} cannot be opened ({source}); is it plugged in, and may you use it (group dialout)?"
    )]
    Open {
        /// Which port.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no serial port, or cannot do that.
    #[error(
        "{path} does not take {baud} baud with that parity and those stop bits ({source}); is it a serial port?"
    )]
    Settings {
        /// Which port.
        path: PathBuf,
        /// The speed that was asked for.
        baud: u32,
        /// What the system says.
        source: io::Error,
    },
    /// Something else is in its place.
    #[error("{path} exists and is no symbolic link; give another path for the link, or remove it")]
    LinkTaken {
        /// Where the link was to be.
        path: PathBuf,
    },
    /// It cannot be made.
    #[error(
        "no symbolic link can be made at {path} ({source}); does its directory exist, and may you write there?"
    )]
    Link {
        /// Where the link was to be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The port cannot be waited for.
    #[error("the serial line {path} cannot be watched ({source})")]
    Watch {
        /// Which line.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// An open serial line.
#[derive(Debug)]
pub(crate) struct Port {
    reader: Receiver,
    writer: Sender,
    path: PathBuf,
    /// Our own handle on the clients' end: without one open, reads on our end fail.
    clients_end: Option<OwnedFd>,
    _link: Option<Link>,
}

impl Port {
    /// Opens a line for raw bytes.
    pub(crate) fn open(line: &Line) -> Result<Self, LineError> {
        match line {
            Line::Pty { link } => Self::open_pty(link.as_deref()),
            Line::Serial {
                path,
                baud,
                parity,
                stop_bits,
            } => Self::open_serial(path, *baud, *parity, *stop_bits),
        }
    }

    /// What a client opens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn open_pty(link: Option<&Path>) -> Result<Self, LineError> {
        let (ours, clients_end, path) = pty_pair().map_err(|errno| LineError::Pty(errno.into()))?;
        let link = link.map(|at| Link::make(at, &path)).transpose()?;
        let (reader, writer) = watch(ours, &path)?;
        Ok(Self {
            reader,
            writer,
            path: link.as_ref().map_or(path, |link| link.at.clone()),
            clients_end: Some(clients_end),
            _link: link,
        })
    }

    fn open_serial(path: &Path, baud: u32, parity: Parity, stop_bits: StopBits) -> Result<Self, LineError> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| LineError::Open {
            path: path.to_owned(),
            source: errno.into(),
        })?;
        set_serial(&fd, baud, parity, stop_bits).map_err(|errno| LineError::Settings {
            path: path.to_owned(),
            baud,
            source: errno.into(),
        })?;
        let (reader, writer) = watch(fd, path)?;
        Ok(Self {
            reader,
            writer,
            path: path.to_owned(),
            clients_end: None,
            _link: None,
        })
    }
}

/// Two ends of one line that tokio waits on. Its pipes take any descriptor that does not block.
fn watch(fd: OwnedFd, path: &Path) -> Result<(Receiver, Sender), LineError> {
    let ends = || {
        let writer = Sender::from_owned_fd_unchecked(fd.try_clone()?)?;
        Ok((Receiver::from_owned_fd_unchecked(fd)?, writer))
    };
    ends().map_err(|source| LineError::Watch {
        path: path.to_owned(),
        source,
    })
}

/// Our end, the clients' end, and the path of the latter.
fn pty_pair() -> Result<(OwnedFd, OwnedFd, PathBuf), Errno> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let path = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let clients_end = rustix::fs::open(&path, flags, Mode::empty())?;
    let mut settings = tcgetattr(&clients_end)?;
    settings.make_raw();
    tcsetattr(&clients_end, OptionalActions::Now, &settings)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, clients_end, path))
}

fn set_serial(fd: impl AsFd, baud: u32, parity: Parity, stop_bits: StopBits) -> Result<(), Errno> {
    let mut settings = tcgetattr(&fd)?;
    settings.make_raw();
    settings.set_speed(baud)?;
    let modes = &mut settings.control_modes;
    modes.remove(ControlModes::PARENB | ControlModes::PARODD | ControlModes::CSTOPB | ControlModes::CRTSCTS);
    modes.insert(ControlModes::CREAD | ControlModes::CLOCAL);
    modes.insert(match parity {
        Parity::None => ControlModes::empty(),
        Parity::Even => ControlModes::PARENB,
        Parity::Odd => ControlModes::PARENB | ControlModes::PARODD,
    });
    if stop_bits == StopBits::Two {
        modes.insert(ControlModes::CSTOPB);
    }
    tcsetattr(&fd, OptionalActions::Flush, &settings)
}

/// A symbolic link that goes when its line does.
#[derive(Debug)]
struct Link {
    at: PathBuf,
    target: PathBuf,
}

impl Link {
    fn make(at: &Path, target: &Path) -> Result<Self, LineError> {
        let failed = |source| LineError::Link {
            path: at.to_owned(),
            source,
        };
        match fs::symlink_metadata(at) {
            Ok(found) if found.is_symlink() => fs::remove_file(at).map_err(failed)?,
            Ok(_) => return Err(LineError::LinkTaken { path: at.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        std::os::unix::fs::symlink(target, at).map_err(failed)?;
        Ok(Self {
            at: at.to_owned(),
            target: target.to_owned(),
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Another line may have taken the place since.
        if fs::read_link(&self.at).is_ok_and(|target| target == self.target)
            && let Err(error) = fs::remove_file(&self.at)
        {
            tracing::debug!(%error, link = %self.at.display(), "a link to a serial line stays behind");
        }
    }
}

impl AsyncRead for Port {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for Port {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.clients_end.is_none() {
            return Pin::new(&mut self.writer).poll_write(cx, bytes);
        }
        // Bytes that nobody reads are gone, as they are on a wire: a pseudo-terminal would keep them,
        // and then stand still.
        Poll::Ready(match rustix::io::write(&self.writer, bytes) {
            Err(Errno::AGAIN) => Ok(bytes.len()),
            written => written.map_err(io::Error::from),
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}
