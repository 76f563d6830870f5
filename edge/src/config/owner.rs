//! `[owner]`: what the owner allows. Every instruction is bounded by it.

use std::collections::BTreeSet;

use gridtally_protocol::instruction::ProgramId;
use gridtally_protocol::price::Price;
use gridtally_protocol::quantity::Milliwatts;
use serde::Deserialize;

use super::quiet::{QuietHours, QuietRange};
use super::value::{Percent, Watts, WattsFromZero};
use super::zone::Zone;

/// What the owner allows. What he wants only for now (the one-tap opt-out) is state, and not here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct OwnerConfig {
    /// Whether the home takes part in events at all.
    pub participate: bool,
    /// The charge below which no event takes the battery.
    pub reserve: Percent,
    /// The charge above which no event brings the battery.
    pub ceiling: Percent,
    /// The greatest power of a discharge for an event; the battery's nameplate where absent.
    pub discharge_limit: Option<Milliwatts>,
    /// The greatest power of a charge for an event; the battery's nameplate where absent.
    pub charge_limit: Option<Milliwatts>,
    /// For less than this the battery is not moved.
    pub power_min: Milliwatts,
    /// What the home may always take from the grid, and what it must never take because of an event.
    pub import: GridBounds,
    /// What the home may always give to the grid, and what it must never give because of an event.
    pub export: GridBounds,
    /// When the owner wants quiet: an event that touches it is declined.
    pub quiet: QuietHours,
    /// Whose events he takes part in; all where absent.
    pub programs: Option<BTreeSet<ProgramId>>,
    /// What he asks for a kilowatt-hour; an event that offers less, or says nothing, is declined.
    pub price_min: Option<Price>,
    /// The owner's word that a device may be used in events that has not shown that it obeys and goes back
    /// by itself. The risk is his: such a battery may stay as an event left it when the agent dies.
    pub accept_unproven_control: bool,
}

/// Bounds at the grid meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GridBounds {
    /// No event limits the home to less than this.
    pub always: Milliwatts,
    /// No event brings the home above this, where the battery can help it.
    pub never_above: Option<Milliwatts>,
}

impl OwnerConfig {
    /// An owner who takes part in everything above `reserve`: what an `[owner]` with nothing else says.
    #[must_use]
    pub const fn with_reserve(reserve: Percent) -> Self {
        const UNBOUNDED: GridBounds = GridBounds {
            always: Milliwatts::ZERO,
            never_above: None,
        };
        Self {
            participate: true,
            reserve,
            ceiling: Percent::FULL,
            discharge_limit: None,
            charge_limit: None,
            power_min: Milliwatts::ZERO,
            import: UNBOUNDED,
            export: UNBOUNDED,
            quiet: QuietHours::NONE,
            programs: None,
            price_min: None,
            accept_unproven_control: false,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default = "yes")]
    participate: bool,
    reserve_percent: Percent,
    #[serde(default = "full")]
    ceiling_percent: Percent,
    discharge_limit_watts: Option<Watts>,
    charge_limit_watts: Option<Watts>,
    power_watts_min: Option<Watts>,
    import_always_watts: Option<WattsFromZero>,
    import_watts_max: Option<WattsFromZero>,
    export_always_watts: Option<WattsFromZero>,
    export_watts_max: Option<WattsFromZero>,
    time_zone: Option<Zone>,
    #[serde(default)]
    quiet_hours: Vec<QuietRange>,
    programs: Option<BTreeSet<ProgramId>>,
    price_min: Option<Price>,
    #[serde(default)]
    accept_unproven_control: bool,
}

const fn yes() -> bool {
    true
}
const fn full() -> Percent {
    Percent::FULL
}

/// Why the parts of `[owner]` do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum OwnerError {
    /// Nothing is left to move.
    #[error("reserve_percent is not below ceiling_percent, so no event could ever move the battery")]
    NothingLeft,
    /// Two bounds cross.
    #[error("{0}_always_watts is above {0}_watts_max; what is always allowed cannot be too much")]
    Crossed(&'static str),
    /// Nobody knows when that is.
    #[error("quiet_hours need a time_zone such as \"Europe/London\", by whose clocks they are kept")]
    NoZone,
}

impl TryFrom<Raw> for OwnerConfig {
    type Error = OwnerError;

    fn try_from(raw: Raw) -> Result<Self, OwnerError> {
        if raw.reserve_percent >= raw.ceiling_percent {
            return Err(OwnerError::NothingLeft);
        }
        let quiet = match (raw.quiet_hours.is_empty(), raw.time_zone) {
            (true, _) => QuietHours::NONE,
            (false, Some(zone)) => QuietHours::new(zone, raw.quiet_hours),
            (false, None) => return Err(OwnerError::NoZone),
        };
        Ok(Self {
            participate: raw.participate,
            reserve: raw.reserve_percent,
            ceiling: raw.ceiling_percent,
            discharge_limit: raw.discharge_limit_watts.map(|w| w.0),
            charge_limit: raw.charge_limit_watts.map(|w| w.0),
            power_min: raw.power_watts_min.map_or(Milliwatts::ZERO, |w| w.0),
            import: bounds("import", raw.import_always_watts, raw.import_watts_max)?,
            export: bounds("export", raw.export_always_watts, raw.export_watts_max)?,
            quiet,
            programs: raw.programs,
            price_min: raw.price_min,
            accept_unproven_control: raw.accept_unproven_control,
        })
    }
}

fn bounds(
    name: &'static str,
    always: Option<WattsFromZero>,
    never_above: Option<WattsFromZero>,
) -> Result<GridBounds, OwnerError> {
    let always = always.map_or(Milliwatts::ZERO, |w| w.0);
    let never_above = never_above.map(|w| w.0);
    if never_above.is_some_and(|max| max < always) {
        return Err(OwnerError::Crossed(name));
    }
    Ok(GridBounds { always, never_above })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(text: &str) -> Result<OwnerConfig, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn what_is_absent_allows_everything_above_the_reserve() {
        let reserve = Percent::from_thousandths(20_000).unwrap();
        assert_eq!(
            owner("reserve_percent = 20"),
            Ok(OwnerConfig::with_reserve(reserve))
        );
    }

    #[test]
    fn everything_that_can_be_written_is_read() {
        let read = owner(
            "participate = false\nreserve_percent = \"12.5\"\nceiling_percent = 90\n\
             discharge_limit_watts = 3000\ncharge_limit_watts = 2000\npower_watts_min = 100\n\
             import_always_watts = 1000\nimport_watts_max = 9000\nexport_watts_max = 0\n\
             time_zone = \"Europe/London\"\nquiet_hours = [\"22:00-07:00\"]\n\
             programs = [\"evening-flex\"]\nprice_min = \"0.15\"\naccept_unproven_control = true",
        )
        .unwrap();
        let watts = |w: i64| Milliwatts::new(w * 1_000);
        assert_eq!((read.participate, read.accept_unproven_control), (false, true));
        assert_eq!(
            (read.reserve.thousandths(), read.ceiling.thousandths()),
            (12_500, 90_000)
        );
        assert_eq!(
            (read.discharge_limit, read.charge_limit),
            (Some(watts(3_000)), Some(watts(2_000)))
        );
        assert_eq!((read.power_min, read.import.always), (watts(100), watts(1_000)));
        assert_eq!(
            (read.import.never_above, read.export.never_above),
            (Some(watts(9_000)), Some(Milliwatts::ZERO))
        );
        assert_eq!(read.quiet.ranges().len(), 1);
        assert_eq!(
            read.programs,
            Some(BTreeSet::from(["evening-flex".parse().unwrap()]))
        );
        assert_eq!(read.price_min, Some("0.15".parse().unwrap()));
    }

    #[test]
    fn every_line_that_the_example_leaves_out_can_be_written_so() {
        let lines = crate::config::EXAMPLE.lines();
        let section: Vec<_> = lines
            .skip_while(|line| *line != "[owner]")
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|l| l.contains(" = "))
                    .unwrap_or(line)
            })
            .collect();
        let owner = owner(&section.join("\n")).unwrap();
        assert!(owner.charge_limit.is_some() && owner.price_min.is_some());
        assert!(owner.export.never_above.is_some() && !owner.quiet.ranges().is_empty());
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_the_reason() {
        for (more, said) in [
            ("ceiling_percent = 20", "reserve_percent is not below"),
            (
                "import_always_watts = 2\nimport_watts_max = 1",
                "import_always_watts is above",
            ),
            (
                "export_always_watts = 2\nexport_watts_max = 1",
                "export_always_watts is above",
            ),
            ("quiet_hours = [\"22:00-07:00\"]", "time_zone"),
            ("time_zone = \"Europe/Atlantis\"", "Europe/Atlantis"),
            ("price_min = 0.15", "string"),
            ("price_min = \"-1\"", "negative"),
            ("programs = [\"Evening\"]", "a program's name"),
            ("charge_limit_watts = 0", "more than 0"),
            ("export_watts_max = -1", "0 to"),
            ("opt_out = true", "opt_out"),
        ] {
            let refused = owner(&format!("reserve_percent = 20\n{more}")).unwrap_err();
            assert!(refused.contains(said), "{more}: {refused}");
        }
    }
}
