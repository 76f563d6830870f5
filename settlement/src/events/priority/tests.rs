use gridtally_protocol::time::IntervalLength;
use proptest::prelude::*;

use super::*;

const SITES: u8 = 4;
const SLOTS: i64 = 12;

fn at(slot: i64) -> Timestamp {
    Timestamp::from_unix(1_000_000 * 300 + slot * 300).unwrap()
}

fn site(number: u8) -> SiteId {
    format!("home-{number}").parse().unwrap()
}

fn interval(slot: i64) -> Interval {
    Interval::new(at(slot), IntervalLength::FIVE_MINUTES).unwrap()
}

prop_compose! {
    fn any_claim()(
        name in 0_u8..30, priority in 0_u16..3, announced in -3_i64..0, start in 0..SLOTS, slots in 1..SLOTS,
        set_point in any::<bool>(), sites in prop::collection::btree_set(0..SITES, 1..=usize::from(SITES)),
    ) -> Claim {
        Claim {
            event: format!("event-{name}").parse().unwrap(),
            priority: Priority(priority),
            announced_at: at(announced),
            window: Window { start: at(start), end: at(start + slots) },
            kind: if set_point { TargetKind::SetPoint } else { TargetKind::ImportLimit },
            sites: sites.into_iter().map(site).collect(),
        }
    }
}

fn claims() -> impl Strategy<Value = Vec<Claim>> {
    prop::collection::vec(any_claim(), 1..8).prop_map(|mut claims| {
        claims.sort_by(|a, b| a.event.cmp(&b.event));
        claims.dedup_by(|a, b| a.event == b.event);
        claims
    })
}

fn intervals() -> Vec<Interval> {
    (0..SLOTS * 2).map(interval).collect()
}

proptest! {
    #[test]
    fn the_order_in_which_events_are_looked_at_never_matters(
        (claims, shuffled) in claims().prop_flat_map(|c| (Just(c.clone()), Just(c).prop_shuffle())),
    ) {
        prop_assert_eq!(owners(&claims, &intervals()), owners(&shuffled, &intervals()));
        for slot in 0..SLOTS {
            for number in 0..SITES {
                prop_assert_eq!(
                    followed(&claims, &site(number), at(slot)),
                    followed(&shuffled, &site(number), at(slot))
                );
            }
        }
    }

    #[test]
    fn each_energy_that_is_asked_for_has_one_owner_that_asked_for_it_and_none_that_asked_is_stronger(
        claims in claims(),
    ) {
        let owners = owners(&claims, &intervals());
        for interval in intervals() {
            for number in 0..SITES {
                let asking: Vec<&Claim> = claims
                    .iter()
                    .filter(|c| c.sites.contains(&site(number)) && c.window.holds(interval.start()))
                    .collect();
                let owner = owners.get(&(site(number), interval.start()));
                prop_assert_eq!(owner.is_some(), !asking.is_empty());
                if let Some(owner) = owner {
                    let owning = asking.iter().find(|c| c.event == *owner);
                    prop_assert!(owning.is_some_and(|o| asking.iter().all(|c| !c.outranks(o))));
                }
            }
        }
    }

    #[test]
    fn where_homes_are_left_to_the_events_before_no_energy_is_asked_for_twice(claims in claims()) {
        let mut by_time = claims;
        by_time.sort_by_key(|c| (c.announced_at, c.event.clone()));
        let mut standing: Vec<Claim> = Vec::new();
        for mut claim in by_time {
            // The stronger one that comes later is refused before: see the announcement.
            let beaten = standing.iter().any(|other| {
                claim.outranks(other)
                    && claim.window.overlaps(&other.window)
                    && !claim.sites.is_disjoint(&other.sites)
            });
            if beaten {
                continue;
            }
            let left = left_to_others(&claim, &standing);
            claim.sites.retain(|site| !left.contains_key(site));
            standing.push(claim);
        }
        for (index, one) in standing.iter().enumerate() {
            for other in standing.iter().skip(index + 1) {
                prop_assert!(!one.window.overlaps(&other.window) || one.sites.is_disjoint(&other.sites));
            }
        }
    }
}

fn claim(event: &str, priority: u16, announced: i64, slots: (i64, i64)) -> Claim {
    Claim {
        event: event.parse().unwrap(),
        priority: Priority(priority),
        announced_at: at(announced),
        window: Window {
            start: at(slots.0),
            end: at(slots.1),
        },
        kind: TargetKind::SetPoint,
        sites: [site(1)].into(),
    }
}

#[test]
fn a_lower_number_wins_and_of_equal_ones_the_earlier() {
    let claims = [
        claim("early", 5, -2, (0, 4)),
        claim("late", 5, -1, (2, 6)),
        claim("urgent", 1, -1, (3, 5)),
    ];
    let owners = owners(&claims, &intervals());
    let names: Vec<&str> = owners.values().map(EventId::as_str).collect();
    assert_eq!(names, ["early", "early", "early", "urgent", "urgent", "late"]);
}
