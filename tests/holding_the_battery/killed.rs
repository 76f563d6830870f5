//! The agent is struck dead at each request of an event, before the device hears of it and after it obeyed. Whether
//! it comes back at once, after the event or never: the battery is its owner's again, and nothing is told twice.

use gridtally_edge::device::Hand;
use gridtally_edge::device::controls::Saved;
use gridtally_protocol::instruction::Target;
use gridtally_simulators::Role;

use crate::house::{House, Map, Plan, Ticked};
use crate::obeyed::watts;
use crate::wire::Blow;

/// The event is from 300 to 900 seconds, and the agent ticks at 300, 600 and 900.
const START: i64 = 300;
const END: i64 = 900;
/// The device's timer, and the longest that a device that failed is left alone.
const TIMER: i64 = 900;
const LEFT_ALONE: i64 = 400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Return {
    AtOnce,
    AfterTheEnd,
    Never,
}

/// Another place to begin for each kind of blow and return, so that together they strike at all requests.
const fn offset(blow: Blow, returns: Return) -> usize {
    let blow = match blow {
        Blow::BeforeTheRequest => 0,
        Blow::BeforeTheReply => 3,
    };
    let returns = match returns {
        Return::AtOnce => 0,
        Return::AfterTheEnd => 1,
        Return::Never => 2,
    };
    (blow + returns) % 5
}

#[derive(Debug, Clone)]
struct Scene {
    plan: Plan,
    target: Target,
    /// What the owner has set: of which device, model, point.
    owners: Vec<(Role, u16, &'static str, i32)>,
}

impl Scene {
    fn house(&self) -> House {
        let mut house = House::new(self.plan.clone().ticking(300).counted());
        for &(role, model, point, value) in &self.owners {
            house.set_by_hand(role, model, point, value);
        }
        house.asked(self.target, START, END);
        house.pass_until(START);
        house
    }

    /// What an undisturbed agent saves.
    fn saved(&self) -> Vec<Option<Saved>> {
        let mut house = self.house();
        house.live_until(START);
        saved(&mut house)
    }

    fn twin(&self, house: &House) -> gridtally_simulators::Home {
        let twin = house.twin();
        for &(role, model, point, value) in &self.owners {
            crate::house::set_by_hand(&twin, role, model, point, value);
        }
        twin
    }

    /// Strikes at each request, until the event passes without reaching it; returns which was the last. At every
    /// fifth one, from another on for each kind of blow and return, unless `GRIDTALLY_EVERY_REQUEST` is set: all
    /// of them take minutes.
    fn strike_everywhere(&self, blow: Blow, returns: Return) -> usize {
        let before = self.house().setting();
        let reference = self.saved();
        let (first, stride) = match std::env::var_os("GRIDTALLY_EVERY_REQUEST") {
            Some(_) => (1, 1),
            None => (1 + offset(blow, returns), 5),
        };
        for request in (first..).step_by(stride) {
            let mut house = self.house();
            house.book.strike_at(request, blow);
            let lived = house.live_until(END);
            let scene = format!("{:?}, {returns:?}, {blow:?} {request}", self.plan.map);
            if lived == Ticked::Done {
                assert_eq!(house.setting(), before, "{scene}");
                house.story();
                return request - 1;
            }
            for (saved, reference) in saved(&mut house).into_iter().zip(&reference) {
                assert!(saved.is_none() || saved == *reference, "{scene}: {saved:?}");
            }
            let is_anything_saved = saved(&mut house).iter().any(Option::is_some);
            assert!(is_anything_saved || house.setting() == before, "{scene}: lost");
            self.come_back(&mut house, returns, &before, &scene);
        }
        0
    }

    fn come_back(&self, house: &mut House, returns: Return, before: &[(String, Vec<u16>)], scene: &str) {
        match returns {
            Return::Never => {
                let silence = house.now() + TIMER;
                let mut twin = self.twin(house);
                twin.advance_to(house.home.now());
                house.pass_until(silence + 60);
                twin.advance_to(house.home.now());
                assert_eq!(house.home.flow(), twin.flow(), "{scene}: {:?}", house.setting());
            }
            Return::AtOnce | Return::AfterTheEnd => {
                if returns == Return::AfterTheEnd {
                    house.pass_until(END + 1_200);
                }
                house.live_until(house.now().max(END));
                if house.setting() != before {
                    house.live_until(house.now() + LEFT_ALONE);
                }
                assert_eq!(house.setting(), before, "{scene}");
                assert!(saved(house).iter().all(Option::is_none), "{scene}");
                let told = house.story().names();
                let ends = told.iter().filter(|name| ["completed", "stopped"].contains(name));
                assert_eq!(ends.count(), 1, "{scene}: {told:?}");
                let is_back = !told.contains(&"written") || told.contains(&"restored");
                assert!(is_back, "{scene}: {told:?}");
            }
        }
    }

    fn strike_in_every_way(&self, returns: &[Return]) {
        let mut strikes = 0;
        for &returns in returns {
            for blow in [Blow::BeforeTheRequest, Blow::BeforeTheReply] {
                strikes += self.strike_everywhere(blow, returns);
            }
        }
        println!("{:?}: struck {strikes} times", self.plan.map);
        assert!(strikes > 60, "{strikes}");
    }
}

fn saved(house: &mut House) -> Vec<Option<Saved>> {
    let outbox = house.outbox();
    [Hand::Battery, Hand::Production]
        .map(|hand| outbox.owner_setting(hand).unwrap())
        .to_vec()
}

const ALWAYS: [Return; 3] = [Return::AtOnce, Return::AfterTheEnd, Return::Never];

#[test]
fn struck_at_any_request_of_a_set_point_by_model_124() {
    let scene = Scene {
        plan: Plan::of(Map::Storage),
        target: Target::SetPoint(watts(3_000)),
        owners: Vec::new(),
    };
    scene.strike_in_every_way(&ALWAYS);
}

#[test]
fn struck_at_any_request_of_a_charge_by_model_124_whose_owner_had_his_own_limits() {
    let own = [
        ("OutWRte", 4_000),
        ("InWRte", 2_500),
        ("InOutWRte_RmpTms", 3),
        ("StorCtl_Mod", 3),
    ];
    let scene = Scene {
        plan: Plan::of(Map::Storage),
        target: Target::SetPoint(watts(-2_000)),
        owners: own
            .map(|(point, value)| (Role::Battery, 124, point, value))
            .to_vec(),
    };
    // The model has no place for what the owner had: its timer goes back to nothing set, and only the agent to more.
    scene.strike_in_every_way(&[Return::AtOnce, Return::AfterTheEnd]);
}

#[test]
fn struck_at_any_request_of_a_set_point_by_model_704() {
    let scene = Scene {
        plan: Plan::of(Map::Der),
        target: Target::SetPoint(watts(3_000)),
        owners: Vec::new(),
    };
    scene.strike_in_every_way(&ALWAYS);
}

#[test]
fn struck_at_any_request_of_a_set_point_by_model_704_whose_owner_had_one_of_his_own() {
    let own = [("WSet", 700), ("WSetRvrt", 100), ("WSetMod", 1), ("WSetEna", 1)];
    let scene = Scene {
        plan: Plan::of(Map::Der),
        target: Target::SetPoint(watts(3_000)),
        owners: own
            .map(|(point, value)| (Role::Battery, 704, point, value))
            .to_vec(),
    };
    scene.strike_in_every_way(&ALWAYS);
}

#[test]
fn struck_at_any_request_of_an_export_limit_that_holds_back_the_roof() {
    for map in [Map::Storage, Map::Der] {
        let mut plan = Plan::of(map).at_noon();
        plan.charge_permille = 1_000;
        let scene = Scene {
            plan,
            target: Target::ExportLimit(watts(500)),
            owners: Vec::new(),
        };
        scene.strike_in_every_way(&ALWAYS);
    }
}

#[test]
fn struck_at_any_request_to_a_device_with_a_profile() {
    let scene = Scene {
        plan: Plan::of(Map::Sungrow),
        target: Target::SetPoint(watts(3_000)),
        owners: Vec::new(),
    };
    // Without a timer in the device nothing but the agent takes its set-point back: commissioning fails there, and
    // whoever accepts it unproven has been told.
    scene.strike_in_every_way(&[Return::AtOnce, Return::AfterTheEnd]);
}
