//! Faults as lists of actions.

use super::super::injector::{Action, Hearing, Plan, hear, inject};
use super::super::{Link, Reply};
use super::*;
use proptest::prelude::*;

const PDU: [u8; 4] = [3, 2, 0, 5];
const TCP: Reply<'_> = Reply {
    link: Link::Tcp { transaction: 7 },
    unit: 1,
    pdu: &PDU,
};
const RTU: Reply<'_> = Reply {
    link: Link::Rtu,
    unit: 1,
    pdu: &PDU,
};

fn bytes(reply: &Reply<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    reply.encode(&mut out);
    out
}

fn send(bytes: &[u8]) -> Action {
    Action::Send(bytes.to_vec())
}

fn wait(millis: u64) -> Action {
    Action::Wait(Duration::from_millis(millis))
}

fn actions(reply: &Reply<'_>, faults: &[Fault]) -> Vec<Action> {
    inject(reply, faults, None).actions
}

#[test]
fn without_a_fault_a_reply_is_sent_as_it_is() {
    assert_eq!(actions(&TCP, &[]), [send(&read_reply(7, 5))]);
    assert_eq!(actions(&RTU, &[Fault::Frozen, Fault::Busy]), [send(&bytes(&RTU))]);
}

#[test]
fn pieces_and_pauses_are_as_long_as_was_said() {
    let fault = Fault::SplitSegments { bytes: 4, millis: 20 };
    let whole = read_reply(7, 5);
    let expected = [
        send(&whole[..4]),
        wait(20),
        send(&whole[4..8]),
        wait(20),
        send(&whole[8..]),
    ];
    assert_eq!(actions(&TCP, &[fault]), expected);
}

#[test]
fn a_reply_waits_for_the_next_and_both_go_together() {
    let fault = Fault::MergedSegments { millis: 200 };
    let first = inject(&TCP, &[fault], None);
    let whole = bytes(&TCP);
    let held = Plan {
        actions: vec![],
        hold: Some((whole.clone(), Duration::from_millis(200))),
    };
    assert_eq!(first, held);
    let second = inject(&TCP, &[fault], Some(whole.clone()));
    assert_eq!(second.hold, None);
    assert_eq!(second.actions, [send(&whole.repeat(2))]);
    let healed = inject(&TCP, &[], Some(whole.clone()));
    assert_eq!(
        healed.actions,
        [send(&whole.repeat(2))],
        "none is lost when the fault ends"
    );
}

#[test]
fn faults_act_together() {
    let late = Fault::LateReply { millis: 3_000 };
    let whole = bytes(&TCP);
    let both = actions(&TCP, &[Fault::DuplicateReply, late]);
    assert_eq!(both, [wait(3_000), send(&whole), send(&whole)]);
    let torn = actions(&TCP, &[Fault::DropMidReply, Fault::DuplicateReply, late]);
    assert_eq!(torn, [wait(3_000), send(&whole[..5]), Action::Close]);
    let torn = actions(&RTU, &[Fault::DropMidReply]);
    assert_eq!(torn, [send(&bytes(&RTU)[..3])], "a serial line cannot be closed");
}

#[test]
fn an_exception_stays_one_under_another_function() {
    let exception = Reply {
        pdu: &[0x90, 2],
        ..TCP
    };
    let expected = [0, 7, 0, 0, 0, 3, 1, 0x86, 2];
    assert_eq!(actions(&exception, &[Fault::ForeignFunction]), [send(&expected)]);
}

#[test]
fn a_length_can_be_too_small_as_well() {
    let shorter = actions(&TCP, &[Fault::WrongFrameLength { by: -4 }]);
    assert_eq!(shorter, [send(&[0, 7, 0, 0, 0, 1, 1, 3, 2, 0, 5])]);
}

#[test]
fn a_request_is_heard_unless_a_fault_is_in_the_way() {
    let tcp = TCP.link;
    let young = Duration::from_millis(1_999);
    let old = Duration::from_secs(2);
    let deaf = [Fault::DeafAfterConnect { millis: 2_000 }];
    assert_eq!(hear(tcp, &deaf, &[], young), Hearing::Swallowed);
    assert_eq!(hear(tcp, &[], &deaf, young), Hearing::Swallowed);
    assert_eq!(hear(tcp, &deaf, &[], old), Hearing::Heard);
    assert_eq!(hear(Link::Rtu, &deaf, &deaf, young), Hearing::Heard);
    let offline = [Fault::Offline];
    assert_eq!(hear(tcp, &offline, &offline, old), Hearing::Closed);
    assert_eq!(hear(tcp, &[], &offline, old), Hearing::Unreachable);
    assert_eq!(hear(Link::Rtu, &[], &offline, old), Hearing::Swallowed);
    assert_eq!(hear(tcp, &[], &[Fault::Silent], old), Hearing::Swallowed);
    assert_eq!(hear(tcp, &[], &[Fault::BadCrc], old), Hearing::Heard);
}

/// Any fault of the catalogue with any parameters.
fn any_fault() -> impl Strategy<Value = Fault> {
    let parameter = prop_oneof![Just(i64::MIN), Just(i64::MAX), -3..300_i64];
    (0..Fault::ALL.len(), prop::collection::vec(parameter, 3)).prop_map(|(n, values)| {
        let mut fault = Fault::ALL[n].fault;
        for (parameter, value) in Fault::ALL[n].parameters.iter().zip(values) {
            fault.set(parameter.name, value).unwrap();
        }
        fault
    })
}

proptest! {
    #[test]
    fn no_faults_together_make_the_injector_panic_or_lose_what_it_held(
        faults in prop::collection::vec(any_fault(), 0..6),
        pdu in prop::collection::vec(any::<u8>(), 1..=253),
        rtu: bool,
        held in prop::option::of(prop::collection::vec(any::<u8>(), 1..20)),
    ) {
        let link = if rtu { Link::Rtu } else { Link::Tcp { transaction: 7 } };
        let reply = Reply { link, unit: 1, pdu: &pdu };
        let plan = inject(&reply, &faults, held.clone());
        let sent: Vec<u8> = plan.actions.iter().flat_map(|action| match action {
            Action::Send(bytes) => bytes.clone(),
            Action::Wait(_) | Action::Close => Vec::new(),
        }).collect();
        if let Some(held) = held {
            prop_assert!(sent.starts_with(&held));
            prop_assert!(plan.hold.is_none());
        }
        let closes = plan.actions.contains(&Action::Close);
        prop_assert_eq!(closes, !rtu && faults.contains(&Fault::DropMidReply));
        let day = Duration::from_secs(86_400);
        prop_assert!(plan.actions.iter().all(|action| !matches!(action, Action::Wait(pause) if *pause > day)));
    }
}
