//! What is answered: doors first, then pages.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::time::timeout;
use tracing::warn;

use super::attempts::Attempts;
use super::guard::{SECURITY_HEADERS, host_is_ours, is_same_origin};
use super::html::Html;
use super::server::Ends;
use super::session::{Sessions, Token};
use super::views::account::message;
use super::{Page, metrics};

mod account;
mod home;

/// How long an answer may take; a password takes a good second on a small box.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The forms are short.
const BODY_LEN_MAX: usize = 4 * 1024;

/// What the handlers share.
#[derive(Debug)]
pub struct App {
    pub(super) page: Page,
    sessions: Mutex<Sessions>,
    attempts: Mutex<Attempts>,
    /// One password is hashed at a time: that is 7 MiB, not 7 MiB for each who asks.
    hashing: tokio::sync::Mutex<()>,
    start: Instant,
}

impl App {
    /// A page to which nobody is signed in.
    #[must_use]
    pub fn new(page: Page) -> Self {
        Self {
            page,
            sessions: Mutex::default(),
            attempts: Mutex::default(),
            hashing: tokio::sync::Mutex::default(),
            start: Instant::now(),
        }
    }

    /// Time that no clock change moves.
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    // Nothing that can panic runs under these locks.
    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All routes, behind all doors.
pub fn router(app: Arc<App>) -> Router {
    let signed_in = Router::new()
        .route("/", get(home::now))
        .route("/energy", get(home::energy))
        .route("/events", get(home::events))
        .route("/earnings", get(home::earnings))
        .route("/system", get(home::system))
        .route("/opt-out", post(home::opt_out))
        .route("/opt-in", post(home::opt_in))
        .route("/sign-out", post(account::sign_out))
        .layer(from_fn_with_state(Arc::clone(&app), signed_in_only));
    Router::new()
        .merge(signed_in)
        .route("/welcome", get(account::welcome).post(account::set_password))
        .route("/sign-in", get(account::sign_in_form).post(account::sign_in))
        .route("/metrics", get(prometheus))
        .route(
            "/style.css",
            get(|| async { asset("text/css; charset=utf-8", include_str!("assets/style.css")) }),
        )
        .route(
            "/refresh.js",
            get(|| async {
                asset(
                    "text/javascript; charset=utf-8",
                    include_str!("assets/refresh.js"),
                )
            }),
        )
        .route(
            "/icon.svg",
            get(|| async { asset("image/svg+xml", include_str!("assets/icon.svg")) }),
        )
        .fallback(|| async { say(StatusCode::NOT_FOUND, "Not here", "There is no such page.") })
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .layer(from_fn_with_state(Arc::clone(&app), front_door))
        .with_state(app)
}

/// Which requests get in at all, and what every answer carries.
async fn front_door(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let changes = !request.method().is_safe();
    let mut response = if !host_is_ours(host, &app.page.config.names) {
        let text = "This box does not answer to that name. Use its address, a name under .local, or add the name to `names` under [page] in agent.toml.";
        say(StatusCode::MISDIRECTED_REQUEST, "Not my name", text)
    } else if changes && !is_same_origin(headers) {
        say(
            StatusCode::FORBIDDEN,
            "Not from here",
            "That form was not sent by this page.",
        )
    } else {
        timeout(ANSWER_WITHIN, next.run(request))
            .await
            .unwrap_or_else(|_| {
                say(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Too slow",
                    "The box took too long. Try again in a moment.",
                )
            })
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Leads everybody else to where they can sign in.
async fn signed_in_only(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    if !app.page.passwords.is_set() {
        // After a reset on the box nobody stays signed in.
        app.sessions().end_all();
        return Redirect::to("/welcome").into_response();
    }
    let Some(token) = session_of(&app, request.headers()) else {
        return Redirect::to("/sign-in").into_response();
    };
    request.extensions_mut().insert(token);
    next.run(request).await
}

fn session_of(app: &App, headers: &HeaderMap) -> Option<Token> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    app.sessions().of(cookies, app.now())
}

async fn prometheus(State(app): State<Arc<App>>, Extension(ends): Extension<Ends>) -> Response {
    if !app.page.config.metrics || !ends.at_home() {
        return say(StatusCode::NOT_FOUND, "Not here", "There is no such page.");
    }
    let text = metrics::render(&app.page.state.borrow(), &app.page.metrics);
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    // Short: an update of the agent changes them under the same name.
    (
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "max-age=300"),
        ],
        text,
    )
}

fn html(status: StatusCode, page: Html) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
        page.into_string(),
    )
        .into_response()
}

fn say(status: StatusCode, title: &str, text: &str) -> Response {
    html(status, message(title, text))
}

/// A failure that is ours: the log has what it was.
fn failure(what: &dyn std::fmt::Display) -> Response {
    warn!("the page failed: {what}");
    say(
        StatusCode::INTERNAL_SERVER_ERROR,
        "That did not work",
        "The box could not do this. Its log says why.",
    )
}
