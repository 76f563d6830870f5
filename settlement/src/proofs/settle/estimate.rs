//! What an event would pay, quickly: from the days that ingest keeps, on all cores, in bounded memory.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use gridtally_protocol::identity::Identity;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;

use super::FIRST;
use super::error::SettlementError;
use crate::proofs::stream::{self, Options, StreamError, Streamed};
use crate::store::evidence::Request;
use crate::store::{Store, events, settlements};

/// Makes the first statement of an event of what is stored at `now`, and neither keeps nor pays anything. It is the
/// statement that settling at that instant makes, without the evidence that proves it. The whole of it goes to
/// `statement`, where that is asked for; `progress` hears how many sites are done.
///
/// # Errors
/// [`SettlementError`]; [`StreamError`] in it where the program looks at more than days.
pub fn estimate(
    store: &mut Store,
    engine: Identity,
    event: &EventId,
    now: Timestamp,
    statement: Option<&Path>,
    mut progress: impl FnMut(u64),
) -> Result<Streamed, SettlementError> {
    let url = store.url().to_owned();
    store.transact(|client| {
        let event = events::event(client, event)?;
        if settlements::last(client, &event.id)?.is_some() {
            return Err(SettlementError::SettledAlready(event.id));
        }
        let after = settlements::chain_end(client, &event.program)?;
        let request = Request {
            event: &event,
            version: FIRST,
            settled_at: now,
            engine,
            carried_from: after.map(|end| end.carry),
            occasion: None,
        };
        let options = Options::default();
        let Some(path) = statement else {
            return Ok(stream::stream(
                client,
                &url,
                &request,
                &options,
                None,
                &mut progress,
            )?);
        };
        // The head of a statement has the sums, which are known last.
        let sites = beside(path);
        let written = (|| {
            let mut out = BufWriter::new(File::create(&sites)?);
            let streamed = stream::stream(client, &url, &request, &options, Some(&mut out), &mut progress)?;
            out.flush()?;
            let mut whole = BufWriter::new(File::create(path)?);
            let mut sites = BufReader::new(File::open(&sites)?);
            stream::assemble(&streamed.statement, &mut sites, &mut whole)?;
            whole.flush()?;
            Ok::<_, StreamError>(streamed)
        })();
        // Whether it was ever there changes nothing about what was found.
        let _ = fs::remove_file(&sites);
        Ok(written?)
    })
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    name.into()
}
