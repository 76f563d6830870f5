//! Making a cluster.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::error::{At, SuperviseError};
use super::super::process;
use super::install::Installation;
use super::{LADDER, NAME, PROGRAM, Site};

/// Makes the cluster with its database in a directory of another name, which gets its own name
/// when all is done: whatever is half-made when the power goes, is thrown away and made again.
pub(super) fn initialise(installation: &Installation, site: &Site) -> Result<(), SuperviseError> {
    let unfinished = site.dir.join("cluster.new");
    // A killed engine may have left an initdb that still writes there.
    process::end_all(PROGRAM, || process::working_in(&unfinished), LADDER)?;
    process::end_all("initdb", || process::with_argument("initdb", &unfinished), LADDER)?;
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).at("remove the half-made", &unfinished);
        }
        _ => {}
    }
    site.account.make_own_dir(&unfinished)?;
    run("initdb", site, initdb(installation, site, &unfinished), None)?;
    // initdb makes databases of its own names only.
    let create = format!("CREATE DATABASE {NAME};\n");
    run(
        PROGRAM,
        site,
        single_user(installation, site, &unfinished),
        Some(&create),
    )?;
    fs::rename(&unfinished, site.cluster()).at("rename", &unfinished)?;
    File::open(&site.dir)
        .and_then(|dir| dir.sync_all())
        .at("sync", &site.dir)
}

/// The C locale is there on every system and sorts bytes alike on all of them.
fn initdb(installation: &Installation, site: &Site, cluster: &Path) -> Command {
    let mut command = site.account.command(&installation.program("initdb"));
    command.arg("-D").arg(cluster).args([
        "--data-checksums",
        "--encoding=UTF8",
        "--locale=C",
        "--auth-local=trust",
        "--auth-host=reject",
        "--no-instructions",
        "--username",
        NAME,
    ]);
    command
}

fn single_user(installation: &Installation, site: &Site, cluster: &Path) -> Command {
    let mut command = site.account.command(&installation.program(PROGRAM));
    command
        .args(["--single", "-c", "exit_on_error=on", "-D"])
        .arg(cluster)
        .arg("postgres");
    command
}

/// Runs a program to its end, with the given text as its input.
fn run(
    program: &'static str,
    site: &Site,
    mut command: Command,
    input: Option<&str>,
) -> Result<(), SuperviseError> {
    let log = site.log();
    let mut child = command
        .current_dir("/")
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(log.open()?)
        .stderr(log.open()?)
        .spawn()
        .at("run", Path::new(command.get_program()))?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin
            .write_all(input.as_bytes())
            .at("write to the input of", Path::new(command.get_program()))?;
    }
    let status = child.wait().at("wait for", Path::new(command.get_program()))?;
    if status.success() {
        return Ok(());
    }
    Err(SuperviseError::Ended {
        program,
        status,
        log: log.path().to_owned(),
        log_tail: log.tail(),
    })
}
