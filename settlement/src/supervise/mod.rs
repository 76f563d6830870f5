//! The database and the broker that need no administration.
//!
//! An engine without `--database` and `--broker` runs its own: a private PostgreSQL cluster
//! ([`PrivateCluster`]) and a private mosquitto ([`PrivateBroker`]), made from the installed
//! packages inside the engine's data directory:
//!
//! ```text
//! DATA/postgres/cluster/        the cluster: data checksums on, fsync on, no TCP
//!              socket/          its Unix socket, mode 0700
//!              postgres.log     owner.lock     users.lock
//! DATA/broker/state/            what mosquitto keeps over a restart
//!            mosquitto.conf     mosquitto.log  mosquitto.pid  address  owner.lock
//! ```
//!
//! What holds for both:
//!
//! * **One owner.** A lock on a file in the data directory, which the operating system releases
//!   however its holder dies, keeps a second engine out.
//! * **Never as root.** PostgreSQL refuses root and mosquitto should not have it: under root they run
//!   as `postgres` and `mosquitto` (else `nobody`), without supplementary groups. They may
//!   write in their own subdirectory only; logs, configuration and locks stay root's.
//! * **Watched.** A server that dies is started again, with a bounded back-off, for as
//!   long as its owner lives. What an owner that was killed left running is stopped first.
//! * **Stopped with the owner**, in order, on [`PrivateCluster::stop`] and on drop.
//!
//! Everything here is synchronous: processes, threads, files.

mod account;
mod broker;
mod error;
mod lock;
mod log;
mod postgres;
mod process;
mod watch;

#[cfg(test)]
mod tests;

pub use broker::PrivateBroker;
pub use error::SuperviseError;
pub use postgres::PrivateCluster;
