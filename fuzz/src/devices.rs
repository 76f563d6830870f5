//! What people and devices hand to the device lab: profiles, recordings, requests.

use gridtally_registers::profile::{Poll, Profile};
use gridtally_simulators::record::{Recording, redact};
use gridtally_simulators::{Device, DeviceSpec, Fault, Generation, Home, HomeSpec, Phases, Role};
use std::sync::LazyLock;

/// A profile is read or refused; what is read can be planned and decoded.
pub fn profile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(profile) = Profile::parse(text, "fuzz.toml") else { return };
    for poll in [Poll::Fast, Poll::Slow, Poll::Once, Poll::Never] {
        for block in profile.blocks(poll) {
            assert!(block.count <= profile.max_registers);
        }
    }
    for point in &profile.points {
        let _ = point.decode(&vec![0x5555; usize::from(point.length())]);
    }
}

/// A recording is read or refused; what is read is written back with the same meaning, can be redacted
/// and served.
pub fn recording(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(mut recording) = Recording::parse(text, "fuzz.json") else { return };
    assert_eq!(Recording::parse(&recording.to_json(), "fuzz.json").as_ref(), Ok(&recording));
    let device = Device::replay(&recording, "fuzz");
    device.advance_to(1_000);
    redact(&mut recording, &["secret".to_owned()]);
}

/// No request makes a device fall over, with or without a fault; a reply is no longer than a frame
/// can carry. The first byte says which fault.
pub fn request(bytes: &[u8]) {
    static DEVICE: LazyLock<Device> = LazyLock::new(|| {
        let mut spec = HomeSpec::draw(1);
        let mut hybrid = DeviceSpec::new(Role::Hybrid, "FUZZ");
        hybrid.speak(Generation::All, Phases::Three);
        spec.devices = vec![hybrid];
        Home::new(spec, 0).devices()[0].clone()
    });
    let Some((which, pdu)) = bytes.split_first() else { return };
    DEVICE.clear_faults();
    if let Some(line) = Fault::ALL.get(usize::from(*which)) {
        DEVICE.inject(line.fault);
    }
    if let Some(reply) = DEVICE.answer_pdu(pdu) {
        assert!(!reply.is_empty() && reply.len() <= 253, "{} bytes", reply.len());
        assert_eq!(reply[0] & 0x7F, pdu[0] & 0x7F);
    }
}
