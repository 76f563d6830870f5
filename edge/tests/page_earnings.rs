//! What was earned, unfolded by its owner in a real browser.

mod page_support;

use page_support::Served;
use page_support::browser::Browser;
use serde_json::json;
use tokio::task::spawn_blocking;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_intervals_of_an_event_unfold_without_javascript_and_fit_the_screen() {
    let served = Served::start().await;
    let cookie = served.first_use().await;
    let url = format!("http://{}", served.address);
    spawn_blocking(move || {
        let mut browser = Browser::start();
        browser.without_javascript();
        let (name, value) = cookie.split_once('=').unwrap();
        browser.call(
            "Network.setCookie",
            json!({"name": name, "value": value, "url": url}),
        );
        for (width, device) in [(390, "phone"), (1200, "desktop")] {
            browser.size(width, 900, false);
            browser.open(&url, "/earnings");
            assert!(!browser.text().contains("0.202500"), "{}", browser.text());
            browser.press("summary");
            browser.until("document.body.innerText.includes('0.202500')");
            assert!(browser.text().contains("what the meter counted is not known"));
            let wide = browser.evaluate("document.documentElement.scrollWidth");
            assert_eq!(wide.as_u64(), Some(width.into()));
            browser.screenshot(&format!("{device}-earnings-unfolded"));
        }
    })
    .await
    .unwrap();
}
