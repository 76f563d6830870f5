//! The owner at home, with everything real but the house: the agent is a process in real time, the broker is a
//! mosquitto, the instruction is signed, and the owner sits in front of a browser.

#[path = "../../edge/tests/page_support/browser.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod browser;
mod engine;
mod house;
#[path = "../../link/tests/support/mosquitto.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mosquitto;

use std::time::Duration;

use browser::Browser;
use engine::Engine;
use gridtally_protocol::acknowledgement::{Declined, Stage};
use house::House;
use mosquitto::Mosquitto;
use tokio::task::spawn_blocking;

/// Long enough for a machine under load; nothing waits for it when all is well.
const DEADLINE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "correct horse battery";
const ASKED_WATTS: i64 = 4_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_opts_out_on_the_page_during_an_event_and_the_battery_returns() {
    let broker = Mosquitto::start().await;
    let house = House::start(broker.address, engine::identity()).await;
    let before = house.setting();
    assert_eq!(house.strays_by_watts(), 0, "nobody has asked it for anything");

    let mut engine = Engine::start(broker.address, house::identity()).await;
    let asked = engine.asks_to_discharge(ASKED_WATTS);
    engine
        .tells(&asked, "observed", |stage| {
            matches!(stage, Stage::Observed { .. })
        })
        .await;
    assert_ne!(house.setting(), before);
    assert!(house.battery_is_within(ASKED_WATTS, 100));

    let (url, code) = (house.page(), house.code());
    let mut browser = spawn_blocking(move || sees_the_event_and_opts_out(&url, &code))
        .await
        .unwrap();

    engine
        .tells(&asked, "opted out", |stage| {
            stage == Stage::Stopped(Declined::OwnerOptOut)
        })
        .await;
    engine
        .tells(&asked, "restored", |stage| stage == Stage::Restored)
        .await;
    house
        .until("the registers are the owner's", |house| house.setting() == before)
        .await;
    // As if no agent had ever been there.
    house
        .until("the battery does what the owner set", |house| {
            house.strays_by_watts() < 50
        })
        .await;

    let url = house.page();
    spawn_blocking(move || sees_that_the_battery_is_back(&mut browser, &url))
        .await
        .unwrap();
    assert_eq!(house.setting(), before);
}

fn sees_the_event_and_opts_out(url: &str, code: &str) -> Browser {
    let mut browser = Browser::start();
    browser.size(1200, 900, false);
    browser.open(url, "/");
    browser.type_into("#code", code);
    browser.type_into("#password", PASSWORD);
    browser.press("button");
    browser.until("document.body.innerText.includes('Now: evening peak')");
    browser.until("document.body.innerText.includes('the meter shows it')");
    browser.until("document.body.innerText.includes('There is no connection') === false");
    let text = browser.text();
    for words in ["Taking part", "4.0 kW", "Opt out now", "60 %"] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    pictures(&mut browser, url, "during-event");
    browser.press("#opt-out");
    browser.until("document.body.innerText.includes('Done.')");
    browser
}

fn sees_that_the_battery_is_back(browser: &mut Browser, url: &str) {
    browser.open(url, "/");
    browser.until("document.body.innerText.includes('back at your setting')");
    // What the devices show is read again at the next tick.
    browser.until("document.body.innerText.includes('giving 4.0 kW') === false");
    let text = browser.text();
    for words in [
        "Ended early you opted out",
        "You take a break until",
        "Take part again",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    assert!(!text.contains("Taking part"), "{text}");
    pictures(browser, url, "opted-out");
}

/// What a person judges: no test can. But nothing may stick out of the screen.
fn pictures(browser: &mut Browser, url: &str, moment: &str) {
    for (device, width, height) in [("desktop", 1200, 900), ("phone", 390, 844)] {
        browser.size(width, height, false);
        browser.open(url, "/");
        let wide = browser.evaluate("document.documentElement.scrollWidth").as_u64();
        assert!(
            wide.is_some_and(|wide| wide <= u64::from(width)),
            "{device}: {wide:?}"
        );
        browser.screenshot(&format!("{device}-{moment}"));
    }
}
