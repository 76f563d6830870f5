//! Reading a TOML document that a person wrote, so that all of its mistakes are named at once, each with
//! its line and key.

use core::cell::RefCell;
use core::fmt;
use core::ops::Range;
use core::str::FromStr;
use std::collections::BTreeSet;

use chrono::NaiveDate;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// No document is longer than this, in bytes.
pub const DOCUMENT_LEN_MAX: usize = 256 * 1024;
const MISTAKES_MAX: usize = 100;

/// One thing that is wrong in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1 on.
    pub line: usize,
    /// The key with its tables, `baseline.weekday.keep` say.
    pub key: String,
    /// What is wrong, and what is right.
    pub problem: String,
}

/// A document that is not accepted, with everything that is wrong in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct DocumentError {
    /// The document's name, a path say.
    pub name: String,
    /// Its mistakes in the order of their lines.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be used:", self.name)?;
        for mistake in &self.mistakes {
            write!(f, "\n  line {}", mistake.line)?;
            if !mistake.key.is_empty() {
                write!(f, ", {}", mistake.key)?;
            }
            write!(f, ": {}", mistake.problem)?;
        }
        Ok(())
    }
}

/// The mistakes found so far in one document.
pub(super) struct Findings<'d> {
    text: &'d str,
    mistakes: RefCell<Vec<Mistake>>,
}

impl Findings<'_> {
    fn add(&self, span: &Range<usize>, key: String, problem: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.bytes().filter(|b| *b == b'\n').count().saturating_add(1);
        let mut mistakes = self.mistakes.borrow_mut();
        if mistakes.len() < MISTAKES_MAX {
            mistakes.push(Mistake {
                line,
                key,
                problem: problem.into(),
            });
        }
    }
}

/// Reads `text` with `read`, which returns `None` only after having reported a mistake.
pub(super) fn read<T>(
    name: &str,
    text: &str,
    read: impl FnOnce(&mut Section<'_, '_>) -> Option<T>,
) -> Result<T, DocumentError> {
    let refuse = |mistakes| DocumentError {
        name: name.to_owned(),
        mistakes,
    };
    if text.len() > DOCUMENT_LEN_MAX {
        let problem = format!(
            "the document has {} bytes; at most {DOCUMENT_LEN_MAX} are read",
            text.len()
        );
        return Err(refuse(vec![Mistake {
            line: 1,
            key: String::new(),
            problem,
        }]));
    }
    let findings = Findings {
        text,
        mistakes: RefCell::default(),
    };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            findings.add(&error.span().unwrap_or_default(), String::new(), error.message());
            return Err(refuse(findings.mistakes.into_inner()));
        }
    };
    let mut root = Section::new(&findings, table.get_ref(), String::new(), table.span());
    let value = read(&mut root);
    root.finish();
    let mut mistakes = findings.mistakes.into_inner();
    mistakes.sort_by_key(|m| m.line);
    match value {
        Some(value) if mistakes.is_empty() => Ok(value),
        _ => Err(refuse(mistakes)),
    }
}

/// A table of the document: values are taken by key; what nobody took is a mistake.
pub(super) struct Section<'d, 't> {
    findings: &'d Findings<'d>,
    table: &'t DeTable<'t>,
    path: String,
    span: Range<usize>,
    known: BTreeSet<&'static str>,
}

/// A value of the document and where it stands.
pub(super) struct Found<'d, 't> {
    findings: &'d Findings<'d>,
    value: &'t Spanned<DeValue<'t>>,
    path: String,
}

impl<'d, 't> Section<'d, 't> {
    fn new(findings: &'d Findings<'d>, table: &'t DeTable<'t>, path: String, span: Range<usize>) -> Self {
        Self {
            findings,
            table,
            path,
            span,
            known: BTreeSet::new(),
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The value of an optional key.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Found<'d, 't>> {
        self.known.insert(key);
        let value = self.table.get(key)?;
        Some(Found {
            findings: self.findings,
            value,
            path: self.path_of(key),
        })
    }

    /// The value of a key that has to be there.
    pub(super) fn required(&mut self, key: &'static str) -> Option<Found<'d, 't>> {
        let found = self.optional(key);
        if found.is_none() {
            self.findings.add(&self.span, self.path_of(key), "is missing");
        }
        found
    }

    /// A mistake that concerns a key of this table.
    pub(super) fn mistake(&self, key: &str, problem: impl Into<String>) {
        let span = self.table.get(key).map_or(self.span.clone(), Spanned::span);
        self.findings.add(&span, self.path_of(key), problem);
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        for key in self
            .table
            .keys()
            .filter(|k| !self.known.contains(k.get_ref().as_ref()))
        {
            let known: Vec<_> = self.known.iter().copied().collect();
            let shown: String = key.get_ref().chars().take(64).collect();
            let problem = format!("is not known here; known are {}", known.join(", "));
            self.findings.add(&key.span(), self.path_of(&shown), problem);
        }
    }
}

impl<'d, 't> Found<'d, 't> {
    /// Reports a mistake.
    pub(super) fn mistake<T>(&self, problem: impl Into<String>) -> Option<T> {
        self.findings.add(&self.value.span(), self.path.clone(), problem);
        None
    }

    fn is_no<T>(&self, wanted: &str) -> Option<T> {
        self.mistake(format!(
            "is of type {}; wanted {wanted}",
            self.value.get_ref().type_str()
        ))
    }

    /// Whether it is a string.
    pub(super) fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// A string.
    pub(super) fn text(&self) -> Option<&'t str> {
        match self.value.get_ref().as_str() {
            Some(text) => Some(text),
            None => self.is_no("a string in quotes"),
        }
    }

    /// A string that `T` reads; its error is the mistake.
    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(&self) -> Option<T> {
        self.read_with(T::from_str)
    }

    /// A string that `read` understands; its error is the mistake.
    pub(super) fn read_with<T, E: fmt::Display>(&self, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match read(self.text()?) {
            Ok(value) => Some(value),
            Err(error) => self.mistake(error.to_string()),
        }
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        self.mistake(format!("is {text:?}; known are {}", known.join(", ")))
    }

    /// A whole number within bounds.
    pub(super) fn whole(&self, bounds: core::ops::RangeInclusive<u32>) -> Option<u32> {
        let Some(integer) = self.value.get_ref().as_integer() else {
            return self.is_no("a whole number");
        };
        let value = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        match value.filter(|v| bounds.contains(v)) {
            Some(value) => Some(value),
            None => self.mistake(format!("is not within {} to {}", bounds.start(), bounds.end())),
        }
    }

    /// A day: `2013-01-16`, with or without quotes.
    pub(super) fn day(&self) -> Option<NaiveDate> {
        let text = match self.value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(day) => day.to_string(),
            _ => return self.is_no("a day"),
        };
        match NaiveDate::from_str(&text) {
            Ok(day) => Some(day),
            Err(_) => self.mistake("is no day of the form 2013-01-16"),
        }
    }

    /// A table.
    pub(super) fn section(&self) -> Option<Section<'d, 't>> {
        match self.value.get_ref().as_table() {
            Some(table) => Some(Section::new(
                self.findings,
                table,
                self.path.clone(),
                self.value.span(),
            )),
            None => self.is_no("a table"),
        }
    }

    /// The values of an array of at most `len_max`.
    pub(super) fn items(&self, len_max: usize) -> Option<Vec<Found<'d, 't>>> {
        let Some(array) = self.value.get_ref().as_array() else {
            return self.is_no("an array");
        };
        if array.len() > len_max {
            return self.mistake(format!("has {} values; at most {len_max} are read", array.len()));
        }
        let item = |(i, value)| Found {
            findings: self.findings,
            value,
            path: format!("{}[{i}]", self.path),
        };
        Some(array.iter().enumerate().map(item).collect())
    }
}
