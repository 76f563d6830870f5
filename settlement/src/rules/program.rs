//! Programs: the document in which an operator writes what is measured, compared and paid.
//!
//! A program is a TOML file with a version. Its hash is the SHA-256 of the file's bytes, so that
//! `sha256sum` shows the same; a statement names the hash of the program and of the baseline rule it used.

mod dispatching;
mod resettlement;
mod testing;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use chrono_tz::Tz;
use gridtally_protocol::channel::Quantity;
use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::baseline::{BaselineRule, Exports, Method, Need};
use super::document::{self, DocumentError, Found, Section};
use super::exact::read_decimal;
use super::holidays::{Holidays, read_listed};
use super::payment::{BelowZero, Energy, Formula, Netting, Price, RoundPer, Rounding, Terms};
use crate::registry::{GroupName, Membership};

pub use self::dispatching::{DispatchDays, DispatchRules, Eligibility, NotAllowed, Planned, SeasonDates};
pub use self::resettlement::Resettlement;
pub use self::testing::Tests;
pub use gridtally_protocol::instruction::{ProgramId, ProgramIdError};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measurement {
    /// Import − export at the site's meter.
    SiteMeterNet,
    /// What the site's batteries were charged with − what they gave, by their own meters (NAESB's metering generator
    /// output).
    BatteryNet,
}

impl Measurement {
    /// What counts as used, and what counts as given.
    #[must_use]
    pub const fn quantities(self) -> (Quantity, Quantity) {
        match self {
            Self::SiteMeterNet => (Quantity::GridImport, Quantity::GridExport),
            Self::BatteryNet => (Quantity::BatteryCharge, Quantity::BatteryDischarge),
        }
    }
}

/// What is asked of when the readings of an event were signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// Nothing.
    #[default]
    NotAsked,
    /// That they are fresh: signed and received at about their time ([`TrustTier`](gridtally_protocol::beacon::TrustTier)).
    Required,
}

impl Freshness {
    const fn is_not_asked(&self) -> bool {
        matches!(self, Self::NotAsked)
    }
}

/// A program, read and checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Its name.
    pub id: ProgramId,
    /// Its version, from 1 on.
    pub version: u32,
    /// SHA-256 of the document's bytes, in hex.
    pub hash: String,
    /// The IANA zone in which days and hours are reckoned.
    #[serde(serialize_with = "zone_name")]
    pub zone: Tz,
    /// The length of metering intervals.
    #[serde(rename = "interval_seconds")]
    pub interval: IntervalLength,
    /// What is measured.
    pub measurement: Measurement,
    /// What is paid in.
    pub asset: Asset,
    /// The price of a kilowatt-hour, in base units of the asset, where that is all that is paid for: each interval at
    /// this price, rounded once.
    pub price_per_kwh: Option<TokenAmount>,
    /// What is paid for; with `price_per_kwh` one formula that says the same.
    pub payment: Terms,
    /// How differences are netted.
    pub clip: Netting,
    /// How amounts are rounded, where a formula does not say so itself.
    pub rounding: Rounding,
    /// Holidays.
    pub holidays: BTreeSet<NaiveDate>,
    /// What a site would have used.
    pub baseline: BaselineRule,
    /// What stands in for a site that has no baseline under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_fallback: Option<BaselineRule>,
    /// From when on: an event is of the highest version that is in force at its start.
    pub in_force_from: Timestamp,
    /// The group of those of its homes that are never asked, and that the others are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_group: Option<GroupName>,
    /// When its events may be.
    pub dispatch: DispatchRules,
    /// Who may be asked.
    pub eligibility: Eligibility,
    /// When an event is settled anew, and what becomes of the differences.
    pub resettlement: Resettlement,
    /// How many persons have to approve of a statement before it is posted, from 1 on.
    pub approvals: u32,
    /// What is asked of the readings of an event.
    #[serde(skip_serializing_if = "Freshness::is_not_asked")]
    pub freshness: Freshness,
    /// How its sites prove what they can do, where they have to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<Tests>,
}

fn zone_name<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}

const VERSION_MAX: u32 = 1_000_000;
const APPROVALS_MAX: u32 = 9;

impl Program {
    /// Reads a program's document; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`DocumentError`] with every mistake in it.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, DocumentError> {
        let hash = hex::encode(Sha256::digest(text.as_bytes()));
        document::read(name, text, |section| read_program(section, hash))
    }
}

fn read_program(s: &mut Section<'_, '_>, hash: String) -> Option<Program> {
    let id = s.required("id").and_then(|v| v.parsed());
    let version = s.required("version").and_then(|v| v.whole(1..=VERSION_MAX));
    let zone = s.required("zone").and_then(|v| {
        let unknown = |_| "is no zone of the IANA database, Europe/London say";
        v.read_with(|text| text.parse::<Tz>().map_err(unknown))
    });
    let interval = s.required("interval_minutes").and_then(|v| read_interval(&v));
    let measurement = s.required("measurement").and_then(|v| {
        v.one_of(&[
            ("site_meter_net", Measurement::SiteMeterNet),
            ("battery_net", Measurement::BatteryNet),
        ])
    });
    let asset = s.required("asset").and_then(|v| v.section()).and_then(read_asset);
    // Amounts can only be judged by the asset's decimals; without an asset at least their form is.
    let asset_or_fine = asset.clone().or_else(|| Asset::new("ANY", 18).ok());
    let paid = asset_or_fine.and_then(|asset| read_payment(s, &asset));
    let clip = s.required("clip").and_then(|v| {
        v.one_of(&[
            ("interval", Netting::Interval),
            ("event", Netting::Event),
            ("none", Netting::None),
        ])
    });
    if let (Some((Some(_), _)), Some(Netting::Event | Netting::None)) = (&paid, clip) {
        s.mistake(
            "clip",
            "is not of single intervals, and price_per_kwh pays these; write a [[payment]] of kind energy instead",
        );
    }
    let holidays = match s.optional("holidays") {
        None => Some(BTreeSet::new()),
        Some(v) => read_holidays(&v),
    };
    let has_controls = s.optional("control_group").is_some();
    let control_group = match s.optional("control_group") {
        None => Some(None),
        Some(v) => v.parsed().map(Some),
    };
    let baseline = s
        .required("baseline")
        .and_then(|v| read_baseline(&v, measurement, has_controls));
    let baseline_fallback = match s.optional("baseline_fallback") {
        None => Some(None),
        Some(v) => read_baseline(&v, measurement, has_controls).map(Some),
    };
    if let (true, Some(own), Some(fallback)) = (has_controls, &baseline, &baseline_fallback) {
        let mut rules = core::iter::once(own).chain(fallback);
        if !rules.any(|rule| rule.needs().contains(&Need::ControlSites)) {
            s.mistake(
                "control_group",
                "is compared with by no baseline rule of the program",
            );
        }
    }
    let resettlement = s.optional("resettlement").zip(asset.clone());
    let resettlement = match resettlement {
        None => Some(Resettlement::default()),
        Some((v, asset)) => Resettlement::read(&v, &asset),
    };
    let approvals = match s.optional("approvals") {
        None => Some(1),
        Some(v) => v.whole(1..=APPROVALS_MAX),
    };
    let freshness = match s.optional("freshness") {
        None => Some(Freshness::NotAsked),
        Some(v) => v.one_of(&[("required", Freshness::Required)]),
    };
    let in_force_from = match s.optional("in_force_from") {
        None => Some(Timestamp::EPOCH),
        Some(v) => v.parsed(),
    };
    let dispatch = match s.optional("dispatch") {
        None => Some(DispatchRules::default()),
        Some(v) => DispatchRules::read(&v),
    };
    let eligibility = match s.optional("eligibility") {
        None => Some(Eligibility::default()),
        Some(v) => Eligibility::read(&v),
    };
    let tests = match s.optional("tests") {
        None => Some(None),
        Some(v) => Tests::read(&v).map(Some),
    };
    let (price_per_kwh, payment) = paid?;
    Some(Program {
        id: id?,
        version: version?,
        hash,
        zone: zone?,
        interval: interval?,
        measurement: measurement?,
        asset: asset?,
        price_per_kwh,
        rounding: payment.rounding,
        payment,
        clip: clip?,
        holidays: holidays?,
        baseline: baseline?,
        baseline_fallback: baseline_fallback?,
        control_group: control_group?,
        in_force_from: in_force_from?,
        dispatch: dispatch?,
        eligibility: eligibility?,
        resettlement: resettlement?,
        approvals: approvals?,
        freshness: freshness?,
        tests: tests?,
    })
}

/// Either one price for all, or formulas.
fn read_payment(s: &mut Section<'_, '_>, asset: &Asset) -> Option<(Option<TokenAmount>, Terms)> {
    let Some(price) = s.optional("price_per_kwh") else {
        if s.optional("payment").is_none() {
            s.mistake(
                "price_per_kwh",
                "is missing: say what a kWh earns, or write [[payment]] sections",
            );
            return None;
        }
        return Terms::read(s, asset).map(|terms| (None, terms));
    };
    if s.optional("payment").is_some() {
        s.mistake(
            "payment",
            "stands beside price_per_kwh; a program has one of the two",
        );
    }
    let rounding = Terms::read_rounding(s);
    let price = price.read_with(|text| read_price(text, asset))?;
    let energy = Energy {
        price: Price::Flat(price),
        round_per: RoundPer::Interval,
        below_zero: BelowZero::Nothing,
    };
    let terms = Terms {
        rounding: rounding?,
        formulas: vec![Formula::Energy(energy)],
        fee: None,
    };
    Some((Some(price), terms))
}

fn read_interval(found: &Found<'_, '_>) -> Option<IntervalLength> {
    let minutes = found.whole(1..=60)?;
    let seconds = minutes.checked_mul(60)?;
    match IntervalLength::from_seconds(seconds) {
        Ok(length) => Some(length),
        Err(error) => found.mistake(error.to_string()),
    }
}

fn read_asset(mut s: Section<'_, '_>) -> Option<Asset> {
    let code = s.required("code").and_then(|v| v.text());
    let decimals = s
        .required("decimals")
        .and_then(|v| v.whole(0..=18))
        .and_then(|d| u8::try_from(d).ok());
    let asset = code
        .zip(decimals)
        .and_then(|(code, decimals)| match Asset::new(code, decimals) {
            Ok(asset) => Some(asset),
            Err(error) => {
                s.mistake("code", error.to_string());
                None
            }
        });
    s.finish();
    asset
}

fn read_price(text: &str, asset: &Asset) -> Result<TokenAmount, String> {
    let price = asset
        .parse(&read_decimal(text)?.to_string())
        .map_err(|e| e.to_string())?;
    if price < TokenAmount::ZERO {
        Err("is negative".to_owned())
    } else {
        Ok(price)
    }
}

/// The name of a built-in calendar, or a list of days.
fn read_holidays(found: &Found<'_, '_>) -> Option<BTreeSet<NaiveDate>> {
    if found.is_text() {
        let unknown = || "is neither a list of days nor a known calendar: england-wales, us-nerc".to_owned();
        return found.read_with(|name| {
            let calendar = Holidays::built_in(name).ok_or_else(unknown)?;
            calendar.map(|c| c.days).map_err(|e| e.to_string())
        });
    }
    read_listed(found)
}

/// The name of a preset, or a rule of the program's own in a table.
fn read_baseline(
    found: &Found<'_, '_>,
    measurement: Option<Measurement>,
    has_controls: bool,
) -> Option<BaselineRule> {
    let rule = if found.is_table() {
        let mut section = found.section()?;
        let rule = BaselineRule::read(&mut section);
        section.finish();
        rule
    } else {
        found.read_with(BaselineRule::preset)
    }?;
    let needs = rule.needs();
    // What is not measured at all is a mistake of its own.
    let of_batteries = measurement != Some(Measurement::SiteMeterNet);
    let lacking = needs.iter().filter_map(|need| match need {
        Need::Temperatures => None,
        Need::DeviceMeter if of_batteries => None,
        Need::ControlSites if has_controls => None,
        Need::ControlSites => Some("a control group (write control_group = \"NAME\", a group of its homes)"),
        Need::DeviceMeter => Some("the readings of a device (write measurement = \"battery_net\")"),
        Need::Sample => Some("a sample of sites, which a settlement does not have"),
        Need::FirmLevel => Some("the site's firm level, which a settlement does not have"),
    });
    let lacking: Vec<_> = lacking.collect();
    if lacking.is_empty() {
        Some(rule)
    } else {
        let lacking = lacking.join(" and ");
        found.mistake(format!("needs {lacking}; or take another rule"))
    }
}

impl Program {
    fn rules(&self) -> impl Iterator<Item = &BaselineRule> {
        core::iter::once(&self.baseline).chain(&self.baseline_fallback)
    }

    /// Whether a baseline looks for days of like weather.
    #[must_use]
    pub fn wants_temperatures(&self) -> bool {
        self.rules()
            .any(|rule| rule.needs().contains(&Need::Temperatures))
    }

    /// Whether a baseline takes off what leaves the site, and so looks at the meter of its connection as well.
    #[must_use]
    pub fn wants_site_meter(&self) -> bool {
        let excludes = |rule: &BaselineRule| {
            matches!(
                rule.method,
                Method::GeneratorOutput {
                    exports: Exports::Excluded,
                    ..
                }
            )
        };
        self.measurement == Measurement::BatteryNet && self.rules().any(excludes)
    }

    /// Whether a home belongs to the control group: it is never asked.
    #[must_use]
    pub fn is_control(&self, home: &Membership) -> bool {
        self.control_group
            .as_ref()
            .is_some_and(|group| home.groups.contains(group))
    }

    /// Whether a home may be asked.
    #[must_use]
    pub fn may_ask(&self, home: &Membership) -> bool {
        self.eligibility.admits(home) && !self.is_control(home)
    }

    /// How many calendar days before the event's its baselines may read, windows included.
    #[must_use]
    pub fn lookback_days(&self) -> u32 {
        self.rules()
            .map(BaselineRule::reach_days)
            .max()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENING_FLEX: &str = include_str!("../../../config/programs/evening-flex.toml");

    #[test]
    fn the_demo_program_reads() {
        let program = Program::from_toml("evening-flex.toml", EVENING_FLEX).unwrap();
        assert_eq!(program.id.as_str(), "evening-flex");
        assert_eq!(program.price_per_kwh.unwrap().base_units(), 850_000);
        assert_eq!(program.baseline.id, "caiso_style_10_10");
        assert_eq!(program.zone, chrono_tz::Europe::London);
    }

    #[test]
    fn the_hash_is_that_of_the_files_bytes() {
        let program = Program::from_toml("a", EVENING_FLEX).unwrap();
        assert_eq!(program.hash, hex::encode(Sha256::digest(EVENING_FLEX)));
        let commented = format!("{EVENING_FLEX}# a word\n");
        assert_ne!(Program::from_toml("a", &commented).unwrap().hash, program.hash);
    }

    #[test]
    fn a_rule_may_stand_in_the_program_itself() {
        let rule = include_str!("../../../config/programs/baselines/unadj_10_10.toml");
        let rule = rule
            .replace("[weekday]", "[baseline.weekday]")
            .replace("[other]", "[baseline.other]");
        let rule = rule.replace("[adjustment]", "[baseline.adjustment]");
        let text = EVENING_FLEX.replace("baseline = \"caiso_style_10_10\"\n", "");
        let program = Program::from_toml("a", &format!("{text}\n[baseline]\n{rule}")).unwrap();
        assert_eq!(program.baseline, BaselineRule::preset("unadj_10_10").unwrap());
    }

    #[test]
    fn holidays_are_listed_or_a_calendar_by_name() {
        let (before, rest) = EVENING_FLEX.split_once("holidays = [").unwrap();
        let (_, after) = rest.split_once("]\n").unwrap();
        let with =
            |holidays: &str| Program::from_toml("a", &format!("{before}holidays = {holidays}\n{after}"));
        let listed = Program::from_toml("a", EVENING_FLEX).unwrap().holidays;
        assert!(with("\"england-wales\"").unwrap().holidays.is_superset(&listed));
        let error = with("\"atlantis\"").unwrap_err().to_string();
        assert!(error.contains("england-wales, us-nerc"), "{error}");
    }

    #[test]
    fn a_rule_that_a_settlement_cannot_feed_is_refused_before_the_season() {
        let with = |rule: &str| EVENING_FLEX.replace("\"caiso_style_10_10\"", &format!("\"{rule}\""));
        for (rule, lacking) in [
            ("caiso_style_control_group", "control_group = "),
            ("caiso_style_generator_output", "measurement = \"battery_net\""),
            ("naesb_style_type_2_sampled", "a sample of sites"),
        ] {
            let error = Program::from_toml("a", &with(rule)).unwrap_err().to_string();
            assert!(error.contains(lacking), "{rule}: {error}");
        }
        let weather = Program::from_toml("a", &with("caiso_style_weather_match")).unwrap();
        assert!(weather.wants_temperatures() && !weather.wants_site_meter());
        let batteries = with("caiso_style_generator_output").replace("site_meter_net", "battery_net");
        assert!(Program::from_toml("a", &batteries).unwrap().wants_site_meter());
    }

    #[test]
    fn a_control_group_is_named_exactly_where_a_rule_compares_with_it() {
        let group = "control_group = \"controls\"\nbaseline = \"caiso_style_control_group\"";
        let text = EVENING_FLEX.replace("baseline = \"caiso_style_10_10\"", group);
        let program = Program::from_toml("a", &text).unwrap();
        let home = |group: &str| Membership {
            groups: BTreeSet::from([group.parse().unwrap()]),
            ..Membership::default()
        };
        assert!(!program.may_ask(&home("controls")) && program.may_ask(&home("batteries")));
        let idle = text.replace("caiso_style_control_group", "caiso_style_10_10");
        let error = Program::from_toml("a", &idle).unwrap_err().to_string();
        assert!(
            error.contains("control_group") && error.contains("no baseline rule"),
            "{error}"
        );
    }

    #[test]
    fn all_mistakes_of_a_program_are_named_at_once() {
        let text = r#"id = "evening flex"
version = 0
zone = "Europe/Londn"
interval_minutes = 7
price_per_kwh = "0.8500001"
clip = "day"
baseline = "caiso"
holidays = ["2026-02-30", 2026-12-25]
pirce = 1
[asset]
code = "FLEX"
decimals = 6
"#;
        let error = Program::from_toml("bad.toml", text).unwrap_err();
        let found: Vec<_> = error.mistakes.iter().map(|m| (m.line, m.key.as_str())).collect();
        let expected = [
            (1, "measurement"),
            (1, "id"),
            (2, "version"),
            (3, "zone"),
            (4, "interval_minutes"),
            (5, "price_per_kwh"),
            (6, "clip"),
            (7, "baseline"),
            (8, "holidays[0]"),
            (9, "pirce"),
        ];
        let mut sorted = found.clone();
        sorted.sort_unstable();
        let mut wanted = expected.to_vec();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted, "{error}");
    }

    #[test]
    fn a_document_that_is_no_toml_is_refused_with_its_line() {
        let error = Program::from_toml("bad.toml", "id = \"a\"\nversion = = 2\n").unwrap_err();
        assert_eq!(error.mistakes[0].line, 2, "{error}");
        assert!(
            error
                .to_string()
                .starts_with("bad.toml cannot be used:\n  line 2"),
            "{error}"
        );
    }
}
