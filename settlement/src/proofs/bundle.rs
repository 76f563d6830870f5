//! Bundles: a settlement with its evidence in one text file, under one signed root. `docs/bundle.md` specifies it.
//!
//! ```text
//! {"format":"gridtally-bundle","format_version":1,"event":…,"root":"<64 hex>","signature":"<hex>"}
//! <64 hex: leaf hash> <name> <canonical JSON>
//! …                                               one line for each record, in the order of their names
//! ```
//!
//! There is one way to write a bundle, and [`Bundle::parse`] accepts no other: a flipped bit anywhere is told
//! with the record in which it is.

use gridtally_protocol::envelope::{self, Envelope, Purpose};
use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::instruction::EventId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::agreements::SignedSite;
use super::bookings::Bookings;
use super::canonical;
use super::derive::{DeriveError, Derived, derive};
use super::evidence::{self, Evidence};
use crate::cores;
use crate::ledger::Transaction;
use crate::registry::Enrolment;
use crate::rules::program::ProgramId;
use crate::rules::statement::Statement;
use gridtally_log::merkle;

/// No bundle is longer than this, in bytes.
pub const BUNDLE_LEN_MAX: usize = 1 << 30;
const FORMAT: &str = "gridtally-bundle";
const FORMAT_VERSION: u32 = 1;
/// The name of the statement's record.
pub const STATEMENT: &str = "statement";
/// The name of the transaction's record.
pub const TRANSACTION: &str = "transaction";
/// The names of the records of the other transactions.
pub const OVERPAYMENT: &str = "overpayment";
/// As [`OVERPAYMENT`].
pub const RECOVERY: &str = "recovery";
const SUPERSEDED: &str = "superseded";
const CASE: &str = "case";
const PROGRAM: &str = "program";

/// Why bytes are no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Longer than [`BUNDLE_LEN_MAX`].
    #[error("the bundle has {len} bytes; at most {BUNDLE_LEN_MAX} are read")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The first line.
    #[error("the header is not as it was signed: {problem}")]
    Header {
        /// What is wrong with it.
        problem: String,
    },
    /// A record.
    #[error("record {name} (line {line}) is not as it was signed: {problem}")]
    Record {
        /// On which line of the file, the header being line 1.
        line: usize,
        /// Its name as it stands there, cut to 200 characters.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A record that there must be once.
    #[error("the bundle has no record {name}")]
    Missing {
        /// Which.
        name: &'static str,
    },
}

/// The first line of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    format_version: u32,
    event: EventId,
    version: u32,
    program: ProgramId,
    engine: Identity,
    records: u64,
    root: Digest,
    signature: String,
}

/// A named piece of evidence, or what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    name: String,
    json: String,
}

impl Record {
    fn new(name: String, content: &impl Serialize) -> Self {
        // Structures of strings, integers and lists: writing them to memory cannot fail.
        let json = serde_json::to_string(content).unwrap_or_default();
        Self { name, json }
    }

    fn leaf(&self) -> Digest {
        merkle::leaf(format!("{} {}", self.name, self.json).as_bytes())
    }
}

/// A bundle whose hashes and signature have been checked. What it says has not: see [`super::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    header: Header,
    records: Vec<Record>,
}

impl Bundle {
    /// Puts the evidence in order, derives the statement from it, and signs the whole.
    ///
    /// # Errors
    /// [`DeriveError`] where the evidence makes no statement.
    pub fn seal(mut evidence: Evidence, key: &SigningIdentity) -> Result<(Self, Derived), DeriveError> {
        evidence.normalise();
        let derived = derive(&evidence)?;
        let records = records(&evidence, &derived);
        let leaves: Vec<Digest> = records.iter().map(Record::leaf).collect();
        let mut header = Header {
            format: FORMAT.to_owned(),
            format_version: FORMAT_VERSION,
            event: evidence.case.event.id.clone(),
            version: evidence.case.version,
            program: evidence.case.event.program.clone(),
            engine: key.identity(),
            records: count(records.len()),
            root: merkle::root(&leaves),
            signature: String::new(),
        };
        header.signature = hex::encode(envelope::seal(Purpose::Bundle, &header.signed_text(), key));
        Ok((Self { header, records }, derived))
    }

    /// Reads a bundle: its form, every record's hash, the root over them, the signature over the root.
    ///
    /// # Errors
    /// [`BundleError`] that names the first record that is not as it was signed.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > BUNDLE_LEN_MAX {
            return Err(BundleError::TooLong { len: bytes.len() });
        }
        let mut lines = lines_of(bytes);
        let header = Header::parse(lines.next().unwrap_or_default())?;
        let mut records: Vec<Record> = Vec::new();
        let mut leaves = Vec::new();
        let lines: Vec<(usize, &[u8])> = (2_usize..).zip(lines).collect();
        let parsed = cores::map(&lines, |(line, text)| parse_record(*line, text));
        for ((line, _), parsed) in lines.into_iter().zip(parsed) {
            let (record, leaf) = parsed?;
            if records.last().is_some_and(|before| before.name >= record.name) {
                let problem = "it is not in the order of names".to_owned();
                return Err(BundleError::Record {
                    line,
                    name: record.name,
                    problem,
                });
            }
            records.push(record);
            leaves.push(leaf);
        }
        header.check(&leaves)?;
        Ok(Self { header, records })
    }

    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string(&self.header).unwrap_or_default();
        text.push('\n');
        for record in &self.records {
            let leaf = record.leaf().to_string();
            for part in [leaf.as_str(), " ", &record.name, " ", &record.json, "\n"] {
                text.push_str(part);
            }
        }
        text
    }

    /// The Merkle root over all records: whoever knows it knows what the whole bundle must be.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.header.root
    }

    /// Who signed it.
    #[must_use]
    pub const fn engine(&self) -> Identity {
        self.header.engine
    }

    /// The event that it settles.
    #[must_use]
    pub const fn event(&self) -> &EventId {
        &self.header.event
    }

    /// Which of the event's statements it holds.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.header.version
    }

    /// How many records it has.
    #[must_use]
    pub const fn record_count(&self) -> u64 {
        self.header.records
    }

    /// The statement as it stands in the bundle, canonical JSON.
    ///
    /// # Errors
    /// [`BundleError::Missing`].
    pub fn statement_text(&self) -> Result<&str, BundleError> {
        self.one(STATEMENT)
            .map(|record| record.json.as_str())
            .ok_or(BundleError::Missing { name: STATEMENT })
    }

    /// A transaction as it stands in the bundle, by the name of its record; none where nothing moves.
    #[must_use]
    pub fn transaction_text(&self, name: &str) -> Option<&str> {
        self.one(name).map(|record| record.json.as_str())
    }

    /// The name of the run: the Merkle root over everything that the statement was made from, the rules and the
    /// version of the code included. Two runs of one name made the same statement.
    #[must_use]
    pub fn run(&self) -> Digest {
        let made = [STATEMENT, TRANSACTION, OVERPAYMENT, RECOVERY];
        let inputs = self.records.iter().filter(|r| !made.contains(&r.name.as_str()));
        merkle::root(&inputs.map(Record::leaf).collect::<Vec<_>>())
    }

    fn one(&self, name: &str) -> Option<&Record> {
        self.records
            .binary_search_by(|r| r.name.as_str().cmp(name))
            .ok()
            .and_then(|i| self.records.get(i))
    }

    /// The evidence in it, and that the header says what it says.
    ///
    /// # Errors
    /// [`BundleError`] that names the record which is none of ours, or the header where it says otherwise.
    pub fn evidence(&self) -> Result<Evidence, BundleError> {
        let (mut case, mut program) = (None, None);
        let (mut enrolments, mut instructions, mut acknowledgements) = (vec![], vec![], vec![]);
        let (mut reports, mut refusals) = (vec![], vec![]);
        let (mut corrections, mut disputes, mut seasons) = (vec![], vec![], vec![]);
        let (mut superseded, mut outages, mut temperatures) = (None, vec![], vec![]);
        let (mut agreements, mut beacons, mut originals) = (vec![], vec![], vec![]);
        let lines: Vec<(usize, &Record)> = (2_usize..).zip(&self.records).collect();
        let contents = cores::map(&lines, |(line, record)| {
            Content::read(&Reader { line: *line, record })
        });
        for content in contents {
            match content? {
                Content::Case(one) => case = Some(*one),
                Content::Program(one) => program = Some(one),
                Content::Agreement(one) => agreements.push(one),
                Content::Enrolment(one) => enrolments.push(*one),
                Content::Instruction(one) => instructions.push(one),
                Content::Acknowledgement(one) => acknowledgements.push(one),
                Content::Beacon(one) => beacons.push(one),
                Content::Report(one) => reports.push(one),
                Content::Original(one) => originals.push(one),
                Content::Refusal(one) => refusals.push(one),
                Content::Correction(one) => corrections.push(one),
                Content::Outage(one) => outages.push(one),
                Content::Dispute(one) => disputes.push(one),
                Content::Season(one) => seasons.push(*one),
                Content::Temperature(one) => temperatures.push(one),
                Content::Superseded(one) => superseded = Some(*one),
                Content::Derived => {}
            }
        }
        let case = case.ok_or(BundleError::Missing { name: CASE })?;
        let program = program.ok_or(BundleError::Missing { name: PROGRAM })?;
        let evidence = Evidence {
            case,
            program,
            enrolments,
            agreements,
            instructions,
            acknowledgements,
            reports,
            originals,
            refusals,
            corrections,
            outages,
            disputes,
            superseded,
            seasons,
            temperatures,
            beacons,
        };
        self.header.check_case(&evidence)?;
        Ok(evidence)
    }
}

/// The transactions by the names of their records.
pub(super) fn named(bookings: &Bookings) -> [(&'static str, Option<&Transaction>); 3] {
    [
        (TRANSACTION, bookings.settlement.as_ref()),
        (OVERPAYMENT, bookings.overpayment.as_ref()),
        (RECOVERY, bookings.recovery.as_ref()),
    ]
}

/// The lines with their ends. A bundle is mostly one long search for these.
fn lines_of(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(b'\n', bytes).map(|at| at.saturating_add(1));
    let mut from = 0;
    ends.chain(core::iter::once(bytes.len()))
        .filter_map(move |until| {
            let line = bytes.get(from..until).filter(|line| !line.is_empty());
            from = until;
            line
        })
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn records(evidence: &Evidence, derived: &Derived) -> Vec<Record> {
    let mut records = vec![
        Record::new(CASE.to_owned(), &evidence.case),
        Record::new(PROGRAM.to_owned(), &evidence.program),
        Record::new(STATEMENT.to_owned(), &derived.statement),
    ];
    let bookings = named(&derived.bookings);
    let bookings = bookings.iter().filter_map(|(name, t)| Some((name, (*t)?)));
    records.extend(bookings.map(|(name, t)| Record::new((*name).to_owned(), t)));
    let superseded = evidence.superseded.iter();
    records.extend(superseded.map(|s| Record::new(SUPERSEDED.to_owned(), s)));
    records.extend(evidence.corrections.iter().map(|c| Record::new(c.name(), c)));
    records.extend(evidence.seasons.iter().map(|s| Record::new(s.name(), s)));
    records.extend(evidence.temperatures.iter().map(|t| Record::new(t.name(), t)));
    records.extend(evidence.outages.iter().map(|o| Record::new(o.name(), o)));
    records.extend(evidence.disputes.iter().map(|d| Record::new(d.name(), d)));
    records.extend(
        evidence
            .enrolments
            .iter()
            .map(|e| Record::new(evidence::enrolment_name(e), e)),
    );
    records.extend(evidence.agreements.iter().map(|a| Record::new(a.name(), a)));
    records.extend(evidence.instructions.iter().map(|i| Record::new(i.name(), i)));
    records.extend(evidence.acknowledgements.iter().map(|a| Record::new(a.name(), a)));
    records.extend(evidence.beacons.iter().map(|b| Record::new(b.name(), b)));
    records.extend(evidence.reports.iter().map(|r| Record::new(r.name(), r)));
    records.extend(evidence.originals.iter().map(|o| Record::new(o.name(), o)));
    records.extend(evidence.refusals.iter().map(|r| Record::new(r.name(), r)));
    records.sort_by(|a, b| a.name.cmp(&b.name));
    records
}

fn parse_record(line: usize, text: &[u8]) -> Result<(Record, Digest), BundleError> {
    let wrong = |problem: &str| BundleError::Record {
        line,
        name: name_shown(text),
        problem: problem.to_owned(),
    };
    let whole = text
        .strip_suffix(b"\n")
        .ok_or_else(|| wrong("its line does not end"))?;
    let whole = str::from_utf8(whole).map_err(|_| wrong("it is no UTF-8"))?;
    let form = || wrong("its line is not of the form HASH NAME JSON");
    let (leaf, named) = whole.split_once(' ').ok_or_else(form)?;
    let (name, json) = named.split_once(' ').ok_or_else(form)?;
    let no_hash = |_| wrong("its hash is no SHA-256 in lower-case hexadecimal");
    let stated: Digest = leaf.parse().map_err(no_hash)?;
    if merkle::leaf(named.as_bytes()) != stated {
        return Err(wrong("its hash is not that of its content"));
    }
    let (name, json) = (name.to_owned(), json.to_owned());
    Ok((Record { name, json }, stated))
}

/// The name that stands in a line, as far as there is one.
fn name_shown(line: &[u8]) -> String {
    let name = line.split(|b| *b == b' ').nth(1).unwrap_or(b"without a name");
    String::from_utf8_lossy(name).chars().take(200).collect()
}

impl Header {
    /// What is signed.
    fn signed_text(&self) -> Vec<u8> {
        let Self {
            event,
            version,
            program,
            records,
            root,
            ..
        } = self;
        format!("{FORMAT} {FORMAT_VERSION}\n{event}\n{version}\n{program}\n{records}\n{root}\n").into_bytes()
    }

    fn parse(line: &[u8]) -> Result<Self, BundleError> {
        let wrong = |problem: String| BundleError::Header { problem };
        let text = line
            .strip_suffix(b"\n")
            .ok_or_else(|| wrong("its line does not end".to_owned()))?;
        let header: Self = serde_json::from_slice(text).map_err(|e| wrong(e.to_string()))?;
        if serde_json::to_vec(&header).is_ok_and(|canonical| canonical == text) {
            Ok(header)
        } else {
            Err(wrong("it is not written in the one canonical form".to_owned()))
        }
    }

    fn check(&self, leaves: &[Digest]) -> Result<(), BundleError> {
        let wrong = |problem: String| Err(BundleError::Header { problem });
        if self.format != FORMAT || self.format_version != FORMAT_VERSION {
            return wrong(format!(
                "this program reads {FORMAT} {FORMAT_VERSION}, nothing else"
            ));
        }
        if self.records != count(leaves.len()) {
            return wrong(format!(
                "it announces {} records, but {} follow",
                self.records,
                leaves.len()
            ));
        }
        if self.root != merkle::root(leaves) {
            return wrong(
                "its root is not that of the records: one was added, removed or exchanged".to_owned(),
            );
        }
        let signed = self
            .signature()
            .map_err(|problem| BundleError::Header { problem })?;
        if signed == self.signed_text() {
            Ok(())
        } else {
            wrong("the signature is for something else".to_owned())
        }
    }

    /// The signed text, verified.
    fn signature(&self) -> Result<Vec<u8>, String> {
        let bytes = hex::decode(&self.signature).map_err(|e| format!("the signature: {e}"))?;
        if hex::encode(&bytes) != self.signature {
            return Err("the signature: hexadecimal digits are written in lower case".to_owned());
        }
        let envelope = Envelope::parse(&bytes).map_err(|e| format!("the signature: {e}"))?;
        if envelope.signer() != self.engine {
            return Err("the signature is another's than the engine's".to_owned());
        }
        envelope
            .verify(Purpose::Bundle)
            .map(<[u8]>::to_vec)
            .map_err(|e| format!("the signature: {e}"))
    }

    fn check_case(&self, evidence: &Evidence) -> Result<(), BundleError> {
        let case = &evidence.case;
        let same = self.event == case.event.id
            && self.version == case.version
            && self.program == case.event.program
            && self.engine == case.engine;
        let problem = "it names another event, version, program or engine than the record `case`".to_owned();
        if same {
            Ok(())
        } else {
            Err(BundleError::Header { problem })
        }
    }
}

/// What a record holds.
enum Content {
    Case(Box<evidence::Case>),
    Program(evidence::ProgramDocument),
    Agreement(SignedSite),
    Enrolment(Box<Enrolment>),
    Instruction(evidence::SentInstruction),
    Acknowledgement(evidence::ReceivedAcknowledgement),
    Beacon(evidence::PublishedBeacon),
    Report(evidence::ReceivedReport),
    Original(evidence::ReceivedOriginal),
    Refusal(evidence::RefusedMessage),
    Correction(evidence::Correction),
    Outage(evidence::Outage),
    Dispute(evidence::Dispute),
    Season(Box<evidence::SiteSeason>),
    Temperature(evidence::Temperature),
    Superseded(Box<Statement>),
    /// What follows from the others.
    Derived,
}

impl Content {
    fn read(read: &Reader<'_>) -> Result<Self, BundleError> {
        let booked = |name: &str| {
            let content = read.content(|_: &Transaction| name.to_owned());
            content.map(|_| Self::Derived)
        };
        Ok(match read.record.name.split('/').next().unwrap_or_default() {
            CASE => Self::Case(Box::new(read.content(|_| CASE.to_owned())?)),
            PROGRAM => Self::Program(read.content(|_| PROGRAM.to_owned())?),
            "agreement" => Self::Agreement(read.content(SignedSite::name)?),
            "enrolment" => Self::Enrolment(Box::new(read.content(evidence::enrolment_name)?)),
            "instruction" => Self::Instruction(read.content(evidence::SentInstruction::name)?),
            "acknowledgement" => {
                Self::Acknowledgement(read.content(evidence::ReceivedAcknowledgement::name)?)
            }
            "beacon" => Self::Beacon(read.content(evidence::PublishedBeacon::name)?),
            "report" => Self::Report(read.content(evidence::ReceivedReport::name)?),
            "original" => Self::Original(read.content(evidence::ReceivedOriginal::name)?),
            "refusal" => Self::Refusal(read.content(evidence::RefusedMessage::name)?),
            "correction" => Self::Correction(read.content(evidence::Correction::name)?),
            "outage" => Self::Outage(read.content(evidence::Outage::name)?),
            "dispute" => Self::Dispute(read.content(evidence::Dispute::name)?),
            "season" => Self::Season(Box::new(read.content(evidence::SiteSeason::name)?)),
            "temperature" => Self::Temperature(read.content(evidence::Temperature::name)?),
            SUPERSEDED => Self::Superseded(Box::new(read.content(|_| SUPERSEDED.to_owned())?)),
            // The longest record by far: `verify` compares it with the statement that it derives, byte for byte.
            STATEMENT if read.record.name == STATEMENT => Self::Derived,
            TRANSACTION => booked(TRANSACTION)?,
            OVERPAYMENT => booked(OVERPAYMENT)?,
            RECOVERY => booked(RECOVERY)?,
            _ => return Err(read.wrong("there are no records of this kind")),
        })
    }
}

/// A record that is being read.
struct Reader<'r> {
    line: usize,
    record: &'r Record,
}

impl Reader<'_> {
    fn wrong(&self, problem: impl ToString) -> BundleError {
        BundleError::Record {
            line: self.line,
            name: self.record.name.chars().take(200).collect(),
            problem: problem.to_string(),
        }
    }

    /// The content in its one canonical form, under its one name.
    fn content<T: Serialize + DeserializeOwned>(
        &self,
        name: impl Fn(&T) -> String,
    ) -> Result<T, BundleError> {
        let content: T = serde_json::from_str(&self.record.json).map_err(|e| self.wrong(e))?;
        if name(&content) != self.record.name {
            return Err(self.wrong("it is not what its name says"));
        }
        if canonical::is_text_of(&self.record.json, &content) {
            Ok(content)
        } else {
            Err(self.wrong("it is not written in the one canonical form"))
        }
    }
}
