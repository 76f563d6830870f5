//! Programs that pay by formulas, through statements, the ledger and a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cluster;
mod scenario;
mod shelf;

use chrono::NaiveDate;
use cluster::Database;
use gridtally_protocol::channel::{DeviceNumber, Quantity};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::{Milliwatts, TokenAmount};
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::dispatch::statements::{Settled, part};
use gridtally_settlement::dispatch::{Needed, cleared};
use gridtally_settlement::events::clearing::{Passed, Pricing};
use gridtally_settlement::events::revision::{Actor, Why};
use gridtally_settlement::proofs::derive::{Derived, derive};
use gridtally_settlement::proofs::evidence::Outage;
use gridtally_settlement::proofs::patience::Patience;
use gridtally_settlement::proofs::settle::{
    Order, SettlementOutcome, Which, carry_out, decide_dispute, raise_dispute, settle,
};
use gridtally_settlement::proofs::verify::verify;
use gridtally_settlement::registry::Offer;
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::rules::statement::{PublishedPrice, SiteStatus, Statement};
use gridtally_settlement::store::events::{self, StoredEvent};
use gridtally_settlement::store::{Store, ledger, prices};
use scenario::{EVENT_END, EVENT_START, PROGRAM, Scenario, at, engine};
use shelf::{balance, pay_in, stored};

const SETTLED_AT: &str = "2026-04-22T06:00:00Z";

/// The program of the scenario, paying otherwise. Home 1 delivers 3 kWh in two hours, home 3 9 kWh; home 2 opted out.
fn paying(terms: &str) -> String {
    let asset = PROGRAM.find("[asset]").unwrap();
    let (head, tail) = PROGRAM.split_at(asset);
    format!("{}{tail}{terms}", head.replace("price_per_kwh = \"0.85\"\n", ""))
}

fn derived(terms: &str) -> Derived {
    let mut scenario = Scenario::new();
    scenario.program = paying(terms);
    derive(&scenario.evidence()).unwrap()
}

/// What homes 1, 2 and 3 are paid, in base units.
fn paid(statement: &Statement) -> Vec<i128> {
    statement
        .sites
        .iter()
        .map(|s| s.totals.amount.base_units())
        .collect()
}

fn entries(derived: &Derived) -> Vec<(String, i128)> {
    let settlement = derived.bookings.settlement.as_ref().unwrap();
    let entry = |e: &gridtally_settlement::ledger::Entry| (e.account.to_string(), e.amount.base_units());
    settlement.entries().iter().map(entry).collect()
}

fn named(entries: &[(&str, i128)]) -> Vec<(String, i128)> {
    entries
        .iter()
        .map(|(name, amount)| ((*name).to_owned(), *amount))
        .collect()
}

#[test]
fn a_price_for_each_interval_is_paid_by_its_place_and_one_without_a_price_is_open() {
    let derived =
        derived("[[payment]]\nkind = \"energy\"\nprice = { list = [\"1\", \"none\", \"2\", \"0\"] }\n");
    // ¾ kWh in each half hour of home 1.
    assert_eq!(paid(&derived.statement), [750_000 + 1_500_000, 0, 3 * 2_250_000]);
    let reasons: Vec<Option<&str>> = derived.statement.sites[0]
        .lines
        .iter()
        .map(|l| l.reason.map(|r| r.name()))
        .collect();
    assert_eq!(reasons, [None, Some("no_price"), None, Some("zero_price")]);
    let payment = serde_json::to_value(&derived.statement.sites[0].payment).unwrap();
    assert_eq!(payment["components"][0]["explanation"]["unpriced"], 750_000);
    assert_eq!(
        Statement::from_bytes(&derived.statement.to_bytes()).unwrap(),
        derived.statement
    );
}

#[test]
fn a_pool_is_shared_by_energy_and_what_it_leaves_is_carried() {
    let pool = "[[payment]]\nkind = \"pool\"\namount = \"0.000010\"\n";
    let derived = derived(pool);
    // 10 base units by weights of 3 and 9: 2.5 and 7.5, so 2 and 7, and 1 is left.
    assert_eq!(paid(&derived.statement), [2, 0, 7]);
    assert_eq!(derived.statement.rounding.pool_carry.base_units(), 1);
    let expected = [
        ("escrow:evening-flex", -10),
        ("beneficiary:owner-1", 2),
        ("beneficiary:owner-3", 7),
        ("rounding:evening-flex", 1),
    ];
    let mut found = entries(&derived);
    let mut expected = named(&expected);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let line = &derived.statement.sites[0].lines[0];
    assert_eq!(line.reason.unwrap().name(), "paid_as_a_whole");
}

#[test]
fn a_home_is_told_what_its_amount_is_made_of() {
    let derived = derived(
        "[[payment]]\nkind = \"energy\"\nprice = \"1\"\n[[payment]]\nkind = \"capacity\"\nrate_per_kw = \"1\"\n\
         [[payment]]\nkind = \"fee\"\nshare = \"0.1\"\npaid_by = \"site\"\nrounding_paid_by = \"fee_account\"\n",
    );
    let settled = Settled {
        version: 1,
        hash: Digest::of(b"statement"),
        at: at(SETTLED_AT),
    };
    let site = &derived.statement.sites[0];
    let told = part(&derived.statement, site, settled, scenario::gateway(1).identity()).unwrap();
    let told: Vec<(&str, Option<i128>, Option<&str>)> = told
        .parts
        .iter()
        .map(|p| {
            (
                p.kind.name(),
                p.amount.map(TokenAmount::base_units),
                p.reason.map(|r| r.name()),
            )
        })
        .collect();
    let expected = [
        ("energy", Some(3_000_000), None),
        ("capacity", Some(0), Some("nothing_nominated")),
        ("fee", Some(-300_000), None),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_fee_goes_to_its_account_whoever_pays_it() {
    let energy = "[[payment]]\nkind = \"energy\"\nprice = \"1\"\n";
    let fee = |by: &str| {
        format!(
            "{energy}[[payment]]\nkind = \"fee\"\nshare = \"0.1\"\npaid_by = \"{by}\"\nrounding_paid_by = \"payer\"\n"
        )
    };
    let site = derived(&fee("site"));
    assert_eq!(paid(&site.statement), [2_700_000, 0, 8_100_000]);
    let escrow = derived(&fee("escrow"));
    assert_eq!(paid(&escrow.statement), [3_000_000, 0, 9_000_000]);
    for (derived, debit) in [(site, 12_000_000), (escrow, 13_200_000)] {
        assert_eq!(derived.statement.escrow_debit.base_units(), debit);
        let fee = ("fee:evening-flex".to_owned(), 1_200_000);
        assert!(entries(&derived).contains(&fee), "{:?}", entries(&derived));
    }
}

#[test]
fn what_a_home_offered_is_what_it_is_paid_by() {
    let mut scenario = Scenario::new();
    scenario.program = paying(
        "[[payment]]\nkind = \"energy\"\nprice = { bid_ceiling = \"2\" }\n\
         [[payment]]\nkind = \"capacity\"\nrate_per_kw = \"10\"\n",
    );
    scenario.enrolments[0].offer = Offer {
        nominated_milliwatts: Some(Milliwatts::new(2_000_000)),
        bid_per_kwh: Some("3.00".parse().unwrap()),
    };
    let derived = derive(&scenario.evidence()).unwrap();
    // 3 kWh at the ceiling of 2, and 1.5 kW of the 2 kW that it nominated.
    assert_eq!(paid(&derived.statement), [6_000_000 + 15_000_000, 0, 0]);
    let of_home_3 = serde_json::to_value(&derived.statement.sites[2].payment).unwrap();
    assert_eq!(of_home_3["components"][0]["reason"], "no_bid");
    assert_eq!(of_home_3["components"][0]["amount"], serde_json::Value::Null);
    assert_eq!(of_home_3["components"][1]["reason"], "nothing_nominated");
    // A bid that is finer than the asset would stop the settlement: it is refused when the home is enrolled.
    scenario.enrolments[0].offer.bid_per_kwh = Some("0.1234567".parse().unwrap());
    let program = Program::from_toml("p", &scenario.program).unwrap();
    assert!(
        scenario.enrolments[0]
            .fits(&program)
            .unwrap_err()
            .to_string()
            .contains("bid_per_kwh")
    );
}

struct Books {
    _database: Database,
    store: Store,
    folder: tempfile::TempDir,
}

impl Books {
    fn open(scenario: &Scenario) -> Self {
        let database = Database::create();
        let mut store = stored(&database, scenario);
        pay_in(&mut store, "1", 90_000_000).unwrap();
        Self {
            _database: database,
            store,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn settle(&mut self, event: &str, now: &str) -> SettlementOutcome {
        let bundle = self.folder.path().join(event);
        let event: EventId = event.parse().unwrap();
        let outcome = settle(
            &mut self.store,
            &engine(),
            &event,
            at(now),
            Patience::None,
            &bundle,
        )
        .unwrap();
        self.holds(&outcome);
        outcome
    }

    /// Settles it anew, because a dispute was upheld.
    fn resettle(&mut self, event: &str, now: &str) -> SettlementOutcome {
        let event: EventId = event.parse().unwrap();
        let (by, why): (Actor, Why) = ("Ann".parse().unwrap(), "the meter was read".parse().unwrap());
        let site = "home-1".parse().unwrap();
        let number = raise_dispute(&mut self.store, &event, &site, (&by, &why), at(now)).unwrap();
        decide_dispute(&mut self.store, &event, number, true, (&by, &why), at(now)).unwrap();
        let order = Order {
            event: &event,
            which: Which::Next,
            patience: Patience::None,
            by: &by,
            preview: false,
            bundle: &self.folder.path().join("next"),
        };
        let outcome = carry_out(&mut self.store, &engine(), &order, at(now)).unwrap();
        self.holds(&outcome);
        outcome
    }

    fn holds(&mut self, outcome: &SettlementOutcome) {
        for trial in self
            .store
            .transact(|client| ledger::trial_balance(client))
            .unwrap()
        {
            assert!(trial.holds(), "{trial:?}");
        }
        let bytes = std::fs::read(&outcome.bundle).unwrap();
        assert_eq!(verify(&bytes, None).unwrap().derived, outcome.derived);
    }

    /// An event of the same program on another evening, to which nobody answered.
    fn another(&mut self, id: &str, start: Timestamp) {
        let event = StoredEvent {
            id: id.parse().unwrap(),
            program: "evening-flex".parse().unwrap(),
            program_version: 1,
            start,
            end: start.checked_add(7_200).unwrap(),
            announced_at: start.checked_add(-3_600).unwrap(),
            discharge: Milliwatts::new(3_000_000),
        };
        self.store
            .transact(|client| events::insert_event(client, &event))
            .unwrap();
    }
}

#[test]
fn prices_that_are_published_after_the_event_are_paid_by_the_next_statement() {
    let mut scenario = Scenario::new();
    scenario.program =
        paying("[[payment]]\nkind = \"energy\"\nprice = \"published\"\n[resettlement]\ndispute_days = 30\n");
    let mut books = Books::open(&scenario);
    let first = books.settle("tuesday-evening", SETTLED_AT);
    assert_eq!(paid(&first.derived.statement), [0, 0, 0]);
    let payment = serde_json::to_value(&first.derived.statement.sites[0].payment).unwrap();
    assert_eq!(payment["components"][0]["amount"], serde_json::Value::Null);
    let starts = (0..4).map(|i| at(EVENT_START).checked_add(i * 1_800).unwrap());
    let one = TokenAmount::new(1_000_000).unwrap();
    let published: Vec<_> = starts
        .map(|start| PublishedPrice { start, per_kwh: one })
        .collect();
    let program = "evening-flex".parse().unwrap();
    let now = at("2026-04-23T00:00:00Z");
    for _ in 0..2 {
        books
            .store
            .transact(|client| prices::publish(client, &program, &published, now))
            .unwrap();
    }
    let other = [PublishedPrice {
        per_kwh: TokenAmount::ZERO,
        ..published[0]
    }];
    let refused = books
        .store
        .transact(|client| prices::publish(client, &program, &other, now))
        .unwrap_err();
    assert!(
        refused.to_string().contains("has another price already"),
        "{refused}"
    );
    let second = books.resettle("tuesday-evening", "2026-04-23T00:00:01Z");
    assert_eq!(paid(&second.derived.statement), [3_000_000, 0, 9_000_000]);
    assert_eq!(balance(&mut books.store, "beneficiary:owner-3"), 9_000_000);
}

#[test]
fn a_seasons_average_takes_back_what_the_first_event_paid_too_much() {
    let mut scenario = Scenario::new();
    scenario.program =
        paying("[[payment]]\nkind = \"season_average\"\nrate_per_kw = \"10\"\nopted_out = \"left_out\"\n");
    let mut books = Books::open(&scenario);
    let first = books.settle("tuesday-evening", SETTLED_AT);
    // 1.5 and 4.5 kW in the mean.
    assert_eq!(paid(&first.derived.statement), [15_000_000, 0, 45_000_000]);
    // Nobody answers the second event: 0 kW, so that the season is worth half.
    books.another("next-day", at("2026-04-22T18:00:00Z"));
    let second = books.settle("next-day", "2026-04-24T08:00:01Z");
    assert_eq!(paid(&second.derived.statement), [-7_500_000, 0, -22_500_000]);
    assert_eq!(second.derived.statement.sites[0].status, SiteStatus::Owes);
    assert_eq!(balance(&mut books.store, "beneficiary:owner-1"), 7_500_000);
    assert_eq!(
        balance(&mut books.store, "escrow:evening-flex"),
        90_000_000 - 30_000_000
    );
    let keys: Vec<String> = second
        .derived
        .bookings
        .all()
        .map(|t| t.key().to_string())
        .collect();
    assert_eq!(keys, ["overpayment/next-day/1"]);
    // Every home is told, and what it is told adds up: the message checks that.
    let told: i64 = books
        .store
        .transact(|client| {
            let row = client.query_one(
                "SELECT count(*) FROM statement_sent WHERE event = 'next-day'",
                &[],
            )?;
            Ok::<_, gridtally_settlement::store::StoreError>(row.get(0))
        })
        .unwrap();
    assert_eq!(told, 3);
}

#[test]
fn the_next_pool_has_what_the_last_one_left() {
    let mut scenario = Scenario::new();
    scenario.program =
        paying("[[payment]]\nkind = \"pool\"\namount = \"0.000010\"\n[resettlement]\ndispute_days = 30\n");
    let mut books = Books::open(&scenario);
    books.settle("tuesday-evening", SETTLED_AT);
    assert_eq!(balance(&mut books.store, "rounding:evening-flex"), 1);
    // Shared out anew it has what it had.
    let anew = books.resettle("tuesday-evening", "2026-04-22T06:00:01Z");
    assert_eq!(paid(&anew.derived.statement), [2, 0, 7]);
    assert_eq!(balance(&mut books.store, "rounding:evening-flex"), 1);
    books.another("next-day", at(EVENT_END).checked_add(86_400 - 7_200).unwrap());
    let next = books.settle("next-day", "2026-04-24T08:00:01Z");
    let pool = next.derived.statement.pool.unwrap();
    // Nobody works: nothing is drawn, and what was left stays.
    assert_eq!(
        (
            pool.drawn.base_units(),
            pool.carry_in.base_units(),
            pool.left.base_units()
        ),
        (0, 1, 1)
    );
    assert_eq!(next.derived.statement.rounding.pool_carry.base_units(), 1);
}

#[test]
fn a_battery_is_settled_by_its_own_meter() {
    let mut scenario = Scenario::new();
    scenario.program = PROGRAM.replace("site_meter_net", "battery_net");
    let program = Program::from_toml("p", &scenario.program).unwrap();
    let none = scenario.enrolments[0].fits(&program).unwrap_err().to_string();
    assert!(none.contains("measures batteries"), "{none}");
    // The same counters, of a battery: what was grid import is charge, what was export discharge.
    for enrolment in &mut scenario.enrolments {
        enrolment.devices[0].number = DeviceNumber(0);
        let mut battery = enrolment.devices[0].clone();
        battery.number = DeviceNumber(1);
        battery.quantities = vec![Quantity::BatteryCharge, Quantity::BatteryDischarge];
        enrolment.devices.insert(1, battery);
        assert!(enrolment.fits(&program).is_ok());
    }
    for (home, reports) in &mut scenario.reports {
        let mut before = None;
        for report in reports.iter_mut() {
            for series in &mut report.series {
                series.channel.quantity = match series.channel.quantity {
                    Quantity::GridImport => Quantity::BatteryCharge,
                    _ => Quantity::BatteryDischarge,
                };
            }
            report.series.sort_by_key(|series| series.channel);
            report.previous = before.map_or(Digest::NONE, |bytes: Vec<u8>| Digest::of(&bytes));
            before = Some(report.seal(&scenario::gateway(*home)).unwrap());
        }
    }
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(paid(&derived.statement), [2_550_000, 0, 3 * 2_550_000]);
}

#[test]
fn a_day_of_an_outage_is_not_compared() {
    let mut scenario = Scenario::new();
    let day = NaiveDate::from_ymd_opt(2026, 4, 17).unwrap();
    let of_home_1 = |scenario: &Scenario| {
        let statement = derive(&scenario.evidence()).unwrap().statement;
        let candidates = statement.sites[0].baseline.candidates().iter();
        let mut of_day = candidates.filter(|candidate| candidate.date == day);
        serde_json::to_string(of_day.next().unwrap()).unwrap()
    };
    assert!(
        of_home_1(&scenario).contains("chosen"),
        "{}",
        of_home_1(&scenario)
    );
    scenario.outages.push(Outage {
        site: "home-1".parse().unwrap(),
        day,
        by: "Ann".to_owned(),
        why: "the street was dug up".to_owned(),
        declared_at: at("2026-04-18T00:00:00Z"),
    });
    assert!(
        of_home_1(&scenario).contains("outage"),
        "{}",
        of_home_1(&scenario)
    );
    scenario.outages[0].declared_at = at("2026-05-01T00:00:00Z");
    let error = derive(&scenario.evidence()).unwrap_err().to_string();
    assert_eq!(
        error,
        "record outage/home-1/2026-04-17: it was declared after the settlement"
    );
}

#[test]
fn standing_bids_are_cleared_cheapest_first_and_who_is_not_taken_hears_why() {
    let mut scenario = Scenario::new();
    for (enrolment, (watts, price)) in
        scenario
            .enrolments
            .iter_mut()
            .zip([(3_000, "2"), (4_000, "1.5"), (2_000, "9")])
    {
        enrolment.offer = Offer {
            nominated_milliwatts: Some(Milliwatts::new(watts * 1_000)),
            bid_per_kwh: Some(price.parse().unwrap()),
        };
    }
    let mut books = Books::open(&scenario);
    let (program, event) = ("evening-flex".parse().unwrap(), "wednesday".parse().unwrap());
    let mut clear = |pricing, target| {
        let needed = Needed {
            target: Milliwatts::new(target),
            pricing,
            ceiling: Some("5".parse().unwrap()),
        };
        let (cleared, _) = books
            .store
            .transact(|client| cleared(client, &program, &event, needed, at(SETTLED_AT)))
            .unwrap();
        let awards = cleared
            .awards
            .iter()
            .map(|a| (a.site.to_string(), a.price_per_kwh.base_units()));
        let passed = cleared.passed.iter().map(|(site, why)| (site.to_string(), *why));
        (awards.collect::<Vec<_>>(), passed.collect::<Vec<_>>())
    };
    let home = |number: u8| format!("home-{number}");
    let (awards, passed) = clear(Pricing::PayAsBid, 5_000_000);
    assert_eq!(awards, [(home(2), 1_500_000), (home(1), 2_000_000)]);
    assert_eq!(passed, [(home(3), Passed::AboveCeiling)]);
    let (awards, passed) = clear(Pricing::Uniform, 4_000_000);
    assert_eq!(awards, [(home(2), 1_500_000)]);
    assert_eq!(
        passed,
        [(home(1), Passed::TargetReached), (home(3), Passed::AboveCeiling)]
    );
}
