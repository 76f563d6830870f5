//! A neighbourhood: simulated homes behind real Modbus sockets, an agent process for each, an engine process with
//! its private PostgreSQL and mosquitto, and one simulated time that advances when everyone has said that he is done.
//!
//! - [`scenario`]: what happens, and when;
//! - [`home`], [`engine`], [`process`], [`relay`]: the parts, which may be killed and cut at any moment;
//! - [`killer`]: does that, at moments drawn from a seed;
//! - [`attacks`]: a stranger on the broker, and a dishonest owner.

pub mod attacks;
pub mod engine;
pub mod home;
pub mod keys;
pub mod killer;
pub mod process;
pub mod relay;
pub mod scenario;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use gridtally_protocol::channel::{DeviceNumber, Quantity};
use gridtally_protocol::identity::{Identity, SigningIdentity};
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::dispatch::{self, Announcement};
use gridtally_settlement::ledger::{AccountName, Transaction, TransactionKey};
use gridtally_settlement::registry::{EnrolledDevice, Enrolment};
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::store::{Store, StoreError, ledger, programs, statements};
use gridtally_simulators::{Fault, Home as SimulatedHome, HomeSpec, Neighbourhood as Simulation, ServedHome};

use self::engine::Engine;
use self::home::{GRID_CONNECTION_WATTS, Home, Setting};
use self::killer::Victim;
use self::process::ProcessError;
use self::scenario::Scenario;

/// How long all homes may take to answer an announcement.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
/// How often the engine is asked whether they have.
const ANSWER_POLL: Duration = Duration::from_millis(5);

/// What the operator pays in, in whole tokens.
const DEPOSIT: &str = "1000";

/// The program that the neighbourhood takes part in.
const PROGRAM: &str = include_str!("../../config/programs/evening-flex.toml");

/// A neighbourhood at work.
#[derive(Debug)]
pub struct Neighbourhood {
    /// What happens in it.
    pub scenario: Scenario,
    dir: PathBuf,
    simulation: Simulation,
    homes: Vec<Home>,
    engine: Engine,
    store: Store,
    program: Program,
    // The sockets live as long as their runtime.
    _served: Vec<ServedHome>,
    _runtime: tokio::runtime::Runtime,
}

impl Neighbourhood {
    /// Makes the homes, starts the engine in `dir`, enrols everyone, and starts the agents.
    ///
    /// `program` is the `gridtally` executable whose roles are started as processes.
    ///
    /// # Errors
    /// Where a part does not start; the message says which, and where its log is.
    pub fn start(scenario: Scenario, dir: &Path, program: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let simulation = Simulation::new(scenario.seed, scenario.homes, scenario.start.unix());
        play_faults(&scenario, &simulation);
        let served = runtime
            .block_on(simulation.serve())
            .context("cannot serve the simulated devices")?;
        let engine = start_engine(&scenario, dir, program)?;
        let ready = engine.ready()?;
        let mut store = Store::open(&ready.database)?;
        let rules = program_of(&scenario)?;
        enrol(&mut store, &scenario, &simulation, &rules)?;
        // The engine takes nothing in before it knows the time.
        engine.step(scenario.start)?;
        let mut homes = Vec::with_capacity(scenario.homes);
        for ((number, served), simulated) in (1..).zip(&served).zip(simulation.homes()) {
            let setting = Setting {
                scenario: &scenario,
                number,
                dir: dir.join(Scenario::site(number)),
                program,
                broker: &ready.broker,
                engine: &ready.identity,
            };
            homes.push(Home::start(&setting, simulated.spec(), served)?);
        }
        let dir = dir.to_owned();
        let program = Program::from_toml("evening-flex", &rules)?;
        Ok(Self {
            scenario,
            dir,
            simulation,
            homes,
            engine,
            store,
            program,
            _served: served,
            _runtime: runtime,
        })
    }

    /// One step: physics, then the engine's clock, then every agent, then what the story has for this instant.
    ///
    /// # Errors
    /// Where a part is gone for good.
    pub fn step(&mut self, now: Timestamp) -> anyhow::Result<()> {
        self.simulation.advance_to(now.unix());
        self.engine.step(now)?;
        self.step_homes(now)?;
        if now == self.scenario.event.announced_at {
            self.announce(now)?;
        }
        Ok(())
    }

    /// All agents at once; one that was killed is started again.
    fn step_homes(&mut self, now: Timestamp) -> Result<(), ProcessError> {
        for home in &mut self.homes {
            home.begin(now);
        }
        self.homes.iter_mut().try_for_each(|home| home.finish(now))
    }

    /// Announces the event, and waits until every home has said whether it takes part.
    fn announce(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let plan = &self.scenario.event;
        let announcement = Announcement {
            id: plan.id.parse()?,
            program: self.program.id.clone(),
            start: plan.window.from,
            end: plan.window.until,
            discharge: plan.discharge,
        };
        let key = keys::signing(self.scenario.seed, "engine")?;
        dispatch::announce(&mut self.store, &key, &announcement, now)?;
        let deadline = Instant::now() + ANSWER_PATIENCE;
        while self.engine.step(now)?.unanswered > 0 {
            ensure!(
                Instant::now() < deadline,
                "not every home answered the announcement; see {}",
                self.dir.display()
            );
            // The same instant again: nothing for an agent that lives, a new start for one that was killed.
            self.step_homes(now)?;
            std::thread::sleep(ANSWER_POLL);
        }
        Ok(())
    }

    /// Lets the engine tell every home what it earned, and waits until each has said that it holds it.
    ///
    /// # Errors
    /// Where a part is gone for good, or a home does not answer.
    pub fn tell_homes(&mut self) -> anyhow::Result<()> {
        let now = self.scenario.end;
        let deadline = Instant::now() + ANSWER_PATIENCE;
        while !self.store.transact(|t| statements::waiting(t, 1))?.is_empty() {
            ensure!(
                Instant::now() < deadline,
                "not every home holds its statement; see {}",
                self.dir.display()
            );
            self.engine.step(now)?;
            self.step_homes(now)?;
            std::thread::sleep(ANSWER_POLL);
        }
        Ok(())
    }

    /// The operator pays into the program's escrow what the event can cost at most, and more.
    ///
    /// # Errors
    /// Where the ledger refuses it.
    pub fn fund(&mut self) -> anyhow::Result<()> {
        let asset = self.program.asset.clone();
        let amount = asset.parse(DEPOSIT)?;
        let deposit = Transaction::deposit(
            TransactionKey::deposit("operator", "first")?,
            self.scenario.start,
            AccountName::escrow(self.program.id.as_str())?,
            &asset,
            amount,
        )?;
        self.store.transact(|transaction| {
            ledger::post(transaction, std::slice::from_ref(&deposit))
                .map_err(|e| StoreError::Conflict(e.to_string()))
        })?;
        Ok(())
    }

    /// The simulated homes, with their true counters.
    #[must_use]
    pub fn simulated(&self) -> &[SimulatedHome] {
        self.simulation.homes()
    }

    /// The homes with their agents.
    #[must_use]
    pub fn homes(&self) -> &[Home] {
        &self.homes
    }

    /// Ends the agents in good order; the devices, the broker and the engine go on.
    pub fn end_agents(&mut self) {
        for home in self.homes.drain(..) {
            home.stop();
        }
    }

    /// The engine's store.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// The engine's process.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The program that the homes take part in.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Where everything is kept.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The key of a home's gateway.
    ///
    /// # Errors
    /// Never in practice.
    pub fn gateway_key(&self, number: usize) -> anyhow::Result<SigningIdentity> {
        Ok(keys::signing(self.scenario.seed, &Scenario::site(number))?)
    }

    /// The identity of a home's gateway.
    ///
    /// # Errors
    /// Never in practice.
    pub fn gateway(&self, number: usize) -> anyhow::Result<Identity> {
        Ok(self.gateway_key(number)?.identity())
    }

    /// The engine, the broker and every agent, for a killer.
    #[must_use]
    pub fn victims(&self) -> Vec<Victim> {
        let mut victims = vec![
            Victim::Engine(self.engine.clone()),
            Victim::PidFile(self.dir.join("engine/broker/mosquitto.pid")),
        ];
        victims.extend(self.homes.iter().map(|home| Victim::Agent(home.pid())));
        victims
    }

    /// Ends everything in good order: the agents give their batteries back first.
    pub fn stop(mut self) {
        self.end_agents();
        let Self { engine, store, .. } = self;
        drop(store);
        engine.stop();
    }
}

fn play_faults(scenario: &Scenario, simulation: &Simulation) {
    if let Some((number, span)) = scenario.nonsense {
        let home = number
            .checked_sub(1)
            .and_then(|index| simulation.homes().get(index));
        if let Some(home) = home {
            // Until just before the end: at the end's own boundary the meter is well again.
            home.grid_meter()
                .schedule(Fault::Nonsense, span.from.unix()..span.until.unix());
        }
    }
}

fn start_engine(scenario: &Scenario, dir: &Path, program: &Path) -> anyhow::Result<Engine> {
    let data = dir.join("engine");
    fs::create_dir_all(&data)?;
    home::write_secret(&data.join("engine.key"), &keys::secret(scenario.seed, "engine"))?;
    Ok(Engine::start(program, &data, &dir.join("engine.log"))?)
}

/// The shipped program, with the scenario's interval.
fn program_of(scenario: &Scenario) -> anyhow::Result<String> {
    let minutes = scenario.interval.seconds() / 60;
    let text = PROGRAM.replace(
        "interval_minutes = 5\n",
        &format!("interval_minutes = {minutes}\n"),
    );
    ensure!(
        minutes == 5 || text != PROGRAM,
        "the shipped program states its interval otherwise than expected"
    );
    Ok(text)
}

fn enrol(store: &mut Store, scenario: &Scenario, simulation: &Simulation, rules: &str) -> anyhow::Result<()> {
    let program = Program::from_toml("evening-flex", rules)?;
    let enrolments = (1..)
        .zip(simulation.homes())
        .map(|(number, home)| enrolment(scenario, number, home.spec(), &program))
        .collect::<anyhow::Result<Vec<_>>>()?;
    store.transact(|transaction| {
        programs::add_program(transaction, &program, rules, scenario.start)?;
        for enrolment in &enrolments {
            programs::enrol(transaction, enrolment, scenario.start)?;
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(())
}

fn enrolment(
    scenario: &Scenario,
    number: usize,
    spec: &HomeSpec,
    program: &Program,
) -> anyhow::Result<Enrolment> {
    let site = Scenario::site(number);
    let capacity = i64::from(spec.battery.capacity_watt_hours) * 1_000;
    let device = |number, watts: u32, quantities: &[Quantity]| EnrolledDevice {
        number: DeviceNumber(number),
        meter_key: None,
        nameplate_milliwatts: Milliwatts::new(i64::from(watts) * 1_000),
        capacity_milliwatt_hours: quantities
            .contains(&Quantity::StateOfCharge)
            .then_some(MilliwattHours::new(capacity)),
        quantities: quantities.to_vec(),
    };
    let enrolment = Enrolment {
        site: site.parse()?,
        beneficiary: format!("owner-{number:02}").parse()?,
        gateway: keys::signing(scenario.seed, &site)?.identity(),
        program: program.id.clone(),
        interval_seconds: scenario.interval,
        membership: Default::default(),
        offer: Default::default(),
        // Where the simulated sun shines.
        location: Some("51.5,-0.1".parse()?),
        agreement: None,
        devices: vec![
            device(
                1,
                GRID_CONNECTION_WATTS,
                &[Quantity::GridImport, Quantity::GridExport],
            ),
            device(2, spec.pv.nameplate_watts, &[Quantity::PvProduction]),
            device(
                3,
                spec.battery.power_watts,
                &[
                    Quantity::BatteryDischarge,
                    Quantity::BatteryCharge,
                    Quantity::StateOfCharge,
                ],
            ),
        ],
    };
    enrolment.check()?;
    Ok(enrolment)
}
