//! A TOML table read key by key: what is wrong goes to the log, and reading goes on.

use std::fmt::Display;
use std::ops::RangeInclusive;

use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::mistake::{Log, Problem};

/// The longest text of a key.
const TEXT_LENGTH_MAX: usize = 500;

/// A table with its place. Every key that is asked for is known; [`Section::finish`] reports the others.
pub(super) struct Section<'t, 'log> {
    table: &'t DeTable<'t>,
    at: usize,
    path: String,
    asked: Vec<&'static str>,
    pub(super) log: &'log mut Log,
}

/// A value with its place.
#[derive(Clone)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) at: usize,
    pub(super) key: String,
}

impl<'t, 'log> Section<'t, 'log> {
    pub(super) fn new(table: &'t DeTable<'t>, at: usize, path: String, log: &'log mut Log) -> Self {
        Self {
            table,
            at,
            path,
            asked: Vec::new(),
            log,
        }
    }

    /// Where the table begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The path of a key in it.
    pub(super) fn key(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// Where the value of a key is; where the table begins, without.
    pub(super) fn place(&self, key: &str) -> usize {
        self.value_of(key).map_or(self.at, |value| value.span().start)
    }

    /// The keys as they are written, with their places.
    pub(super) fn keys(&self) -> Vec<(String, usize)> {
        let place = |name: &Spanned<_>| name.span().start;
        self.table
            .iter()
            .map(|(name, _)| (name.get_ref().to_string(), place(name)))
            .collect()
    }

    pub(super) fn mistake(&mut self, at: usize, key: &str, problem: Problem) {
        let key = self.key(key);
        self.log.add(at, key, problem);
    }

    fn find(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.asked.push(key);
        self.value_of(key)
    }

    fn value_of(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map(|(_, value)| value)
    }

    fn require(&mut self, key: &'static str, expected: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        let value = self.find(key);
        if value.is_none() {
            let expected = expected.to_owned();
            self.mistake(self.at, key, Problem::Missing { expected });
        }
        value
    }

    fn wrong_type(&mut self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let (found, expected) = (name_of(value.get_ref()), expected.to_owned());
        self.mistake(value.span().start, key, Problem::WrongType { found, expected });
    }

    fn found<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, inner: T) -> Found<T> {
        Found {
            value: inner,
            at: value.span().start,
            key: self.key(key),
        }
    }

    /// Text that must be there.
    pub(super) fn text(&mut self, key: &'static str, expected: &str) -> Option<Found<String>> {
        let value = self.require(key, expected)?;
        self.as_text(key, value, expected)
    }

    /// Text that may be there.
    pub(super) fn optional_text(&mut self, key: &'static str) -> Option<Found<String>> {
        let value = self.find(key)?;
        self.as_text(key, value, "a text")
    }

    fn as_text(&mut self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<Found<String>> {
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(key, value, expected);
            return None;
        };
        if text.trim().is_empty() || text.len() > TEXT_LENGTH_MAX {
            let (length, expected) = (text.len(), format!("{expected}, of 1 to {TEXT_LENGTH_MAX} bytes"));
            let problem = Problem::OutOfRange {
                value: format!("a text of {length} bytes"),
                expected,
            };
            self.mistake(value.span().start, key, problem);
            return None;
        }
        Some(self.found(key, value, text.to_string()))
    }

    /// A list of texts, not empty, that must be there.
    pub(super) fn texts(&mut self, key: &'static str, expected: &str) -> Option<Vec<String>> {
        let value = self.require(key, expected)?;
        let Some(list) = value.get_ref().as_array().filter(|list| !list.is_empty()) else {
            self.wrong_type(key, value, expected);
            return None;
        };
        let texts = list
            .iter()
            .map(|item| self.as_text(key, item, expected).map(|text| text.value));
        texts.collect()
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let value = self.require(key, "true or false")?;
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            self.wrong_type(key, value, "true or false");
        }
        truth
    }

    /// True or false; false where there is none.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        if self.has(key) {
            self.boolean(key)
        } else {
            self.asked.push(key);
            Some(false)
        }
    }

    /// A whole number within a range that must be there.
    pub(super) fn whole<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<Found<T>>
    where
        T: TryFrom<i128> + PartialOrd + Display + Copy,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let value = self.require(key, &expected)?;
        let whole = self.as_whole(key, value, &range, &expected)?;
        Some(self.found(key, value, whole))
    }

    /// A whole number within a range, or what stands where there is none.
    pub(super) fn whole_or<T>(&mut self, key: &'static str, range: RangeInclusive<T>, default: T) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + Display + Copy,
    {
        if self.has(key) {
            self.whole(key, range).map(|found| found.value)
        } else {
            self.asked.push(key);
            Some(default)
        }
    }

    fn as_whole<T>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        range: &RangeInclusive<T>,
        expected: &str,
    ) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + Display + Copy,
    {
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(key, value, expected);
            return None;
        };
        let whole = whole_of(integer).and_then(|whole| T::try_from(whole).ok());
        let whole = whole.filter(|whole| range.contains(whole));
        if whole.is_none() {
            let (value_text, expected) = (integer.to_string(), expected.to_owned());
            let problem = Problem::OutOfRange {
                value: value_text,
                expected,
            };
            self.mistake(value.span().start, key, problem);
        }
        whole
    }

    /// A list of whole numbers, empty where there is none.
    pub(super) fn whole_list(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Vec<u64> {
        let expected = format!("a list of raw numbers from 0 to {:#x}", range.end());
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let Some(list) = value.get_ref().as_array() else {
            self.wrong_type(key, value, &expected);
            return Vec::new();
        };
        list.iter()
            .filter_map(|item| self.as_whole(key, item, &range, &expected))
            .collect()
    }

    /// An exact decimal that may be there: a text such as "0.1", or a whole number.
    pub(super) fn optional_decimal(&mut self, key: &'static str) -> Option<Found<Decimal>> {
        let value = self.find(key)?;
        let number = match value.get_ref() {
            DeValue::String(text) => decimal_of(text),
            DeValue::Integer(integer) => {
                whole_of(integer).and_then(|whole| Decimal::try_from_i128_with_scale(whole, 0).ok())
            }
            _ => None,
        };
        match number {
            Some(number) => Some(self.found(key, value, number)),
            None => {
                self.not_a_decimal(key, value);
                None
            }
        }
    }

    fn not_a_decimal(&mut self, key: &str, value: &Spanned<DeValue<'_>>) {
        let expected = "an exact decimal as a text, such as \"0.1\", or a whole number";
        match value.get_ref().as_str() {
            Some(text) => {
                let (word, expected) = (text.chars().take(60).collect(), expected.to_owned());
                self.mistake(value.span().start, key, Problem::UnknownWord { word, expected });
            }
            None => self.wrong_type(key, value, expected),
        }
    }

    /// One of some words that must be there.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<Found<T>> {
        let expected = one_of(words);
        let text = self.text(key, &expected)?;
        let known = words
            .iter()
            .find(|(word, _)| *word == text.value)
            .map(|(_, meaning)| *meaning);
        if known.is_none() {
            let word = text.value.clone();
            self.log
                .add(text.at, text.key.clone(), Problem::UnknownWord { word, expected });
        }
        known.map(|value| Found {
            value,
            at: text.at,
            key: text.key,
        })
    }

    /// One of some words, or what stands where there is none.
    pub(super) fn word_or<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        default: T,
    ) -> Option<T> {
        if self.has(key) {
            self.word(key, words).map(|found| found.value)
        } else {
            self.asked.push(key);
            Some(default)
        }
    }

    /// The tables of `[[key]]`, none where there are none.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(&'t DeTable<'t>, usize, String)> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let expected = format!("[[{}]] tables", self.key(key));
        let Some(list) = value.get_ref().as_array() else {
            self.wrong_type(key, value, &expected);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (position, item) in list.iter().enumerate() {
            match item.get_ref().as_table() {
                Some(table) => {
                    tables.push((table, item.span().start, format!("{}[{position}]", self.key(key))));
                }
                None => self.wrong_type(key, item, &expected),
            }
        }
        tables
    }

    /// The table of `[key]`.
    pub(super) fn table(&mut self, key: &str, expected: &str) -> Option<(&'t DeTable<'t>, usize, String)> {
        let value = self.value_of(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(key, value, expected);
            return None;
        };
        Some((table, value.span().start, self.key(key)))
    }

    /// Marks keys as known that are read by other means.
    pub(super) fn know(&mut self, key: &'static str) {
        self.asked.push(key);
    }

    /// The text of a key, whatever is wrong with it.
    pub(super) fn raw_text(&self, key: &str) -> Option<&'t str> {
        self.value_of(key)?.get_ref().as_str()
    }

    /// Whether the key holds a text.
    pub(super) fn is_text(&self, key: &str) -> bool {
        self.raw_text(key).is_some()
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(mut self) {
        for (key, at) in self.keys() {
            if !self.asked.iter().any(|asked| *asked == key) {
                let known = self.asked.join(", ");
                let shown: String = key.chars().take(60).collect();
                self.mistake(at, &shown, Problem::UnknownKey { known });
            }
        }
    }
}

fn one_of<T>(words: &[(&str, T)]) -> String {
    let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    words.join(" or ")
}

fn name_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a float, which is not exact",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(list) if list.is_empty() => "an empty list",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn whole_of(integer: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Digits with at most one point among them, and a minus: no exponent, no underscores.
pub(super) fn decimal_of(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (plain(whole) && plain(places)).then(|| Decimal::from_str_exact(text).ok())?
}
