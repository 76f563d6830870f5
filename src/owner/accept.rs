//! `gridtally owner accept`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use gridtally_protocol::agreement::{Acceptance, CLAIM_SCHEME, Claim, Papers, read_claim};
use gridtally_protocol::instruction::ProgramId;
use gridtally_protocol::location::CoarseLocation;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::price::Price;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;

use super::{Desk, OwnerError, read, show, write};

/// What is accepted.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// The claim that the box shows: its text, or a file with it
    claim: String,
    /// A name for the site behind the meter
    #[arg(long, value_name = "NAME")]
    site: String,
    /// Where it is, to a tenth of a degree: 59.9,10.7. The exact place is told to nobody
    #[arg(long, value_name = "LAT,LON", allow_hyphen_values = true)]
    location: CoarseLocation,
    /// The program that it takes part in
    #[arg(long)]
    program: ProgramId,
    /// The version of its rules that you have read
    #[arg(long, value_name = "N")]
    rules_version: u32,
    /// Who is paid; not necessarily you
    #[arg(long, value_name = "NAME")]
    beneficiary: String,
    /// The power that you nominate for capacity payments
    #[arg(long, value_name = "WATTS")]
    nominate_watts: Option<u64>,
    /// What you ask for a kWh, in whole tokens
    #[arg(long, value_name = "PRICE")]
    bid: Option<Price>,
    /// From when on it holds (default: now)
    #[arg(long, value_name = "INSTANT")]
    from: Option<Timestamp>,
    /// Until when
    #[arg(long, value_name = "INSTANT")]
    until: Timestamp,
    /// The file for the operator (default: SITE.acceptance)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(desk: &Desk<'_>, args: &AcceptArgs, out: &mut impl Write) -> Result<(), OwnerError> {
    let text = if args.claim.starts_with(CLAIM_SCHEME) {
        args.claim.clone()
    } else {
        read(Path::new(&args.claim))?
    };
    let envelope = read_claim(text.trim())?;
    let claim = Claim::open(&envelope)?;
    let now = desk.now();
    let nominated = args.nominate_watts.map(|watts| {
        let milliwatts = i64::try_from(watts)
            .ok()
            .and_then(|watts| watts.checked_mul(1_000));
        milliwatts.map(Milliwatts::new).ok_or(OwnerError::Power(watts))
    });
    let acceptance = Acceptance {
        claim: claim.digest,
        issued_at: now,
        site: args.site.clone(),
        location: args.location,
        beneficiary: args.beneficiary.clone(),
        program: args.program.clone(),
        rules_version: args.rules_version,
        nominated_milliwatts: nominated.transpose()?,
        bid_per_kwh: args.bid,
        valid_from: args.from.unwrap_or(now),
        expires_at: args.until,
    };
    let papers = Papers {
        claim: envelope,
        acceptance: acceptance.seal(&desk.key()?)?,
        admission: None,
    };
    show::accepted(&papers.accepted()?, out)?;
    let path = match &args.out {
        Some(path) => path.clone(),
        // A site's name may be no name of a file.
        None => PathBuf::from(format!("{}.acceptance", args.site.replace('/', "_"))),
    };
    write(&path, &papers.to_string())?;
    writeln!(out, "Hand {} to the operator.", path.display())?;
    Ok(())
}
