//! `gridtally edge dump`: what it writes is a recording, and the recording is the device.

mod support;

use std::net::SocketAddr;
use std::path::Path;

use gridtally_edge::config::profiles;
use gridtally_edge::show::{self, Target};
use gridtally_simulators::record::Recording;
use gridtally_simulators::{
    Device, DeviceSpec, Fault, Generation, Home, HomeSpec, Layer, Phases, Role, Server,
};

const NOON: i64 = 1_782_043_200;
const SERIAL: &str = "SN-4711-0815";

fn home(device: DeviceSpec) -> Home {
    let mut spec = HomeSpec::draw(7);
    spec.devices = vec![device];
    let mut home = Home::new(spec, NOON - 600);
    home.advance_to(NOON);
    home
}

fn spec(role: Role, generation: Generation) -> DeviceSpec {
    let mut spec = DeviceSpec::new(role, SERIAL);
    spec.speak(generation, Phases::Three);
    spec
}

async fn serve(device: &Device) -> Server {
    device.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap()
}

fn target(server: &Server, unit: u8) -> Target {
    Target::at(
        format!("tcp://{}?unit={unit}", server.address()).parse().unwrap(),
        None,
    )
}

#[tokio::test]
async fn a_recording_holds_every_register_and_reads_back_as_the_device() {
    for (role, generation) in [
        (Role::Hybrid, Generation::All),
        (Role::Meter, Generation::Float),
        (Role::Battery, Generation::Integer),
    ] {
        let home = home(spec(role, generation));
        let device = &home.devices()[0];
        let server = serve(device).await;
        let target_of_device = target(&server, 1);
        let seen = show::look(&target_of_device).await.unwrap();
        let dump = show::dump(&target_of_device, true).await.unwrap();
        let recording = Recording::parse(&dump.text, "dump.json").unwrap();
        assert_eq!(
            (recording.unit, recording.base, recording.redacted),
            (1, Some(40_000), false)
        );
        for (table, address, words) in device.registers().blocks() {
            let block = recording
                .blocks
                .iter()
                .find(|block| (block.table, block.address) == (table, address));
            assert_eq!(
                block.map(|block| block.words.as_slice()),
                Some(words),
                "{role:?} at {address}"
            );
        }

        let replayed = Device::replay(&recording, "replayed");
        let replay = serve(&replayed).await;
        assert_eq!(show::look(&target(&replay, 1)).await.unwrap(), seen);
    }
}

#[tokio::test]
async fn a_profile_is_taken_down_by_its_blocks() {
    for (name, _) in profiles::SHIPPED {
        let profile = profiles::load(name, Path::new("")).unwrap();
        let home = home(DeviceSpec::profiled(profile.clone(), "SN12345678"));
        let device = &home.devices()[0];
        let server = serve(device).await;
        let mut target_of_device = target(&server, device.unit());
        target_of_device.profile = Some(profile.clone());
        let seen = show::look(&target_of_device).await.unwrap();
        let dump = show::dump(&target_of_device, true).await.unwrap();
        let replayed = Device::replay(&Recording::parse(&dump.text, name).unwrap(), *name);
        let replay = serve(&replayed).await;
        let mut target_of_replay = target(&replay, device.unit());
        target_of_replay.profile = Some(profile);
        let again = show::look(&target_of_replay).await.unwrap();
        let values = |sight: &show::Sight| {
            sight.models[0]
                .points
                .iter()
                .map(|point| point.raw.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(values(&again), values(&seen), "{name}");
    }
}

#[tokio::test]
async fn serial_numbers_are_taken_out_and_everything_else_stays() {
    let home = home(spec(Role::Inverter, Generation::Integer));
    let device = &home.devices()[0];
    let server = serve(device).await;
    let open = show::dump(&target(&server, 1), true).await.unwrap();
    let closed = show::dump(&target(&server, 1), false).await.unwrap();
    let parse = |text: &str| Recording::parse(text, "dump.json").unwrap();
    let text = |recording: &Recording| {
        let words = recording.blocks.iter().flat_map(|block| &block.words);
        let bytes: Vec<u8> = words.flat_map(|word| word.to_be_bytes()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (open, closed_recording) = (parse(&open.text), parse(&closed.text));
    assert!(text(&open).contains(SERIAL) && !text(&closed_recording).contains(SERIAL));
    assert!(closed_recording.redacted && closed.redacted > 0);
    let differing = open.blocks[0].words.iter().zip(&closed_recording.blocks[0].words);
    assert!(
        differing.filter(|(a, b)| a != b).count() <= 16,
        "only the registers of SN"
    );
}

#[tokio::test]
async fn what_the_device_refuses_is_noted_and_the_rest_is_there() {
    let home = home(spec(Role::Inverter, Generation::Integer));
    let device = &home.devices()[0];
    device.inject(Fault::SmallReads { registers: 10 });
    let server = serve(device).await;
    let dump = show::dump(&target(&server, 1), true).await.unwrap();
    let recording = Recording::parse(&dump.text, "dump.json").unwrap();
    let all: usize = device.registers().blocks().map(|(_, _, words)| words.len()).sum();
    assert!(
        recording.registers() + 2 >= all,
        "{} of {all}",
        recording.registers()
    );
    assert!(
        dump.requests.1 > 0 && dump.text.contains("the device refuses"),
        "{}",
        dump.text
    );
}

#[tokio::test]
async fn a_chain_that_lies_or_never_ends_is_taken_down_as_far_as_it_goes() {
    for description in Fault::ALL.iter().filter(|it| it.layer == Layer::Map) {
        let home = home(spec(Role::Inverter, Generation::Integer));
        let device = &home.devices()[0];
        device.inject(description.fault);
        let server = serve(device).await;
        let dump = show::dump(&target(&server, 1), false).await.unwrap();
        let recording = Recording::parse(&dump.text, description.name).unwrap();
        assert!(
            recording.registers() >= 4 && dump.requests.0 < 2_000,
            "{}: {dump:?}",
            description.name
        );
        let words: Vec<u16> = recording
            .blocks
            .iter()
            .flat_map(|block| block.words.clone())
            .collect();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        assert!(
            !String::from_utf8_lossy(&bytes).contains(SERIAL),
            "{}",
            description.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_writes_the_file_whole() {
    let home = home(spec(Role::Meter, Generation::Integer));
    let server = serve(&home.devices()[0]).await;
    let place = support::Place::new("dump");
    let file = place.path().join("meter.json");
    let output = tokio::task::block_in_place(|| {
        std::process::Command::new(support::program())
            .args(["edge", "dump", &server.address().to_string(), "-o"])
            .arg(&file)
            .output()
            .unwrap()
    });
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let recording = Recording::parse(&std::fs::read_to_string(&file).unwrap(), "meter.json").unwrap();
    assert!(recording.redacted && recording.registers() > 100);
    assert_eq!(
        std::fs::read_dir(place.path()).unwrap().count(),
        1,
        "no part is left"
    );
}
