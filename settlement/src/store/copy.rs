//! COPY in PostgreSQL's binary form: the quickest way in for many rows.

use std::io::{self, Write};

use gridtally_protocol::time::Timestamp;
use postgres::{CopyInWriter, GenericClient};

use super::StoreError;
use super::types::corrupt;

/// An `i128` has at most ten digits to the base of 10,000.
const QUADS_MAX: usize = 10;

/// Rows on their way into a table.
pub(crate) struct Rows<'c> {
    copy: CopyInWriter<'c>,
    row: Vec<u8>,
}

impl<'c> Rows<'c> {
    /// Begins to copy into `table`, which is its name and its columns in parentheses.
    pub(crate) fn into(client: &'c mut impl GenericClient, table: &str) -> Result<Self, StoreError> {
        let copy = client.copy_in(&format!("COPY {table} FROM STDIN (FORMAT binary)"))?;
        let mut rows = Self {
            copy,
            row: Vec::new(),
        };
        rows.copy
            .write_all(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0")
            .map_err(interrupted)?;
        Ok(rows)
    }

    /// Sends a row: each field as its type's binary form.
    pub(crate) fn row(&mut self, fields: &[&[u8]]) -> Result<(), StoreError> {
        self.row.clear();
        let count = i16::try_from(fields.len()).map_err(corrupt)?;
        self.row.extend_from_slice(&count.to_be_bytes());
        for field in fields {
            let len = i32::try_from(field.len()).map_err(corrupt)?;
            self.row.extend_from_slice(&len.to_be_bytes());
            self.row.extend_from_slice(field);
        }
        self.copy.write_all(&self.row).map_err(interrupted)
    }

    /// Ends the rows; what the database has against them is said here at the latest.
    pub(crate) fn finish(mut self) -> Result<(), StoreError> {
        self.copy
            .write_all(&(-1_i16).to_be_bytes())
            .map_err(interrupted)?;
        self.copy.finish()?;
        Ok(())
    }
}

/// The database's own words, where it interrupted the copy.
fn interrupted(error: io::Error) -> StoreError {
    match error.downcast::<postgres::Error>() {
        Ok(told) => told.into(),
        Err(error) => StoreError::Interrupted(error),
    }
}

/// Microseconds since 2000-01-01, as PostgreSQL counts.
pub(crate) fn instant(at: Timestamp) -> [u8; 8] {
    let micros = at.unix().saturating_sub(946_684_800).saturating_mul(1_000_000);
    micros.to_be_bytes()
}

/// A whole number as `numeric`: digits to the base of 10,000, the first one first, behind how many there are, the power
/// of the first, the sign, and no decimals.
pub(crate) fn whole_numeric(number: i128, out: &mut Vec<u8>) {
    let mut quads = [0_u16; QUADS_MAX];
    let mut count = 0_u16;
    let mut rest = number.unsigned_abs();
    for quad in quads.iter_mut().rev() {
        if rest == 0 {
            break;
        }
        *quad = u16::try_from(rest % 10_000).unwrap_or(0);
        rest /= 10_000;
        count += 1;
    }
    let sign: u16 = if number < 0 { 0x4000 } else { 0 };
    out.clear();
    for part in [count, count.saturating_sub(1), sign, 0] {
        out.extend_from_slice(&part.to_be_bytes());
    }
    let unused = QUADS_MAX - usize::from(count);
    for quad in quads.iter().skip(unused) {
        out.extend_from_slice(&quad.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The other way, as the documentation of the format has it.
    fn read(bytes: &[u8]) -> i128 {
        let word = |n: usize| u16::from_be_bytes([bytes[2 * n], bytes[2 * n + 1]]);
        let (count, weight, negative) = (usize::from(word(0)), word(1), word(2) == 0x4000);
        assert_eq!(bytes.len(), 2 * (4 + count));
        assert_eq!(word(3), 0, "decimals");
        assert_eq!(usize::from(weight), count.saturating_sub(1));
        let magnitude = (0..count).fold(0_i128, |sum, n| sum * 10_000 + i128::from(word(4 + n)));
        if negative { -magnitude } else { magnitude }
    }

    proptest! {
        #[test]
        fn any_amount_comes_back_out_of_the_binary_form(number in -(10_i128.pow(38) - 1)..10_i128.pow(38), shift in 0_u32..38) {
            for number in [number, number / 10_i128.pow(shift), 0, 1, -1, 10_000, 9_999] {
                let mut bytes = vec![7];
                whole_numeric(number, &mut bytes);
                prop_assert_eq!(read(&bytes), number);
            }
        }
    }
}
