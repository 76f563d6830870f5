//! First use, signing in and out.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::{App, failure, html, say};
use crate::page::password::{PasswordError, PasswordStore};
use crate::page::server::Ends;
use crate::page::session::{COOKIE, Token};
use crate::page::views::account as views;

#[derive(Deserialize)]
pub(super) struct FirstUse {
    code: String,
    password: String,
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    password: String,
}

#[derive(Deserialize)]
pub(super) struct Bare {
    pub(super) token: String,
}

pub(super) async fn welcome(State(app): State<Arc<App>>, Extension(ends): Extension<Ends>) -> Response {
    if app.page.passwords.is_set() {
        return Redirect::to("/sign-in").into_response();
    }
    // Makes the code where a reset has taken it away.
    if let Err(e) = app.page.passwords.code() {
        return failure(&e);
    }
    if !ends.at_home() {
        return from_home_only();
    }
    html(StatusCode::OK, views::welcome(None))
}

pub(super) async fn set_password(
    State(app): State<Arc<App>>,
    Extension(ends): Extension<Ends>,
    form: Result<Form<FirstUse>, FormRejection>,
) -> Response {
    if !ends.at_home() {
        return from_home_only();
    }
    let Ok(Form(FirstUse { code, password })) = form else {
        return html(
            StatusCode::BAD_REQUEST,
            views::welcome(Some("Fill in the code and a password.")),
        );
    };
    if let Err(wait) = app.attempts().take(ends.peer, app.now()) {
        return html(
            StatusCode::TOO_MANY_REQUESTS,
            views::welcome(Some(&too_often(wait))),
        );
    }
    match hashing(&app, move |store| store.set_first(&code, &password)).await {
        Some(Ok(())) => {
            app.sessions().end_all();
            enter(&app, ends)
        }
        Some(Err(e @ (PasswordError::Code | PasswordError::Length))) => {
            html(StatusCode::FORBIDDEN, views::welcome(Some(&sentence(&e))))
        }
        Some(Err(PasswordError::AlreadySet)) => Redirect::to("/sign-in").into_response(),
        Some(Err(e)) => failure(&e),
        None => failure(&"the hashing of a password was cut short"),
    }
}

pub(super) async fn sign_in_form(State(app): State<Arc<App>>) -> Response {
    if !app.page.passwords.is_set() {
        return Redirect::to("/welcome").into_response();
    }
    html(StatusCode::OK, views::sign_in(None))
}

pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    Extension(ends): Extension<Ends>,
    form: Result<Form<SignIn>, FormRejection>,
) -> Response {
    let Ok(Form(SignIn { password })) = form else {
        return html(
            StatusCode::BAD_REQUEST,
            views::sign_in(Some("Fill in the password.")),
        );
    };
    if let Err(wait) = app.attempts().take(ends.peer, app.now()) {
        return html(
            StatusCode::TOO_MANY_REQUESTS,
            views::sign_in(Some(&too_often(wait))),
        );
    }
    match hashing(&app, move |store| store.verify(&password)).await {
        Some(Ok(true)) => enter(&app, ends),
        Some(Ok(false)) => html(
            StatusCode::FORBIDDEN,
            views::sign_in(Some("That is not the password.")),
        ),
        Some(Err(e)) => failure(&e),
        None => failure(&"the hashing of a password was cut short"),
    }
}

pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Token>,
    form: Result<Form<Bare>, FormRejection>,
) -> Response {
    match form {
        Ok(Form(Bare { token })) if session.made(&token) => {}
        _ => return stale_form(),
    }
    app.sessions().end(&session);
    let gone = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    ([(header::SET_COOKIE, gone)], Redirect::to("/sign-in")).into_response()
}

fn enter(app: &App, ends: Ends) -> Response {
    app.attempts().forgive(ends.peer);
    let token = app.sessions().start(app.now());
    match token {
        Ok(token) => ([(header::SET_COOKIE, token.cookie())], Redirect::to("/")).into_response(),
        Err(e) => failure(&e),
    }
}

/// Runs one hashing at a time, off the threads that serve.
async fn hashing<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&PasswordStore) -> T + Send + 'static,
) -> Option<T> {
    let _turn = app.hashing.lock().await;
    let app = Arc::clone(app);
    spawn_blocking(move || work(&app.page.passwords)).await.ok()
}

/// A form that no page of this session made, or that is too long or broken.
pub(super) fn stale_form() -> Response {
    say(
        StatusCode::FORBIDDEN,
        "That form is stale",
        "Open the page again and press the button once more.",
    )
}

fn from_home_only() -> Response {
    say(
        StatusCode::FORBIDDEN,
        "Come home first",
        "The first password is set from the home network.",
    )
}

fn too_often(wait: Duration) -> String {
    format!(
        "Too many tries. Wait {} seconds.",
        wait.as_secs().saturating_add(1)
    )
}

fn sentence(error: &PasswordError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}
