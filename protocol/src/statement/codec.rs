//! How a statement is written, and read within its bounds.

use minicbor::{Decoder, Encoder, decode};

use super::{
    LINES_MAX, PARTS_MAX, PartKind, SiteStatement, StatementLine, StatementPart, StatementTotals, ZeroReason,
    is_site,
};
use crate::cbor::{self, Sink, Write};
use crate::message;
use crate::quantity::{Asset, MilliwattHours, TokenAmount};
use crate::receipt::{read_digest, read_identity};
use crate::report::read_instant;
use crate::time::IntervalLength;

pub(super) fn write(statement: &SiteStatement, e: &mut Encoder<Sink>) -> Write {
    // Parts come last, and only where there are any.
    e.array(if statement.parts.is_empty() { 17 } else { 18 })?
        .u8(message::VERSION)?
        .bytes(statement.gateway.as_bytes())?
        .str(&statement.site)?
        .str(statement.program.as_str())?
        .u32(statement.program_version)?
        .bytes(statement.program_hash.as_bytes())?
        .str(statement.event.as_str())?
        .u32(statement.version)?
        .bytes(statement.statement.as_bytes())?
        .i64(statement.settled_at.unix())?;
    e.array(2)?
        .str(statement.asset.code())?
        .u8(statement.asset.decimals())?;
    e.i64(statement.start.unix())?
        .i64(statement.end.unix())?
        .u32(statement.interval.seconds())?;
    let totals = &statement.totals;
    e.array(4)?;
    write_energy(e, totals.baseline)?;
    write_energy(e, totals.metered)?;
    e.i64(totals.credited.get())?;
    cbor::write_integer(e, totals.amount.base_units())?;
    write_reason(e, statement.reason)?;
    e.array(u64::try_from(statement.lines.len()).unwrap_or(u64::MAX))?;
    for line in &statement.lines {
        e.array(5)?;
        write_energy(e, line.baseline)?;
        write_energy(e, line.metered)?;
        e.i64(line.credited.get())?;
        cbor::write_integer(e, line.amount.base_units())?;
        write_reason(e, line.reason)?;
    }
    if statement.parts.is_empty() {
        return Ok(());
    }
    e.array(u64::try_from(statement.parts.len()).unwrap_or(u64::MAX))?;
    for part in &statement.parts {
        e.array(3)?.u8(part.kind.code())?;
        match part.amount {
            Some(amount) => cbor::write_integer(e, amount.base_units())?,
            None => drop(e.null()?),
        }
        write_reason(e, part.reason)?;
    }
    Ok(())
}

fn write_energy(e: &mut Encoder<Sink>, energy: Option<MilliwattHours>) -> Write {
    match energy {
        Some(energy) => e.i64(energy.get())?,
        None => e.null()?,
    };
    Ok(())
}

fn write_reason(e: &mut Encoder<Sink>, reason: Option<ZeroReason>) -> Write {
    match reason {
        Some(reason) => e.u8(reason.code())?,
        None => e.null()?,
    };
    Ok(())
}

pub(super) fn read(d: &mut Decoder<'_>) -> Result<SiteStatement, decode::Error> {
    let len = cbor::array_len(
        d,
        17,
        18,
        "a statement is an array of seventeen, or of eighteen with parts",
    )?;
    message::read_version(d)?;
    let gateway = read_identity(d)?;
    let site = d.str()?;
    cbor::expect(is_site(site), "not a site's name")?;
    Ok(SiteStatement {
        gateway,
        site: site.to_owned(),
        program: d.str()?.parse().map_err(decode::Error::message)?,
        program_version: d.u32()?,
        program_hash: read_digest(d)?,
        event: d.str()?.parse().map_err(decode::Error::message)?,
        version: d.u32()?,
        statement: read_digest(d)?,
        settled_at: read_instant(d)?,
        asset: read_asset(d)?,
        start: read_instant(d)?,
        end: read_instant(d)?,
        interval: IntervalLength::from_seconds(d.u32()?).map_err(decode::Error::message)?,
        totals: read_totals(d)?,
        reason: read_reason(d)?,
        lines: read_lines(d)?,
        parts: match len {
            18 => read_parts(d)?,
            _ => Vec::new(),
        },
    })
}

fn read_asset(d: &mut Decoder<'_>) -> Result<Asset, decode::Error> {
    cbor::expect(d.array()? == Some(2), "an asset is an array of two")?;
    let code = d.str()?;
    Asset::new(code, d.u8()?).map_err(decode::Error::message)
}

fn read_totals(d: &mut Decoder<'_>) -> Result<StatementTotals, decode::Error> {
    cbor::expect(d.array()? == Some(4), "totals are an array of four")?;
    Ok(StatementTotals {
        baseline: read_energy(d)?,
        metered: read_energy(d)?,
        credited: MilliwattHours::new(d.i64()?),
        amount: read_amount(d)?,
    })
}

fn read_lines(d: &mut Decoder<'_>) -> Result<Vec<StatementLine>, decode::Error> {
    let len = cbor::array_len(d, 0, LINES_MAX, "there are at most 288 lines")?;
    (0..len).map(|_| read_line(d)).collect()
}

fn read_line(d: &mut Decoder<'_>) -> Result<StatementLine, decode::Error> {
    cbor::expect(d.array()? == Some(5), "a line is an array of five")?;
    Ok(StatementLine {
        baseline: read_energy(d)?,
        metered: read_energy(d)?,
        credited: MilliwattHours::new(d.i64()?),
        amount: read_amount(d)?,
        reason: read_reason(d)?,
    })
}

fn read_parts(d: &mut Decoder<'_>) -> Result<Vec<StatementPart>, decode::Error> {
    let len = cbor::array_len(d, 1, PARTS_MAX, "there are 1 to 17 parts, where there are any")?;
    (0..len).map(|_| read_part(d)).collect()
}

fn read_part(d: &mut Decoder<'_>) -> Result<StatementPart, decode::Error> {
    cbor::expect(d.array()? == Some(3), "a part is an array of three")?;
    Ok(StatementPart {
        kind: PartKind::from_code(d.u8()?)
            .ok_or_else(|| decode::Error::message("an unknown kind of part"))?,
        amount: cbor::nullable(d, read_amount)?,
        reason: read_reason(d)?,
    })
}

fn read_energy(d: &mut Decoder<'_>) -> Result<Option<MilliwattHours>, decode::Error> {
    Ok(cbor::nullable(d, Decoder::i64)?.map(MilliwattHours::new))
}

fn read_amount(d: &mut Decoder<'_>) -> Result<TokenAmount, decode::Error> {
    TokenAmount::new(cbor::read_integer(d)?).map_err(decode::Error::message)
}

fn read_reason(d: &mut Decoder<'_>) -> Result<Option<ZeroReason>, decode::Error> {
    cbor::nullable(d, |d| {
        ZeroReason::from_code(d.u8()?)
            .ok_or_else(|| decode::Error::message("an unknown reason why nothing was earned"))
    })
}
