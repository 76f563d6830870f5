//! What is said of statements, to people.

use std::io::{self, Write};

use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::{Asset, TokenAmount};
use serde_json::json;

use crate::proofs::evidence::Dispute;
use crate::proofs::settle::{Due, SettlementOutcome, Standing};
use crate::rules::statement::{Occasion, Resettled, Statement};

pub(super) fn as_json(outcome: &SettlementOutcome, out: &mut impl Write) -> io::Result<()> {
    let SettlementOutcome {
        new,
        standing,
        version,
        settled_at,
        derived,
        run,
        statement_hash,
        bundle_root,
        bundle,
    } = outcome;
    let standing = match standing {
        Standing::Posted => json!("posted"),
        Standing::Preview => json!("preview"),
        Standing::Proposed { approved, needed } => json!({ "approved": approved, "needed": needed }),
    };
    let transactions: Vec<_> = derived.bookings.all().collect();
    let value = json!({
        "new": new, "standing": standing, "version": version, "settled_at": settled_at, "run": run,
        "statement_hash": statement_hash, "bundle_root": bundle_root, "bundle": bundle,
        "statement": derived.statement, "transactions": transactions, "refused": derived.refused,
    });
    writeln!(out, "{value}")
}

pub(super) fn tell(outcome: &SettlementOutcome, out: &mut impl Write) -> io::Result<()> {
    let statement = &outcome.derived.statement;
    let when = match (&outcome.standing, outcome.new) {
        (Standing::Preview, _) => "Would settle, paying nothing yet",
        (Standing::Proposed { .. }, _) => "Proposed",
        (Standing::Posted, true) => "Settled",
        (Standing::Posted, false) => "Was settled before",
    };
    let settled_at = outcome.settled_at;
    writeln!(out, "{when}, with what had come in by {settled_at}:")?;
    for site in &statement.sites {
        let (name, paid) = (site.site.as_str(), statement.asset.show(site.totals.amount));
        let kilowatt_hours = site.totals.credited.to_string();
        writeln!(
            out,
            "  {name:<24}  {:<14}  {kilowatt_hours:>14} kWh  {paid:>18} {}",
            site.status,
            statement.asset.code()
        )?;
    }
    tell_sum(statement, out)?;
    if let Some(resettled) = &statement.resettled {
        tell_resettled(resettled, &statement.asset, out)?;
    }
    writeln!(
        out,
        "run        {}\nstatement  {}\nroot       {}",
        outcome.run, outcome.statement_hash, outcome.bundle_root
    )?;
    if let Standing::Proposed { approved, needed } = &outcome.standing {
        let approved: Vec<&str> = approved.iter().map(String::as_str).collect();
        writeln!(
            out,
            "Nothing is paid yet: {} of {needed} have approved ({}). Another person checks the bundle and settles under --by NAME.",
            approved.len(),
            approved.join(", ")
        )?;
    }
    writeln!(
        out,
        "Anyone can check it: gridtally verify {}",
        outcome.bundle.display()
    )
}

pub(super) fn tell_sum(statement: &Statement, out: &mut impl Write) -> io::Result<()> {
    let paid = statement.asset.show(statement.totals.amount);
    let credited = statement.totals.credited.to_string();
    let code = statement.asset.code();
    writeln!(
        out,
        "  {:<24}  {:<14}  {credited:>14} kWh  {paid:>18} {code}",
        "together", ""
    )
}

fn signed(asset: &Asset, amount: TokenAmount) -> String {
    let sign = if amount > TokenAmount::ZERO { "+" } else { "" };
    format!("{sign}{}", asset.show(amount))
}

fn tell_resettled(resettled: &Resettled, asset: &Asset, out: &mut impl Write) -> io::Result<()> {
    let why = occasion(&resettled.occasion);
    let (version, code) = (resettled.version, asset.code());
    writeln!(out, "It takes the place of statement {version}, because {why}:")?;
    if resettled.sites.is_empty() {
        writeln!(out, "  nothing has changed")?;
    }
    for site in &resettled.sites {
        let causes: Vec<String> = site.causes.iter().map(cause).collect();
        let causes = if causes.is_empty() {
            "below the threshold before".to_owned()
        } else {
            causes.join(", ")
        };
        let kept = if site.settled {
            ""
        } else {
            "; below the threshold, so not paid"
        };
        writeln!(
            out,
            "  {:<24}  {:>18} -> {:>18}  {:>18} {code}  {causes}{kept}",
            site.site.as_str(),
            asset.show(site.before.amount),
            asset.show(site.after.amount),
            signed(asset, site.difference),
        )?;
    }
    let (before, difference) = (asset.show(resettled.before), signed(asset, resettled.difference));
    writeln!(out, "  paid before {before} {code}, now {difference} {code}")
}

fn cause(cause: &crate::rules::statement::Cause) -> String {
    match cause.intervals {
        0 => cause.change.name().to_owned(),
        intervals => format!("{} in {intervals} intervals", cause.change.name()),
    }
}

fn occasion(occasion: &Occasion) -> String {
    match occasion {
        Occasion::Calendar { after_days } => {
            format!("the program's calendar asks for it {after_days} days after the event")
        }
        Occasion::Dispute { upheld } => {
            let numbers: Vec<String> = upheld.iter().map(ToString::to_string).collect();
            format!("dispute {} was upheld", numbers.join(", "))
        }
    }
}

pub(super) fn due(event: &EventId, due: &Due, out: &mut impl Write) -> io::Result<()> {
    match due {
        Due::Settle { at_the_latest } => writeln!(
            out,
            "{event}: settle it, when all sites have reported or after {at_the_latest} (engine settle {event})"
        ),
        Due::Resettle { occasion: why } => {
            let why = occasion(why);
            writeln!(
                out,
                "{event}: settle it anew, because {why} (engine resettle {event})"
            )
        }
        Due::Decide { dispute } => writeln!(
            out,
            "{event}: decide dispute {dispute} (engine dispute uphold|reject {event} {dispute})"
        ),
        Due::Wait { until } => writeln!(out, "{event}: nothing until {until}"),
        Due::Finalise => writeln!(out, "{event}: make it final (engine event finalise {event})"),
    }
}

pub(super) fn disputes(all: &[Dispute], json: bool, out: &mut impl Write) -> io::Result<()> {
    for dispute in all {
        if json {
            writeln!(out, "{}", json!(dispute))?;
            continue;
        }
        let Dispute {
            number,
            site,
            version,
            by,
            why,
            raised_at,
            decision,
        } = dispute;
        writeln!(
            out,
            "{number}  {raised_at}  {site}, statement {version}: {by}: {why}"
        )?;
        match decision {
            None => writeln!(out, "   not decided")?,
            Some(decision) => {
                let what = if decision.upheld { "upheld" } else { "rejected" };
                writeln!(
                    out,
                    "   {what} {} by {}: {}",
                    decision.at, decision.by, decision.why
                )?;
            }
        }
    }
    if all.is_empty() && !json {
        writeln!(out, "There are no disputes.")?;
    }
    Ok(())
}
