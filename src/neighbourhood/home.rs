//! A home of the neighbourhood: its config on disk, its agent as a process, its line to the broker.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gridtally_protocol::time::Timestamp;
use gridtally_simulators::{HomeSpec, Role, ServedHome};

use super::process::{AgentReady, Launch, ProcessError, Stepped, Until};
use super::relay::Relay;
use super::scenario::{Scenario, Span};

/// How often a home whose agent is killed over and over is started again within one step.
const RESTARTS_MAX: u32 = 50;

/// A home with a running agent.
#[derive(Debug)]
pub struct Home {
    agent: Stepped<AgentReady>,
    /// Only a home whose line will be cut goes through a relay.
    line: Option<(Relay, Span)>,
    site: String,
    pid: Arc<AtomicU32>,
}

/// What a home's agent needs to know.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The whole story.
    pub scenario: &'a Scenario,
    /// The home's number, from 1.
    pub number: usize,
    /// The home's directory.
    pub dir: PathBuf,
    /// The `gridtally` program.
    pub program: &'a Path,
    /// The broker's `host:port`.
    pub broker: &'a str,
    /// The engine's `did:key`.
    pub engine: &'a str,
}

impl Home {
    /// Writes the home's key and config, and starts its agent.
    ///
    /// # Errors
    /// Where the files cannot be written or the agent does not start.
    pub fn start(setting: &Setting<'_>, spec: &HomeSpec, served: &ServedHome) -> anyhow::Result<Self> {
        let Setting { scenario, number, .. } = setting;
        let site = Scenario::site(*number);
        let line = match scenario.offline {
            Some((home, span)) if home == *number => Some((Relay::start(setting.broker.to_owned())?, span)),
            _ => None,
        };
        let broker = line
            .as_ref()
            .map_or_else(|| setting.broker.to_owned(), |(r, _)| r.address().to_string());
        fs::create_dir_all(&setting.dir)?;
        write_secret(
            &setting.dir.join("gateway.key"),
            &super::keys::secret(scenario.seed, &site),
        )?;
        let config = setting.dir.join("agent.toml");
        fs::write(&config, agent_config(setting, &broker, spec, served))?;
        let launch = Launch {
            role: site.clone(),
            program: setting.program.to_owned(),
            arguments: ["edge", "run", "--stepped", "--config"]
                .into_iter()
                .map(String::from)
                .chain([config.display().to_string()])
                .collect(),
            log: setting.dir.join("agent.log"),
        };
        let agent = Stepped::start(launch)?;
        let pid = Arc::new(AtomicU32::new(agent.pid()));
        Ok(Self {
            agent,
            line,
            site,
            pid,
        })
    }

    /// The site's name.
    #[must_use]
    pub fn site(&self) -> &str {
        &self.site
    }

    /// A cell that always holds the process number of the agent.
    #[must_use]
    pub fn pid(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.pid)
    }

    /// The relay through which the home reaches its broker, where it has one.
    #[must_use]
    pub fn relay(&self) -> Option<&Relay> {
        self.line.as_ref().map(|(relay, _)| relay)
    }

    /// Starts the agent again. One that is killed while it starts is found gone at its next step.
    fn restart(&mut self) -> Result<(), ProcessError> {
        match self.agent.restart() {
            Ok(()) => self.pid.store(self.agent.pid(), Ordering::Relaxed),
            Err(ProcessError::Gone { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Begins the step to `now`; [`Home::finish`] waits for its end.
    pub fn begin(&mut self, now: Timestamp) {
        if let Some((relay, span)) = &self.line {
            if span.contains(now) {
                relay.cut()
            } else {
                relay.mend()
            }
        }
        let until = self.until(now);
        // An agent that was killed does not hear it: `finish` finds it gone and starts it again.
        let _ = self.agent.begin(now, until);
    }

    /// Waits until the agent has done its step. One that was killed meanwhile is started again and
    /// given the step once more.
    ///
    /// # Errors
    /// [`ProcessError`] where it does not come to an end in many tries.
    pub fn finish(&mut self, now: Timestamp) -> Result<(), ProcessError> {
        let until = self.until(now);
        let mut tries = 0;
        loop {
            match self.agent.finish() {
                Ok(_) => return Ok(()),
                Err(ProcessError::Gone { .. }) if tries < RESTARTS_MAX => tries += 1,
                Err(error) => return Err(error),
            }
            self.restart()?;
            let _ = self.agent.begin(now, until);
        }
    }

    fn until(&self, now: Timestamp) -> Until {
        match &self.line {
            Some((_, span)) if span.contains(now) => Until::Stored,
            _ => Until::Delivered,
        }
    }

    /// Ends the agent in good order.
    pub fn stop(self) {
        self.agent.stop();
    }
}

/// Writes a key as 64 hexadecimal digits that only its owner can read.
///
/// # Errors
/// Where the file cannot be written.
pub(super) fn write_secret(path: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    for byte in secret {
        write!(file, "{byte:02x}")?;
    }
    writeln!(file)
}

fn agent_config(setting: &Setting<'_>, broker: &str, spec: &HomeSpec, served: &ServedHome) -> String {
    let Setting {
        scenario,
        number,
        engine,
        ..
    } = setting;
    let participate = scenario.opted_out != Some(*number);
    let reserve = if scenario.high_reserve == Some(*number) {
        80
    } else {
        20
    };
    let interval = scenario.interval.seconds();
    let meter = served.grid_meter.address();
    let pv = served.pv_inverter.address();
    let battery = served.battery_inverter.address();
    let unit = |role| {
        spec.devices
            .iter()
            .find(|device| device.role == role)
            .map_or(1, |device| device.unit)
    };
    format!(
        r#"[gateway]
key = "gateway.key"
data = "state"
engine = "{engine}"
interval_seconds = {interval}
intervals_per_report = {per_report}

[broker]
address = "{broker}"

[owner]
participate = {participate}
reserve_percent = {reserve}
# The simulated batteries have not been commissioned.
accept_unproven_control = true
discharge_limit_watts = {battery_watts}

[[device]]
number = 1
name = "grid meter"
kind = "grid_meter"
address = "{meter}"
unit = {meter_unit}
nameplate_watts = {meter_watts}

[[device]]
number = 2
name = "roof"
kind = "pv_inverter"
address = "{pv}"
unit = {pv_unit}
nameplate_watts = {pv_watts}

[[device]]
number = 3
name = "battery"
kind = "battery_inverter"
address = "{battery}"
unit = {battery_unit}
nameplate_watts = {battery_watts}
"#,
        per_report = scenario.intervals_per_report,
        meter_unit = unit(Role::Meter),
        pv_unit = unit(Role::Inverter),
        battery_unit = unit(Role::Battery),
        meter_watts = GRID_CONNECTION_WATTS,
        pv_watts = spec.pv.nameplate_watts,
        battery_watts = spec.battery.power_watts,
    )
}

/// A single-phase house connection of 100 A at 230 V.
pub(super) const GRID_CONNECTION_WATTS: u32 = 23_000;
