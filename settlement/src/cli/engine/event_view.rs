//! Events, as the operator looks at them.

use std::collections::BTreeMap;
use std::io::Write;

use gridtally_protocol::acknowledgement::Stage;
use gridtally_protocol::identity::Identity;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::show::write_json;
use super::table::Table;
use super::{EngineCommandError, Open};
use crate::events::life::{Act, Life};
use crate::events::start::{StartBound, StartSecret};
use crate::rules::statement::SiteId;
use crate::store::events::{self, StoredAcknowledgement, StoredEvent, StoredInstruction};
use crate::store::{StoreError, event_life, programs};

/// An event, and what it became when it was announced.
struct Seen {
    id: EventId,
    life: Life,
    announced: Option<StoredEvent>,
}

pub(super) fn list(
    open: &mut Open,
    now: Timestamp,
    json: bool,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let seen = open.store.transact(|t| {
        let lives = event_life::lives(t)?;
        let mut seen = Vec::with_capacity(lives.len());
        for (id, life) in lives {
            let announced = announced(t, &id, &life)?;
            seen.push(Seen { id, life, announced });
        }
        Ok::<_, StoreError>(seen)
    })?;
    if json {
        return write_json(&seen.iter().map(|seen| seen.json(now)).collect(), out);
    }
    let heading = [
        "event",
        "program",
        "state",
        "modified",
        "start",
        "end",
        "announced",
        "W a home",
    ];
    let mut table = Table::new(heading);
    for seen in &seen {
        let revision = seen.life.revision();
        table.row([
            seen.id.to_string(),
            seen.program(),
            seen.life.state(now).to_string(),
            revision.modification.to_string(),
            revision.window.start.to_string(),
            revision.window.end.to_string(),
            seen.life
                .announced_at()
                .map_or_else(|| "-".into(), |at| at.to_string()),
            revision.discharge.to_string(),
        ]);
    }
    Ok(table.print(out)?)
}

fn announced(
    client: &mut impl postgres::GenericClient,
    id: &EventId,
    life: &Life,
) -> Result<Option<StoredEvent>, StoreError> {
    life.announced_at().map(|_| events::event(client, id)).transpose()
}

impl Seen {
    fn program(&self) -> String {
        let program = &self.life.revision().program;
        match &self.announced {
            Some(event) => format!("{program} v{}", event.program_version),
            None => program.to_string(),
        }
    }

    fn json(&self, now: Timestamp) -> Value {
        let revision = self.life.revision();
        json!({
            "event": self.id, "program": revision.program,
            "program_version": self.announced.as_ref().map(|event| event.program_version),
            "start": revision.window.start, "end": revision.window.end,
            "announced_at": self.life.announced_at(), "discharge_milliwatts": revision.discharge,
            "state": self.life.state(now), "modification": revision.modification, "priority": revision.priority,
            "targets": revision.targets,
        })
    }
}

/// What became of one home's instruction.
struct Home<'a> {
    site: String,
    instruction: &'a StoredInstruction,
    stages: Vec<&'a StoredAcknowledgement>,
}

impl<'a> Home<'a> {
    fn new(
        instruction: &'a StoredInstruction,
        acknowledgements: &'a [StoredAcknowledgement],
        sites: &BTreeMap<Identity, &SiteId>,
    ) -> Self {
        let StoredInstruction { gateway, digest, .. } = instruction;
        let site = sites
            .get(gateway)
            .map_or_else(|| gateway.to_string(), ToString::to_string);
        let stages = acknowledgements
            .iter()
            .filter(|a| a.instruction == *digest)
            .collect();
        Self {
            site,
            instruction,
            stages,
        }
    }
}

pub(super) fn show(
    open: &mut Open,
    id: &EventId,
    now: Timestamp,
    json: bool,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let (seen, secret, instructions, acknowledgements, enrolments) = open.store.transact(|t| {
        let life = event_life::life(t, id)?;
        let announced = announced(t, id, &life)?;
        let seen = Seen {
            id: id.clone(),
            life,
            announced,
        };
        Ok::<_, StoreError>((
            seen,
            event_life::secret(t, id)?,
            events::instructions_of(t, id)?,
            events::acknowledgements_of(t, id)?,
            programs::enrolments(t)?,
        ))
    })?;
    let sites: BTreeMap<Identity, &SiteId> = enrolments.iter().map(|e| (e.gateway, &e.site)).collect();
    let home = |instruction| Home::new(instruction, &acknowledgements, &sites);
    let mut homes: Vec<Home> = instructions.iter().map(home).collect();
    homes.sort_by(|a, b| (&a.site, a.instruction.sequence).cmp(&(&b.site, b.instruction.sequence)));
    let told = secret.as_ref().filter(|_| is_over_everywhere(&seen.life, now));
    if json {
        let mut value = seen.json(now);
        value["revisions"] = json!(seen.life.revisions().collect::<Vec<_>>());
        value["acts"] = json!(seen.life.deeds());
        value["start_commitment"] = json!(secret.as_ref().map(|s| s.commitment().to_string()));
        value["start_secret"] = json!(told.map(StartSecret::reveal));
        value["homes"] = homes.iter().map(home_json).collect();
        return write_json(&value, out);
    }
    print_event(&seen, now, out)?;
    if let Some(secret) = &secret {
        writeln!(out, "starts moved, commitment {}", secret.commitment())?;
    }
    if let Some(secret) = told {
        writeln!(out, "the secret of the starts is {}", secret.reveal())?;
    }
    print_acts(&seen.life, out)?;
    if seen.announced.is_some() {
        print_homes(&homes, out)?;
    }
    Ok(())
}

/// Whether the event is over in every home, by each of its revisions: then its secret tells nobody's start beforehand.
fn is_over_everywhere(life: &Life, now: Timestamp) -> bool {
    life.revisions().all(|revision| {
        let bound = i64::from(revision.start_bound.seconds());
        let last = revision.window.end.checked_add(bound);
        last.is_some_and(|last| last <= now)
    })
}

fn home_json(home: &Home) -> Value {
    let stage = |a: &&StoredAcknowledgement| {
        json!({
            "stage": a.stage.name(), "detail": detail(a.stage), "at": a.reached_at, "received_at": a.received_at,
        })
    };
    json!({
        "site": home.site, "gateway": home.instruction.gateway, "instruction": home.instruction.digest.to_string(),
        "stages": home.stages.iter().map(stage).collect::<Vec<_>>(),
    })
}

fn print_event(seen: &Seen, now: Timestamp, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let revision = seen.life.revision();
    writeln!(
        out,
        "Event {} of {}: {}",
        seen.id,
        seen.program(),
        seen.life.state(now)
    )?;
    writeln!(
        out,
        "{} to {}, modification {}, priority {}",
        revision.window.start, revision.window.end, revision.modification, revision.priority
    )?;
    if !revision.targets.is_everybody() {
        let targets = serde_json::to_string(&revision.targets).map_err(std::io::Error::from)?;
        writeln!(out, "asks only {targets}")?;
    }
    if revision.start_bound > StartBound::NONE {
        writeln!(
            out,
            "each start moved by at most {} s",
            revision.start_bound.seconds()
        )?;
    }
    Ok(writeln!(out, "{} W each", revision.discharge)?)
}

fn print_acts(life: &Life, out: &mut impl Write) -> Result<(), EngineCommandError> {
    writeln!(out)?;
    let mut table = Table::new(["act", "modification", "at", "by", "why"]);
    for deed in life.deeds() {
        let act = match deed.act {
            Act::Settle { version } => format!("settle {version}"),
            act => act.name().into(),
        };
        table.row([
            act,
            deed.modification.to_string(),
            deed.at.to_string(),
            deed.by.to_string(),
            deed.why.to_string(),
        ]);
    }
    Ok(table.print(out)?)
}

fn print_homes(homes: &[Home], out: &mut impl Write) -> Result<(), EngineCommandError> {
    writeln!(out)?;
    let mut table = Table::new(["site", "asked", "stage", "detail", "at", "received"]);
    for home in homes {
        let asked = home.instruction.sequence.to_string();
        if home.stages.is_empty() {
            let [detail, at, received] = [const { String::new() }; 3];
            table.row([
                home.site.clone(),
                asked.clone(),
                "no answer".into(),
                detail,
                at,
                received,
            ]);
        }
        for a in &home.stages {
            table.row([
                home.site.clone(),
                asked.clone(),
                a.stage.name().into(),
                detail(a.stage),
                a.reached_at.to_string(),
                a.received_at.to_string(),
            ]);
        }
    }
    Ok(table.print(out)?)
}

fn detail(stage: Stage) -> String {
    match stage {
        Stage::OptedIn(power) | Stage::Written(power) | Stage::ReadBack(power) => format!("{power} W"),
        Stage::Observed { power, after_seconds } => format!("{power} W after {after_seconds} s"),
        Stage::OptedOut(why) | Stage::Stopped(why) => why.to_string(),
        Stage::Received | Stage::Completed | Stage::Restored => String::new(),
    }
}
