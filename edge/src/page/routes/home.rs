//! The pages of the home, and the owner's button.

use std::sync::{Arc, PoisonError};

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use chrono::NaiveDate;
use gridtally_protocol::quantity::Overflow;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::account::{Bare, stale_form};
use super::{App, failure, html, say};
use crate::history::chart::{Bar, hours, month};
use crate::history::days::{day_of, month_of};
use crate::history::{History, HistoryError};
use crate::page::command::{self, OwnerCommand};
use crate::page::html::Html;
use crate::page::session::Token;
use crate::page::state::{HomeState, OptOutScope};
use crate::page::views::energy::{Period, energy_page};
use crate::page::views::now::notice;
use crate::page::views::{self, View};

const DAY_SECONDS: i64 = 86_400;

#[derive(Deserialize)]
pub(super) struct Said {
    said: Option<String>,
}

#[derive(Deserialize, Default)]
pub(super) struct Chosen {
    day: Option<String>,
    month: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Paged {
    #[serde(default = "first")]
    page: usize,
}

const fn first() -> usize {
    1
}

#[derive(Deserialize)]
pub(super) struct OptOut {
    token: String,
    scope: String,
    event: Option<String>,
}

pub(super) async fn now(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Token>,
    said: Result<Query<Said>, QueryRejection>,
) -> Response {
    let home = current(&app);
    let today = day_of(home.time, &app.page.config.zone);
    let hours = match bars(&app, Period::Day(today)).await {
        Ok(hours) => hours,
        Err(e) => return failure(&e),
    };
    let said = said
        .ok()
        .and_then(|Query(q)| q.said)
        .and_then(|said| match said.as_str() {
            "out" => Some(notice("done", "Done. Your battery does what you set it to.")),
            "in" => Some(notice("done", "Done. Your battery takes part again.")),
            _ => None,
        });
    show(&app, &session, &home, |view| views::now::now(view, said, &hours))
}

pub(super) async fn energy(
    State(app): State<Arc<App>>,
    chosen: Result<Query<Chosen>, QueryRejection>,
) -> Response {
    let today = day_of(app.page.state.borrow().time, &app.page.config.zone);
    // A day that is none, or not yet, is today.
    let past = |text: String| text.parse::<NaiveDate>().ok().filter(|day| *day <= today);
    let Chosen { day, month } = chosen.map(|Query(chosen)| chosen).unwrap_or_default();
    let day = day.and_then(past).unwrap_or(today);
    let first = month.and_then(|text| past(format!("{text}-01")));
    let period = first.map_or(Period::Day(day), Period::Month);
    let bars = match bars(&app, period).await {
        Ok(bars) => bars,
        Err(e) => return failure(&e),
    };
    energy_page(period, today, &bars).map_or_else(|e| failure(&e), |page| html(StatusCode::OK, page))
}

pub(super) async fn events(State(app): State<Arc<App>>, Extension(session): Extension<Token>) -> Response {
    show(&app, &session, &current(&app), |view| {
        Ok(views::events::events(view))
    })
}

pub(super) async fn earnings(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Token>,
    chosen: Result<Query<Paged>, QueryRejection>,
) -> Response {
    let number = chosen.map_or(1, |Query(chosen)| chosen.page);
    show(&app, &session, &current(&app), |view| {
        Ok(views::earnings::earnings(view, number))
    })
}

pub(super) async fn system(State(app): State<Arc<App>>, Extension(session): Extension<Token>) -> Response {
    show(&app, &session, &current(&app), |view| {
        Ok(views::system::system(view))
    })
}

pub(super) async fn opt_out(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Token>,
    form: Result<Form<OptOut>, FormRejection>,
) -> Response {
    let Ok(Form(form)) = form else {
        return stale_form();
    };
    if !session.made(&form.token) {
        return stale_form();
    }
    let now = app.page.state.borrow().time;
    let until = |days: i64| {
        now.checked_add(days.saturating_mul(DAY_SECONDS))
            .map(OptOutScope::Until)
    };
    let scope = match (form.scope.as_str(), form.event) {
        ("event", Some(id)) => Some(OptOutScope::Event(id)),
        ("day", _) => until(1),
        ("week", _) => until(7),
        _ => None,
    };
    match scope {
        Some(scope) => tell(&app, OwnerCommand::OptOut(scope), "/?said=out").await,
        None => stale_form(),
    }
}

pub(super) async fn opt_in(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Token>,
    form: Result<Form<Bare>, FormRejection>,
) -> Response {
    match form {
        Ok(Form(Bare { token })) if session.made(&token) => {
            tell(&app, OwnerCommand::OptIn, "/?said=in").await
        }
        _ => stale_form(),
    }
}

async fn tell(app: &App, command: OwnerCommand, then: &str) -> Response {
    match command::send(&app.page.commands, command).await {
        Ok(()) => Redirect::to(then).into_response(),
        Err(e) => say(StatusCode::CONFLICT, "That was not done", &format!("{e}.")),
    }
}

fn current(app: &App) -> HomeState {
    app.page.state.borrow().clone()
}

fn show(
    app: &App,
    session: &Token,
    home: &HomeState,
    page: impl FnOnce(View<'_>) -> Result<Html, Overflow>,
) -> Response {
    let form_token = session.form_token();
    let view = View {
        home,
        zone: &app.page.config.zone,
        form_token: &form_token,
    };
    page(view).map_or_else(|e| failure(&e), |page| html(StatusCode::OK, page))
}

/// The bars of a period, read off the threads that serve.
async fn bars(app: &App, period: Period) -> Result<Vec<Bar>, HistoryError> {
    let history = Arc::clone(&app.page.history);
    let read = spawn_blocking(move || {
        // A reader that panicked has left nothing half done.
        let history = history.lock().unwrap_or_else(PoisonError::into_inner);
        read_bars(&history, period)
    });
    read.await.unwrap_or_else(|_| Ok(Vec::new()))
}

fn read_bars(history: &History, period: Period) -> Result<Vec<Bar>, HistoryError> {
    match period {
        Period::Day(day) => Ok(hours(day, history.zone(), &history.intervals_of(day)?)?),
        Period::Month(day) => {
            let Some((first, next)) = month_of(day) else {
                return Ok(Vec::new());
            };
            Ok(month(first, next, &history.days(first, next)?))
        }
    }
}
