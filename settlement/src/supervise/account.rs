//! As whom a server runs.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::error::{At, SuperviseError};

/// The user and group of a server's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    /// Whether we are root and have to become this account.
    switch: bool,
}

impl Account {
    /// Ourselves if we are an ordinary user. Under root: the owner of `existing` if that is there
    /// already and not root's; else the first of the users `wanted` that exists.
    pub(super) fn choose(
        wanted: &'static [&'static str],
        existing: &Path,
    ) -> Result<Account, SuperviseError> {
        let uid = rustix::process::geteuid().as_raw();
        let owner = fs::metadata(existing)
            .ok()
            .map(|metadata| (metadata.uid(), metadata.gid()));
        if uid != 0 {
            if let Some((owner, _)) = owner.filter(|(owner, _)| *owner != uid) {
                return Err(SuperviseError::ForeignOwner {
                    dir: existing.to_owned(),
                    owner,
                    user: uid,
                });
            }
            let gid = rustix::process::getegid().as_raw();
            return Ok(Account {
                name: format!("user {uid}"),
                uid,
                gid,
                switch: false,
            });
        }
        if let Some((uid, gid)) = owner.filter(|(owner, _)| *owner != 0) {
            return Ok(Account {
                name: format!("user {uid}"),
                uid,
                gid,
                switch: true,
            });
        }
        let passwd = fs::read_to_string("/etc/passwd").at("read", Path::new("/etc/passwd"))?;
        wanted
            .iter()
            .find_map(|name| account_in(&passwd, name))
            .ok_or(SuperviseError::NoAccount { wanted })
    }

    /// A command that runs as this account, in a process group of its own: a Ctrl-C at the
    /// terminal is for the engine, which then stops its servers in order. (Where the user id is
    /// set under root, the standard library drops the supplementary groups.)
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.process_group(0);
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// A directory that only this account may enter, made unless it is there.
    pub(super) fn make_own_dir(&self, dir: &Path) -> Result<(), SuperviseError> {
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => return other.at("create", dir),
        }
        // Somebody may have been quicker with a name in a public directory: take no link, and
        // nothing that another user owns.
        let metadata = fs::symlink_metadata(dir).at("look at", dir)?;
        let ours = [self.uid, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
        if !metadata.is_dir() || !ours {
            return Err(SuperviseError::ForeignOwner {
                dir: dir.to_owned(),
                owner: metadata.uid(),
                user: self.uid,
            });
        }
        if self.switch {
            chown(dir, Some(self.uid), Some(self.gid)).at("give away", dir)?;
        }
        set_mode(dir, 0o700)
    }

    /// The engine's own directory for a server: root's, if we are root, and then open to pass
    /// through, so that the account can reach what is its own in it.
    pub(super) fn make_passage(&self, dir: &Path) -> Result<(), SuperviseError> {
        fs::create_dir_all(dir).at("create", dir)?;
        set_mode(dir, if self.switch { 0o711 } else { 0o700 })
    }

    /// Lets the account pass through the data directory, which is the engine's, and checks that it
    /// can pass through all above it, which are not.
    pub(super) fn open_way_to(&self, data_dir: &Path) -> Result<(), SuperviseError> {
        fs::create_dir_all(data_dir).at("create", data_dir)?;
        if !self.switch {
            return Ok(());
        }
        let metadata = fs::metadata(data_dir).at("look at", data_dir)?;
        if !self.can_enter(&metadata) && metadata.uid() == 0 {
            set_mode(data_dir, (metadata.mode() & 0o7777) | 0o011)?;
        }
        let resolved = fs::canonicalize(data_dir).at("resolve", data_dir)?;
        for dir in resolved.ancestors() {
            let metadata = fs::metadata(dir).at("look at", dir)?;
            if !self.can_enter(&metadata) {
                return Err(SuperviseError::Unreachable {
                    dir: dir.to_owned(),
                    mode: metadata.mode() & 0o7777,
                    account: self.name.clone(),
                });
            }
        }
        Ok(())
    }

    fn can_enter(&self, metadata: &fs::Metadata) -> bool {
        let execute = if metadata.uid() == self.uid {
            0o100
        } else if metadata.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        metadata.mode() & execute != 0
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), SuperviseError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).at("set the permissions of", path)
}

/// Looks `name` up in the text of a passwd(5) file; never yields root.
fn account_in(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (found && uid != 0).then(|| Account {
            name: name.to_owned(),
            uid,
            gid,
            switch: true,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        broken line\n\
        toor:x:0:0::/root:/bin/sh\n\
        postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn accounts_are_found_by_name_and_root_is_not_one() {
        let postgres = account_in(PASSWD, "postgres").unwrap();
        assert_eq!((postgres.uid, postgres.gid), (101, 104));
        assert_eq!(account_in(PASSWD, "toor"), None);
        assert_eq!(account_in(PASSWD, "mosquitto"), None);
    }

    #[test]
    fn a_closed_directory_on_the_way_is_named_and_the_data_directory_itself_is_opened() {
        let outer = tempfile::tempdir().unwrap();
        let data_dir = outer.path().join("data");
        set_mode(outer.path(), 0o700).unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let stranger = Account {
            name: "stranger".into(),
            uid: 54_321,
            gid: 54_321,
            switch: true,
        };
        let error = stranger.open_way_to(&data_dir).unwrap_err();
        let SuperviseError::Unreachable { dir, mode, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(
            (dir.as_path(), *mode),
            (fs::canonicalize(outer.path()).unwrap().as_path(), 0o700)
        );
        assert!(error.to_string().contains("choose a data directory"), "{error}");

        set_mode(outer.path(), 0o711).unwrap();
        set_mode(&data_dir, 0o700).unwrap();
        let opened = stranger.open_way_to(&data_dir);
        // Only root may open what is root's; anybody else is told.
        assert_eq!(opened.is_ok(), uid == 0);
    }

    #[test]
    fn a_link_in_place_of_an_own_directory_is_not_followed() {
        let outer = tempfile::tempdir().unwrap();
        let link = outer.path().join("socket");
        std::os::unix::fs::symlink("/tmp", &link).unwrap();
        let me = Account::choose(&["nobody"], &outer.path().join("absent")).unwrap();
        assert!(matches!(
            me.make_own_dir(&link),
            Err(SuperviseError::ForeignOwner { .. })
        ));
    }
}
