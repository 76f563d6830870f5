//! Who is asked: homes by zone, group and site.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::registry::{Enrolment, GroupName, ZoneName};
use crate::rules::program::ProgramId;
use crate::rules::statement::SiteId;

/// Whom an event asks, of the homes of its program. A kind of which nothing is named leaves nobody out; where several
/// kinds are named, a home fits all of them: of zone north *and* in one of the groups.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Targets {
    /// The home lies in one of these zones.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub zones: BTreeSet<ZoneName>,
    /// The home belongs to one of these groups.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupName>,
    /// The home is one of these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub sites: BTreeSet<SiteId>,
}

/// Why targets make no sense: somebody expects homes where none are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("of program {program}, no home is {}; `engine enrol FILE` says where homes are", .nobody.join(", none is "))]
pub struct NobodyThere {
    /// Of which program.
    pub program: ProgramId,
    /// What was named without effect: every zone, group and site.
    pub nobody: Vec<String>,
}

impl Targets {
    /// Whether everybody of the program is asked.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.zones.is_empty() && self.groups.is_empty() && self.sites.is_empty()
    }

    /// Whether a home of the program is asked.
    #[must_use]
    pub fn ask(&self, home: &Enrolment) -> bool {
        let in_zone = || {
            let zone = home.membership.zone.as_ref();
            zone.is_some_and(|zone| self.zones.contains(zone))
        };
        (self.zones.is_empty() || in_zone())
            && (self.groups.is_empty() || !self.groups.is_disjoint(&home.membership.groups))
            && (self.sites.is_empty() || self.sites.contains(&home.site))
    }

    /// The homes of a program that are asked, in the order given.
    ///
    /// # Errors
    /// [`NobodyThere`] that names each zone, group and site to which no home of the program belongs: most likely a
    /// slip of the pen.
    pub fn asked<'h>(
        &self,
        program: &ProgramId,
        homes: impl IntoIterator<Item = &'h Enrolment>,
    ) -> Result<Vec<&'h Enrolment>, NobodyThere> {
        let homes: Vec<&Enrolment> = homes.into_iter().filter(|h| h.program == *program).collect();
        let is_any = |belongs: &dyn Fn(&Enrolment) -> bool| homes.iter().any(|home| belongs(home));
        let mut nobody = Vec::new();
        for zone in &self.zones {
            if !is_any(&|home| home.membership.zone.as_ref() == Some(zone)) {
                nobody.push(format!("in zone {zone}"));
            }
        }
        for group in &self.groups {
            if !is_any(&|home| home.membership.groups.contains(group)) {
                nobody.push(format!("in group {group}"));
            }
        }
        for site in &self.sites {
            if !is_any(&|home| home.site == *site) {
                nobody.push(format!("site {site}"));
            }
        }
        if !nobody.is_empty() {
            let program = program.clone();
            return Err(NobodyThere { program, nobody });
        }
        Ok(homes.into_iter().filter(|home| self.ask(home)).collect())
    }
}

#[cfg(test)]
mod tests {
    use gridtally_protocol::identity::SigningIdentity;
    use gridtally_protocol::time::IntervalLength;
    use proptest::prelude::*;

    use super::*;
    use crate::registry::Membership;

    fn home(number: u8, zone: Option<&str>, groups: &[&str]) -> Enrolment {
        Enrolment {
            site: format!("home-{number}").parse().unwrap(),
            beneficiary: "owner".parse().unwrap(),
            gateway: SigningIdentity::from_secret(&[number + 1; 32])
                .unwrap()
                .identity(),
            program: "flex".parse().unwrap(),
            interval_seconds: IntervalLength::FIVE_MINUTES,
            devices: Vec::new(),
            membership: Membership {
                zone: zone.map(|z| z.parse().unwrap()),
                groups: groups.iter().map(|g| g.parse().unwrap()).collect(),
            },
            offer: Default::default(),
            location: None,
            agreement: None,
        }
    }

    fn homes() -> Vec<Enrolment> {
        vec![
            home(1, Some("north"), &["batteries", "heat-pumps"]),
            home(2, Some("north"), &[]),
            home(3, Some("south"), &["batteries"]),
            home(4, None, &["heat-pumps"]),
        ]
    }

    fn targets(zones: &[&str], groups: &[&str], sites: &[&str]) -> Targets {
        Targets {
            zones: zones.iter().map(|z| z.parse().unwrap()).collect(),
            groups: groups.iter().map(|g| g.parse().unwrap()).collect(),
            sites: sites.iter().map(|s| s.parse().unwrap()).collect(),
        }
    }

    fn asked(targets: &Targets) -> Result<Vec<String>, NobodyThere> {
        let program = "flex".parse().unwrap();
        let homes = homes();
        let asked = targets.asked(&program, &homes)?;
        Ok(asked.iter().map(|h| h.site.to_string()).collect())
    }

    #[test]
    fn a_home_fits_one_of_each_kind_that_is_named() {
        for (targets, expected) in [
            (
                targets(&[], &[], &[]),
                vec!["home-1", "home-2", "home-3", "home-4"],
            ),
            (targets(&["north"], &[], &[]), vec!["home-1", "home-2"]),
            (
                targets(&["north", "south"], &["batteries"], &[]),
                vec!["home-1", "home-3"],
            ),
            (
                targets(&[], &["heat-pumps"], &["home-2", "home-4"]),
                vec!["home-4"],
            ),
            (targets(&["south"], &["heat-pumps"], &[]), vec![]),
        ] {
            assert_eq!(asked(&targets).unwrap(), expected, "{targets:?}");
        }
    }

    #[test]
    fn every_name_without_a_home_is_told() {
        let said = asked(&targets(&["north", "east"], &["pumps"], &["home-9"]))
            .unwrap_err()
            .to_string();
        for name in ["zone east", "group pumps", "site home-9"] {
            assert!(said.contains(name), "{said}");
        }
        assert!(!said.contains("north"), "{said}");
        let other = "other".parse().unwrap();
        assert!(targets(&["north"], &[], &[]).asked(&other, &homes()).is_err());
    }

    proptest! {
        #[test]
        fn naming_a_further_site_never_asks_fewer_and_naming_a_further_kind_never_more(
            zone in prop::sample::select(&["north", "south"][..]), number in 1_u8..=4, further in 1_u8..=4,
        ) {
            let (site, more) = (format!("home-{number}"), format!("home-{further}"));
            let one = asked(&targets(&[], &[], &[&site])).unwrap();
            let two = asked(&targets(&[], &[], &[&site, &more])).unwrap();
            prop_assert!(one.iter().all(|s| two.contains(s)));
            let narrowed = asked(&targets(&[zone], &[], &[&site, &more])).unwrap();
            prop_assert!(narrowed.iter().all(|s| two.contains(s)));
        }
    }
}
