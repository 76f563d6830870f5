//! Messages as JSON for the published vectors. Numbers of up to 64 bits are texts: JSON readers round them.

use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::beacon::Beacon;
use gridtally_protocol::commission::{CommissionRecord, StepRecord};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::Instruction;
use gridtally_protocol::original::Original;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::receipt::Receipt;
use gridtally_protocol::report::{ClockState, Report, Series};
use gridtally_protocol::resend::ResendRequest;
use gridtally_protocol::statement::{SiteStatement, StatementLine, StatementPart, ZeroReason};
use gridtally_protocol::time::Timestamp;
use serde_json::{Value, json};

/// A message as the vectors show it.
pub trait Shown {
    fn shown(&self) -> Value;
}

impl Shown for Report {
    fn shown(&self) -> Value {
        let mut shown = json!({
            "sequence": self.sequence.to_string(),
            "previous": self.previous,
            "issued_at": self.issued_at,
            "clock": match self.clock {
                ClockState::Unknown => "unknown",
                ClockState::FreeRunning => "free_running",
                ClockState::Synchronised => "synchronised",
            },
            "start": self.start,
            "interval_seconds": self.interval,
            "interval_count": self.interval_count(),
            "series": self.series.iter().map(|series| shown_series(self, series)).collect::<Vec<_>>(),
        });
        if let Some(beacon) = self.beacon {
            shown["beacon"] = json!(beacon);
        }
        shown
    }
}

impl Shown for Beacon {
    fn shown(&self) -> Value {
        json!({
            "number": self.number.to_string(),
            "nonce": hex::encode(self.nonce),
            "issued_at": self.issued_at,
        })
    }
}

/// With the values in the quantity's smallest unit, or the reason why there is none.
fn shown_series(report: &Report, series: &Series) -> Value {
    let values: Vec<Value> = report
        .readings()
        .filter(|reading| reading.channel == series.channel)
        .map(|reading| match reading.value {
            Ok(value) => match reading.quality {
                Some(quality) => json!({ "value": value.get().to_string(), "quality": quality.name() }),
                None => json!({ "value": value.get().to_string() }),
            },
            Err(missing) => json!({ "missing": missing.name() }),
        })
        .collect();
    json!({
        "device": series.channel.device,
        "quantity": series.channel.quantity.name(),
        "resolution": series.resolution,
        "samples": values,
    })
}

impl Shown for Instruction {
    fn shown(&self) -> Value {
        json!({
            "sequence": self.sequence.to_string(),
            "gateway": self.gateway,
            "event": self.event,
            "issued_at": self.issued_at,
            "expires_at": self.expires_at,
            "start": self.start,
            "end": self.end,
            "target": { "kind": self.target.kind(), "value": self.target.value().to_string() },
            "program": self.program,
            "price": self.price,
        })
    }
}

impl Shown for Acknowledgement {
    fn shown(&self) -> Value {
        let mut shown = json!({
            "instruction": self.instruction,
            "at": self.at,
            "stage": self.stage.name(),
        });
        match self.stage {
            Stage::OptedIn(power) | Stage::Written(power) | Stage::ReadBack(power) => {
                shown["milliwatts"] = power.get().to_string().into();
            }
            Stage::Observed { power, after_seconds } => {
                shown["milliwatts"] = power.get().to_string().into();
                shown["after_seconds"] = after_seconds.into();
            }
            Stage::OptedOut(why) | Stage::Stopped(why) => shown["why"] = why.name().into(),
            Stage::Received | Stage::Completed | Stage::Restored => {}
        }
        shown
    }
}

impl Shown for ResendRequest {
    fn shown(&self) -> Value {
        let sequences: Vec<String> = self.sequences().map(|n| n.to_string()).collect();
        json!({
            "gateway": self.gateway,
            "issued_at": self.issued_at,
            "sequences": sequences,
        })
    }
}

impl Shown for Original {
    fn shown(&self) -> Value {
        let bytes: String = self.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "device": self.device,
            "format": self.format.name(),
            "taken_at": self.taken_at,
            "bytes": bytes,
        })
    }
}

impl Shown for CommissionRecord {
    fn shown(&self) -> Value {
        let step = |taken: &StepRecord| {
            json!({
                "step": taken.step.name(),
                "at": taken.at,
                "result": taken.result.name(),
                "power": taken.power.map(|power| power.get().to_string()),
            })
        };
        json!({
            "device": self.device,
            "fingerprint": self.fingerprint.map(|number| number.to_string()),
            "control": self.control.name(),
            "agent": self.agent,
            "told": self.told.get().to_string(),
            "reversion_seconds": self.reversion_seconds,
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "passed": self.passed(),
        })
    }
}

impl Shown for SiteStatement {
    fn shown(&self) -> Value {
        let energy = |energy: Option<MilliwattHours>| energy.map(|energy| energy.get().to_string());
        let line = |(start, line): (Timestamp, &StatementLine)| {
            json!({
                "start": start,
                "baseline": energy(line.baseline),
                "metered": energy(line.metered),
                "credited": line.credited.get().to_string(),
                "amount": line.amount,
                "reason": line.reason.map(ZeroReason::name),
            })
        };
        let part = |part: &StatementPart| {
            json!({
                "kind": part.kind.name(),
                "amount": part.amount,
                "reason": part.reason.map(ZeroReason::name),
            })
        };
        json!({
            "gateway": self.gateway,
            "site": self.site,
            "program": self.program,
            "program_version": self.program_version,
            "program_hash": self.program_hash,
            "event": self.event,
            "version": self.version,
            "statement": self.statement,
            "settled_at": self.settled_at,
            "asset": { "code": self.asset.code(), "decimals": self.asset.decimals() },
            "start": self.start,
            "end": self.end,
            "interval_seconds": self.interval,
            "baseline": energy(self.totals.baseline),
            "metered": energy(self.totals.metered),
            "credited": self.totals.credited.get().to_string(),
            "amount": self.totals.amount,
            "reason": self.reason.map(ZeroReason::name),
            "lines": self.timed_lines().map(line).collect::<Vec<_>>(),
            "parts": self.parts.iter().map(part).collect::<Vec<_>>(),
        })
    }
}

impl Shown for Receipt {
    fn shown(&self) -> Value {
        let entry = |(envelope, verdict): &(Digest, Result<(), gridtally_protocol::refusal::Refusal>)| json!({ "envelope": envelope, "verdict": verdict.map_or_else(|r| r.name(), |()| "held") });
        json!({
            "gateway": self.gateway,
            "issued_at": self.issued_at,
            "entries": self.entries.iter().map(entry).collect::<Vec<_>>(),
        })
    }
}
