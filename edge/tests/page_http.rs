//! The page as a stranger in the network meets it: byte by byte.

mod page_support;

use gridtally_edge::page::OwnerCommand;
use gridtally_edge::page::state::OptOutScope;
use page_support::{DEADLINE, PASSWORD, Served};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PAGES: [&str; 7] = [
    "/",
    "/energy",
    "/energy?month=2026-04",
    "/events",
    "/earnings",
    "/earnings?page=2",
    "/system",
];

#[tokio::test]
async fn nobody_reads_a_page_without_a_password() {
    let served = Served::start().await;
    for path in PAGES {
        assert_eq!(
            served.get(path, "").await.header("location"),
            Some("/welcome"),
            "{path}"
        );
    }
    let cookie = served.first_use().await;
    for path in PAGES {
        for none in ["", "gridtally_session=", "gridtally_session=0000", "a=b"] {
            let answer = served.get(path, none).await;
            assert_eq!(
                (answer.status(), answer.header("location")),
                (303, Some("/sign-in")),
                "{path}"
            );
        }
        let answer = served.get(path, &cookie).await;
        assert_eq!(answer.status(), 200, "{path}: {answer:?}");
        assert!(
            answer.body().len() < 60 * 1024,
            "{path} has {} bytes",
            answer.body().len()
        );
    }
    let answer = served.get("/energy?day=2026-99-01&month=x", &cookie).await;
    assert!(answer.body().contains("<h1>Today</h1>"), "{answer:?}");
}

#[tokio::test]
async fn every_answer_carries_its_guards_and_nothing_comes_from_elsewhere() {
    let served = Served::start().await;
    let cookie = served.first_use().await;
    for path in PAGES.iter().chain(&["/sign-in", "/nowhere", "/metrics"]) {
        let answer = served.get(path, &cookie).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{path}"
        );
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        for outside in ["http://", "https://", "//cdn", " style=", " onclick="] {
            assert!(!answer.body().contains(outside), "{path} has {outside}");
        }
    }
    assert!(
        served
            .get("/system", &cookie)
            .await
            .body()
            .contains("roof &lt;south&gt;")
    );
}

#[tokio::test]
async fn the_session_is_a_cookie_that_no_script_and_no_other_site_gets() {
    let served = Served::start().await;
    served.first_use().await;
    let form = format!("password={}", PASSWORD.replace(' ', "+"));
    let answer = served.post("/sign-in", "", &form).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(cookie.len(), "gridtally_session=".len() + 64);
    let token = served.get("/system", cookie).await.form_token().to_owned();
    let answer = served.post("/sign-out", cookie, &format!("token={token}")).await;
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(served.get("/", cookie).await.status(), 303);
}

#[tokio::test]
async fn a_name_that_is_not_ours_gets_nothing() {
    let served = Served::start_with("names = [\"energy.home.example\"]").await;
    for (host, status) in [
        ("evil.example", 421),
        ("energy.home.example", 303),
        ("box.local:8321", 303),
        ("", 421),
    ] {
        let answer = served
            .ask(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        assert_eq!(answer.status(), status, "{host}");
    }
}

#[tokio::test]
async fn guesses_are_bounded_and_do_not_lock_out_who_is_in() {
    let served = Served::start().await;
    let cookie = served.first_use().await;
    for _ in 0..5 {
        assert_eq!(served.post("/sign-in", "", "password=wrong").await.status(), 403);
    }
    let form = format!("password={}", PASSWORD.replace(' ', "+"));
    let answer = served.post("/sign-in", "", &form).await;
    assert_eq!(answer.status(), 429);
    assert!(answer.body().contains("Too many tries"));
    assert_eq!(served.get("/", &cookie).await.status(), 200);
}

#[tokio::test]
async fn a_wrong_code_sets_no_password() {
    let served = Served::start().await;
    for form in [
        "code=AAAAA-AAAAA&password=correct+horse",
        "code=&password=",
        "password=x",
        "",
    ] {
        let answer = served.post("/welcome", "", form).await;
        assert!(matches!(answer.status(), 400 | 403), "{form}");
    }
    assert!(!served.passwords.is_set());
    served.first_use().await;
    let again = served
        .post(
            "/welcome",
            "",
            &format!("code={}&password=another+password", served.code),
        )
        .await;
    assert_eq!(again.header("location"), Some("/sign-in"));
    assert!(served.passwords.verify(PASSWORD).unwrap());
}

#[tokio::test]
async fn after_a_reset_nobody_stays_signed_in() {
    let served = Served::start().await;
    let cookie = served.first_use().await;
    served.passwords.reset().unwrap();
    assert_eq!(
        served.get("/", &cookie).await.header("location"),
        Some("/welcome")
    );
    let code = served.passwords.code().unwrap().unwrap();
    let form = format!("code={code}&password=a+new+password");
    assert_eq!(served.post("/welcome", "", &form).await.status(), 303);
    assert_eq!(
        served.get("/", &cookie).await.header("location"),
        Some("/sign-in")
    );
}

#[tokio::test]
async fn the_button_works_only_with_the_token_and_from_this_page() {
    let mut served = Served::start().await;
    let cookie = served.first_use().await;
    let token = served.get("/events", &cookie).await.form_token().to_owned();
    let form = format!("token={token}&scope=event&event=01JEVENING");
    for (form, headers) in [
        ("scope=day", ""),
        ("token=0000&scope=day", ""),
        ("token=&scope=day", ""),
        (&*form, "Origin: http://evil.example\r\n"),
        (&*form, "Sec-Fetch-Site: cross-site\r\n"),
        (&*format!("token={token}&scope=for-ever"), ""),
        (&*format!("token={token}&scope=event"), ""),
    ] {
        assert_eq!(
            served
                .post_with("/opt-out", &cookie, form, headers)
                .await
                .status(),
            403,
            "{form} {headers}"
        );
    }
    assert!(served.commands.try_recv().is_err());
    assert_eq!(
        served.post("/opt-out", "", &form).await.header("location"),
        Some("/sign-in")
    );

    let mut commands = std::mem::replace(&mut served.commands, tokio::sync::mpsc::channel(1).1);
    let press = async {
        let done = served.post("/opt-out", &cookie, &form).await;
        let week = served
            .post("/opt-out", &cookie, &format!("token={token}&scope=week"))
            .await;
        let refused = served.post("/opt-in", &cookie, &format!("token={token}")).await;
        (done, week, refused)
    };
    let agent = async {
        let request = commands.recv().await.unwrap();
        assert_eq!(
            request.command,
            OwnerCommand::OptOut(OptOutScope::Event("01JEVENING".to_owned()))
        );
        request.answer.send(Ok(())).unwrap();
        let request = commands.recv().await.unwrap();
        let until = page_support::at("2026-04-16T16:20:00Z");
        assert_eq!(request.command, OwnerCommand::OptOut(OptOutScope::Until(until)));
        request.answer.send(Ok(())).unwrap();
        let request = commands.recv().await.unwrap();
        assert_eq!(request.command, OwnerCommand::OptIn);
        request
            .answer
            .send(Err("the battery <failed>".to_owned()))
            .unwrap();
    };
    let ((done, week, refused), ()) = timeout(DEADLINE, async { tokio::join!(press, agent) })
        .await
        .unwrap();
    assert_eq!(
        (done.status(), done.header("location")),
        (303, Some("/?said=out"))
    );
    assert_eq!(week.status(), 303);
    assert_eq!(refused.status(), 409);
    assert!(refused.body().contains("the battery &lt;failed&gt;"));
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let served = Served::start().await;
    let long = format!("password={}", "x".repeat(8 * 1024));
    assert_eq!(served.post("/sign-in", "", &long).await.status(), 400);
    let header = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n",
        "x".repeat(20 * 1024)
    );
    assert_eq!(served.ask(&header).await.status(), 431);
    let many: String = (0..100).map(|i| format!("X-{i}: y\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n");
    assert_eq!(served.ask(&many).await.status(), 431);
}

#[tokio::test]
async fn who_is_silent_is_hung_up_on() {
    let served = Served::start().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
    let mut rest = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut rest))
        .await
        .expect("the page hangs up")
        .unwrap();
}

#[tokio::test]
async fn prometheus_reads_without_a_password_only_where_the_owner_wants_it() {
    let served = Served::start().await;
    let answer = served.get("/metrics", "").await;
    assert_eq!(answer.status(), 200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(
        answer.body().contains("\ngridtally_solar_watts 1940.000\n"),
        "{}",
        answer.body()
    );
    assert!(
        answer
            .body()
            .contains("\ngridtally_device_up{device=\"heat pump\"} 0\n")
    );
    let closed = Served::start_with("metrics = false").await;
    assert_eq!(closed.get("/metrics", "").await.status(), 404);
}

#[tokio::test]
async fn what_was_earned_is_told_to_the_last_digit_with_the_reason_of_every_zero() {
    let served = Served::start().await;
    let cookie = served.first_use().await;
    let page = served.get("/earnings", &cookie).await;
    let body = page.body();
    // 21 × 0.2025 + 0.000001 of the evening, and 9 × 24 × 0.2 and a little of those before.
    for words in [
        "<p class=\"big\">47.453365 <small>FLEX</small></p>",
        "in 11 events",
        "<h2>evening peak</h2>",
        "<p class=\"amount\">4.252501 <small>FLEX</small></p>",
        "Corrected",
        "<dt>Would have used</dt><dd>2.305501 kWh</dd>",
        "<dt>Used</dt><dd>−1.925 kWh</dd>",
        "<dt>Credited</dt><dd>4.252501 kWh</dd>",
        "Nothing for 1 of 24 intervals: what the meter counted is not known.",
        "Nothing for 1 of 24 intervals: the home used no less than usual.",
        "<summary>Each of the 24 intervals of 5 min</summary>",
        "<tr><th scope=\"row\">18:00</th><td>0.202500</td><td>0.2025</td><td>0.1025</td><td>−0.1</td></tr>",
        "<p class=\"amount\">0.000000 <small>FLEX</small></p>",
        "this home took no part: you or your settings opted out.",
    ] {
        assert!(body.contains(words), "{words:?} is not in\n{body}");
    }
    assert!(!body.contains("evening 8") && body.contains("/earnings?page=2"));
    let second = served.get("/earnings?page=2", &cookie).await;
    assert!(second.body().contains("<h2>evening 8</h2>") && !second.body().contains("evening peak"));
    for beyond in ["page=0", "page=99999999999", "page=x", "page=-1"] {
        let answer = served.get(&format!("/earnings?{beyond}"), &cookie).await;
        assert_eq!(answer.status(), 200, "{beyond}");
    }
    let metrics = served.get("/metrics", "").await;
    assert!(
        metrics
            .body()
            .contains("\ngridtally_earned_tokens{asset=\"FLEX\"} 47.453365\n"),
        "{metrics:?}"
    );
    assert!(metrics.body().contains("\ngridtally_statements 11\n"));
}
