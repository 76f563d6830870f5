//! The page as its owner uses it, in a real browser.

mod page_support;

use gridtally_edge::page::OwnerCommand;
use gridtally_edge::page::state::OptOutScope;
use page_support::browser::Browser;
use page_support::{DEADLINE, PASSWORD, Served};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_sets_a_password_sees_the_numbers_and_opts_out_without_javascript() {
    let mut served = Served::start().await;
    let (url, code) = (format!("http://{}", served.address), served.code.clone());
    let states = served.state.clone();

    let browsing = spawn_blocking(move || {
        let mut browser = Browser::start();
        browser.without_javascript();
        browser.size(390, 1000, false);
        browser.open(&url, "/");
        assert!(browser.text().contains("Welcome home"));
        browser.screenshot("phone-welcome");
        browser.type_into("#code", &code.to_lowercase());
        browser.type_into("#password", PASSWORD);
        browser.press("button");
        browser.until("document.body.innerText.includes('Your battery helps the grid')");
        browser.press("a[href=\"/system\"]");
        browser.until("document.body.innerText.includes('heat pump')");
        browser.press("form[action=\"/sign-out\"] button");
        browser.until("document.body.innerText.includes('Welcome back')");
        browser.type_into("#password", PASSWORD);
        browser.press("button");
        browser.until("location.pathname === '/' && document.body.innerText.includes('Evening peak')");
        let text = browser.text();
        for words in [
            "2.5 kW",
            "1.9 kW",
            "3.1 kW",
            "1.3 kW",
            "73 %",
            "18:00 to 20:00",
            "heat pump does not answer",
        ] {
            assert!(text.contains(words), "{words:?} is not in\n{text}");
        }
        pictures(&mut browser, &url);
        browser.size(390, 1000, false);
        browser.open(&url, "/events");
        browser.press("#opt-out");
        browser.until("document.body.innerText.includes('Done.')");
        assert!(
            browser.text().contains("You sit out Evening peak."),
            "{}",
            browser.text()
        );
        browser.screenshot("phone-opted-out");
    });

    let request = timeout(DEADLINE, served.commands.recv()).await.unwrap().unwrap();
    let scope = OptOutScope::Event("01JEVENING".to_owned());
    assert_eq!(request.command, OwnerCommand::OptOut(scope.clone()));
    states.send_modify(|home| home.opt_out = Some(scope));
    request.answer.send(Ok(())).unwrap();
    browsing.await.unwrap();
}

/// What a person judges: no test can. But nothing may stick out of the screen.
fn pictures(browser: &mut Browser, url: &str) {
    let pages = [
        ("/", "now"),
        ("/energy", "energy"),
        ("/energy?month=2026-04", "month"),
        ("/events", "events"),
        ("/earnings", "earnings"),
        ("/system", "system"),
    ];
    for (width, height, dark, device) in [
        (390, 844, false, "phone"),
        (390, 844, true, "phone-dark"),
        (1200, 900, false, "desktop"),
    ] {
        browser.size(width, height, dark);
        for (path, name) in pages {
            browser.open(url, path);
            let wide = browser
                .evaluate("document.documentElement.scrollWidth")
                .as_u64()
                .unwrap();
            assert!(
                wide <= u64::from(width),
                "{path} is {wide} pixels wide on a screen of {width}"
            );
            browser.screenshot(&format!("{device}-{name}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_brings_itself_up_to_date_while_it_is_looked_at() {
    let served = Served::start().await;
    let cookie = served.first_use().await;
    let (url, states) = (format!("http://{}", served.address), served.state.clone());
    spawn_blocking(move || {
        let mut browser = Browser::start();
        browser.size(390, 844, false);
        let (name, value) = cookie.split_once('=').unwrap();
        browser.call(
            "Network.setCookie",
            serde_json::json!({"name": name, "value": value, "url": url}),
        );
        browser.open(&url, "/");
        assert!(browser.text().contains("1.9 kW"));
        states.send_modify(|home| home.power.solar = page_support::watts(4700));
        browser.until("document.body.innerText.includes('4.7 kW')");
    })
    .await
    .unwrap();
}
