//! The log as files that any web server can serve, and that no write leaves half done.
//!
//! ```text
//! DIR/checkpoint                     origin, size, root; signed by the log, cosigned by witnesses
//! DIR/tile/0/000                     256 leaf hashes; tile/0/001.p/17 the first 17 of the next
//! DIR/tile/1/000.p/1                 hashes of full tiles of level 0
//! DIR/tile/entries/000               the entries themselves, each after its length
//! DIR/.lock  DIR/.incoming           the writer's own
//! ```

mod disk;
mod edge;
mod extends;
mod http;
mod nodes;
mod reader;
mod source;
mod writer;

pub use disk::{DiskError, replace_file};
pub(crate) use disk::{lock as disk_lock, make_directory, sync_directory};
pub use extends::{ExtendError, check_extends, empty};
pub use http::Http;
pub use nodes::{NodeError, TileNodes};
pub(crate) use reader::fetch_checkpoint;
pub use reader::{Checked, Found, LogReader, ReadError};
pub use source::{Directory, Place, PlaceError, Source, SourceError};
pub use writer::{LogWriter, WriteError};

/// The file that says how large the log is.
pub const CHECKPOINT: &str = "checkpoint";
