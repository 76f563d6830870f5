//! What is wrong in a profile: where, what, and what to do.

use std::fmt;

use super::codec::EncodeError;

/// The most mistakes that are listed; a file with more is no profile.
pub const MISTAKES_MAX: usize = 1_000;

/// Everything that is wrong in one file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileErrors {
    /// The name that the caller gave to the text.
    pub file: String,
    /// At least one.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for ProfileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, mistake) in self.mistakes.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(f, "{separator}{}, {mistake}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for ProfileErrors {}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// The path of the key, `point[2].scale`; empty where no key is to blame.
    pub key: String,
    /// What is wrong there, and what to do.
    pub problem: Problem,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.key.is_empty() { "" } else { ", " };
        write!(f, "line {}{separator}{}: {}", self.line, self.key, self.problem)
    }
}

/// What is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each sentence says it")]
pub enum Problem {
    #[error("the file has {bytes} bytes and a profile at most {max}: leave out points")]
    FileTooLarge { bytes: usize, max: usize },
    #[error("this is not TOML: {0}")]
    Syntax(String),
    #[error("more than {max} mistakes: mend these first")]
    TooManyMistakes { max: usize },
    #[error("the key is not known here: use one of {known}")]
    UnknownKey { known: String },
    #[error("the key is missing: write {expected}")]
    Missing { expected: String },
    #[error("this is {found}: write {expected}")]
    WrongType { found: &'static str, expected: String },
    #[error("{value} is out of range: write {expected}")]
    OutOfRange { value: String, expected: String },
    #[error("{word:?} is not known: write {expected}")]
    UnknownWord { word: String, expected: String },
    #[error("{0} points are too many: a profile has 1 to {1}")]
    PointCount(usize, usize),
    #[error("{name} is also the point of line {line}: give each point its own name")]
    DuplicateName { name: String, line: usize },
    #[error("the point ends at register {end} and the last one is 65535: check the address and the type")]
    BeyondLastRegister { end: u32 },
    #[error("the point has {length} registers and one request reads {max}: it can never be read")]
    LongerThanRequest { length: u16, max: u16 },
    #[error(
        "the point shares registers with {other} of line {line} and reads them differently: \
         both must have the same address, type, orders, scale and sentinels"
    )]
    Overlap { other: String, line: usize },
    #[error("{name} is {expected}: set type and unit so")]
    WrongMeasure { name: String, expected: String },
    #[error("a point of type {kind} has no {key}: leave it out")]
    NotForType { kind: &'static str, key: &'static str },
    #[error("only holding registers can be written: set table = \"holding\" or access = \"r\"")]
    ReadOnlyTable,
    #[error("min {min} is above max {max}: exchange them")]
    EmptyRange { min: String, max: String },
    #[error("this is set only with {with}: add that, or leave this out")]
    OnlyWith { with: &'static str },
    #[error("no point is called {name}: name a [[point]] of this file, or give an address")]
    UnknownPoint { name: String },
    #[error("the point {name} is read-only: give it access = \"rw\", min and max")]
    ReadOnlyPoint { name: String },
    #[error("{argument} is {expected} and the point is in {unit}: take another point or argument")]
    ArgumentUnit {
        argument: &'static str,
        expected: &'static str,
        unit: String,
    },
    #[error("the literal cannot be written: {0}")]
    Literal(EncodeError),
    #[error("either {one} or {other}, not both and not neither: decide for one")]
    OneOf { one: &'static str, other: &'static str },
    #[error("a recipe takes watts or percent, and this takes both: split it")]
    TwoArguments,
    #[error("{argument} has no place in {action}: leave it out")]
    ArgumentForAction {
        argument: &'static str,
        action: &'static str,
    },
    #[error("nothing gives back what the controls take: add [control.release]")]
    NoRelease,
    #[error("the recipe must write the timer {name} with \"{{seconds}}\": add that write")]
    TimerNotWritten { name: String },
    #[error("{name} is a point or another sum too: keep one of them")]
    SumTwice { name: String },
    #[error("no point is called {name}: name a [[point]] of this file")]
    UnknownPart { name: String },
    #[error("{name} is no part of a sum: parts are powers, polled at one pace, each named once")]
    NotAPart { name: String },
    #[error("a sum has 2 to {max} parts: name them in plus and minus, or name the point itself so")]
    PartCount { max: usize },
    #[error("joined says that writes to registers in a row are one request, and none are: leave it out")]
    NothingToJoin,
    #[error("{registers} registers in a row are joined and one request writes {max}: split the recipe")]
    JoinedTooLong { registers: usize, max: usize },
    #[error("a recipe has 1 to {max} writes: add [[control.….write]] tables, or split it")]
    WriteCount { max: usize },
}

/// The mistakes of one text, found in any order.
#[derive(Debug)]
pub(super) struct Log {
    line_starts: Vec<usize>,
    mistakes: Vec<(usize, Mistake)>,
}

impl Log {
    pub(super) fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            line_starts: std::iter::once(0).chain(ends.map(|(end, _)| end + 1)).collect(),
            mistakes: Vec::new(),
        }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    pub(super) fn add(&mut self, offset: usize, key: impl Into<String>, problem: Problem) {
        let line = self.line(offset);
        if self.mistakes.len() == MISTAKES_MAX {
            let (key, problem) = (String::new(), Problem::TooManyMistakes { max: MISTAKES_MAX });
            self.mistakes.push((usize::MAX, Mistake { line, key, problem }));
        } else if self.mistakes.len() < MISTAKES_MAX {
            let key = key.into();
            self.mistakes.push((offset, Mistake { line, key, problem }));
        }
    }

    /// Every mistake in the order of the text; `None` where there is none.
    pub(super) fn into_errors(mut self, file: &str) -> Option<ProfileErrors> {
        self.mistakes.sort_by_key(|(offset, _)| *offset);
        let mistakes: Vec<Mistake> = self.mistakes.into_iter().map(|(_, mistake)| mistake).collect();
        let file = file.to_owned();
        (!mistakes.is_empty()).then_some(ProfileErrors { file, mistakes })
    }
}
