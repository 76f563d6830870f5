//! Keys, leaves and a web server that tests tell how to misbehave.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use gridtally_log::files::LogWriter;
use gridtally_log::leaf::{Kind, Leaf};
use gridtally_log::note::{Algorithm, Signer, VerifierKey};
use gridtally_protocol::identity::{Digest, SigningIdentity};

pub const ORIGIN: &str = "operator.example/log";
/// Seconds of Unix time.
pub const NOW: u64 = 1_800_000_000;

pub fn signer(name: &str, algorithm: Algorithm, secret: u8) -> Signer {
    let key = SigningIdentity::from_secret(&[secret; 32]).unwrap();
    Signer::new(name.parse().unwrap(), algorithm, key)
}

pub fn log_signer() -> Signer {
    signer(ORIGIN, Algorithm::Ed25519, 1)
}

pub fn log_key() -> VerifierKey {
    log_signer().verifier().clone()
}

/// The leaf with a number, of a history that a letter names.
pub fn leaf(history: char, number: u64) -> Leaf {
    Leaf {
        kind: Kind::ALL[usize::try_from(number % 6).unwrap()],
        name: format!("{history}/{}", number / 2).parse().unwrap(),
        digest: Digest::of(format!("{history} {number}").as_bytes()),
    }
}

pub fn leaves(history: char, numbers: std::ops::Range<u64>) -> Vec<Leaf> {
    numbers.map(|number| leaf(history, number)).collect()
}

/// A log whose checkpoints had these sizes, one after another.
pub fn log_of(directory: &Path, history: char, sizes: &[u64]) -> LogWriter {
    let mut writer = LogWriter::create(directory, log_signer()).unwrap();
    let mut at = 0;
    for size in sizes {
        writer.append(at, &leaves(history, at..*size)).unwrap();
        at = *size;
    }
    writer
}

pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub fn copy_tree(from: &Path, to: &Path) {
    for file in files_below(from) {
        copy_file(&file, from, to);
    }
}

pub fn copy_file(file: &Path, from: &Path, to: &Path) {
    let target = to.join(file.strip_prefix(from).unwrap());
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::copy(file, target).unwrap();
}

/// What the server does with a request.
pub enum Reply {
    /// 200 and these bytes.
    Bytes(Vec<u8>),
    /// A status without a body.
    Status(u16),
    /// Says nothing until the client goes away.
    Silence,
    /// A body without an end.
    Endless,
    /// A body a byte at a time, faster than any pause would be noticed, and without an end.
    Drip,
    /// A header without an end.
    EndlessHeader,
}

/// Serves a directory over HTTP until the test ends; the URL.
pub fn serve(directory: &Path) -> String {
    let directory = directory.to_owned();
    serve_with(move |path| match fs::read(directory.join(path)) {
        Ok(bytes) => Reply::Bytes(bytes),
        Err(_) => Reply::Status(404),
    })
}

/// Serves what a function says.
pub fn serve_with(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let reply = Arc::new(reply);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let reply = Arc::clone(&reply);
            thread::spawn(move || answer(stream, reply.as_ref()));
        }
    });
    url
}

fn answer(mut stream: TcpStream, reply: &dyn Fn(&str) -> Reply) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
    let open = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    match reply(path) {
        Reply::Bytes(bytes) => {
            write!(stream, "{open}content-length: {}\r\n\r\n", bytes.len())?;
            stream.write_all(&bytes)
        }
        Reply::Status(status) => {
            write!(
                stream,
                "HTTP/1.1 {status} Said\r\nlocation: http://elsewhere.example/\r\n"
            )?;
            write!(stream, "connection: close\r\ncontent-length: 0\r\n\r\n")
        }
        Reply::Silence => reader.read_line(&mut line).map(drop),
        Reply::Endless => {
            write!(stream, "{open}\r\n")?;
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        }
        Reply::Drip => {
            write!(stream, "{open}\r\n")?;
            loop {
                stream.write_all(b"x")?;
                thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        Reply::EndlessHeader => {
            write!(stream, "{open}x-more: ")?;
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        }
    }
}
