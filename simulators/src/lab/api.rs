//! The control API: JSON over HTTP, for tests and for curl.
//!
//! | Request | What it does |
//! |---|---|
//! | `GET /` | time, devices, faults in force, power flows and energies of the home |
//! | `GET /faults` | every fault there is, with its parameters |
//! | `GET /devices/{name}` | one device |
//! | `GET /devices/{name}/points` | its SunSpec points with exact values; `?seen=true` as faults show them |
//! | `PUT /devices/{name}/faults/{fault}` | switches a fault on; a JSON object gives parameters and `"for": "10m"` |
//! | `DELETE /devices/{name}/faults/{fault}` | switches it off |
//! | `DELETE /devices/{name}/faults` | takes all faults off, planned ones too |
//! | `POST /time` | `{"advance": "5m"}` or `{"to": "2026-06-21T12:00:00Z"}`; only in stepped time |
//!
//! It has no authentication and is meant for loopback. Errors are `{"error": "a sentence"}`.

use super::clock::Pace;
use super::points::points;
use super::run::{At, Lab, Running};
use crate::device::Device;
use crate::fault::{Fault, Schedule, read_duration};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post, put};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A request's body is a small object.
const LONGEST_BODY: usize = 16 * 1024;
/// The longest step of stepped time: a leap year.
const LONGEST_STEP_SECONDS: i64 = 366 * 86_400;

pub(super) async fn serve(listener: tokio::net::TcpListener, lab: Arc<Lab>) {
    let router = Router::new()
        .route("/", get(overview))
        .route("/faults", get(catalogue))
        .route("/devices/{name}", get(device))
        .route("/devices/{name}/points", get(device_points))
        .route("/devices/{name}/faults", delete(clear))
        .route("/devices/{name}/faults/{fault}", put(inject).delete(eject))
        .route("/time", post(step))
        .fallback(async || {
            Refusal(
                StatusCode::NOT_FOUND,
                "there is nothing here; GET / shows what there is".to_owned(),
            )
        })
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(lab);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the control API stopped");
    }
}

struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

type Answer = Result<Json<Value>, Refusal>;

fn bad(problem: impl ToString) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, problem.to_string())
}

fn find<'a>(lab: &'a Lab, name: &str) -> Result<&'a Device, Refusal> {
    lab.device(name).ok_or_else(|| {
        let names: Vec<String> = lab
            .running()
            .iter()
            .map(|running| running.device.name())
            .collect();
        Refusal(
            StatusCode::NOT_FOUND,
            format!("there is no device {name:?}; there are: {}", names.join(", ")),
        )
    })
}

fn instant(unix_seconds: i64) -> String {
    DateTime::from_timestamp(unix_seconds, 0)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}

async fn overview(State(lab): State<Arc<Lab>>) -> Json<Value> {
    let mut overview = Map::new();
    overview.insert("title".to_owned(), json!(lab.title()));
    overview.insert("pace".to_owned(), json!(lab.pace()));
    if let Some(home) = lab.home() {
        let (flow, energies) = (home.flow(), home.energies());
        overview.insert("now".to_owned(), json!(instant(home.now())));
        overview.insert(
            "flow_milliwatts".to_owned(),
            json!({
                "load": flow.load, "pv": flow.pv, "battery": flow.battery, "grid": flow.grid,
                "pv_dc": flow.pv_dc, "battery_dc": flow.battery_dc,
            }),
        );
        let energy = |energy: crate::Energy| energy.milliwatt_seconds();
        overview.insert(
            "energy_milliwatt_seconds".to_owned(),
            json!({
                "grid_import": energy(energies.grid_import), "grid_export": energy(energies.grid_export),
                "load": energy(energies.load), "pv": energy(energies.pv),
                "battery_charge": energy(energies.battery_charge),
                "battery_discharge": energy(energies.battery_discharge),
                "pv_dc": energy(energies.pv_dc),
                "battery_dc_charge": energy(energies.battery_dc_charge),
                "battery_dc_discharge": energy(energies.battery_dc_discharge),
                "inverter_injected": energy(energies.inverter_injected),
                "inverter_absorbed": energy(energies.inverter_absorbed),
            }),
        );
        overview.insert("soc_basis_points".to_owned(), json!(home.soc_basis_points()));
        overview.insert(
            "stored_milliwatt_seconds".to_owned(),
            json!(energy(home.stored())),
        );
        let grid = home.grid();
        overview.insert(
            "grid".to_owned(),
            json!({ "millivolts": grid.0, "millihertz": grid.1 }),
        );
    }
    let devices: Vec<Value> = lab.running().iter().map(describe).collect();
    overview.insert("devices".to_owned(), json!(devices));
    Json(Value::Object(overview))
}

fn describe(running: &Running) -> Value {
    let device = &running.device;
    let registers = device.registers();
    let at = match &running.at {
        At::Socket(address) => format!("tcp://{address}"),
        At::Path(path) => format!("rtu:{path}"),
    };
    json!({
        "name": device.name(),
        "role": device.role(),
        "at": at,
        "unit": device.unit(),
        "base": registers.base(),
        "models": registers.models().iter().map(crate::ModelAt::id).collect::<Vec<_>>(),
        "faults": device.active_faults(),
    })
}

async fn catalogue() -> Json<Value> {
    let faults = Fault::ALL.iter().map(|line| {
        let parameters: Map<String, Value> =
            line.parameters.iter().map(|parameter| (parameter.name.to_owned(), json!(parameter.default))).collect();
        json!({ "fault": line.name, "layer": line.layer.name(), "summary": line.summary, "parameters": parameters })
    });
    Json(faults.collect())
}

async fn device(State(lab): State<Arc<Lab>>, Path(name): Path<String>) -> Answer {
    find(&lab, &name)?;
    let running = lab.running().iter().find(|running| running.device.name() == name);
    Ok(Json(running.map(describe).unwrap_or_default()))
}

async fn device_points(
    State(lab): State<Arc<Lab>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let device = find(&lab, &name)?;
    let seen = match query.as_deref() {
        None | Some("" | "seen=false") => false,
        Some("seen=true") => true,
        Some(other) => {
            return Err(bad(format!(
                "{other:?} is no question; write seen=true or nothing"
            )));
        }
    };
    let registers = if seen {
        device.seen_registers()
    } else {
        device.registers()
    };
    Ok(Json(json!(points(&registers))))
}

async fn inject(
    State(lab): State<Arc<Lab>>,
    Path((name, fault)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let device = find(&lab, &name)?;
    let mut fault: Fault = fault.parse().map_err(bad)?;
    let mut settings: Map<String, Value> = if body.is_empty() {
        Map::new()
    } else {
        serde_json::from_slice(&body).map_err(|error| bad(format!("the body is no JSON object: {error}")))?
    };
    let duration = settings.remove("for");
    for (parameter, value) in settings {
        let value = value
            .as_i64()
            .ok_or_else(|| bad(format!("{parameter} takes a whole number")))?;
        fault.set(&parameter, value).map_err(bad)?;
    }
    match duration {
        None => device.inject(fault),
        Some(Value::String(duration)) => {
            let seconds = read_duration(&duration).map_err(bad)?;
            let now = device.lock().now();
            device.plan(fault, Schedule::Once(now..now.saturating_add(seconds)));
        }
        Some(_) => return Err(bad("for takes a duration, as \"10m\"")),
    }
    Ok(Json(json!({ "faults": device.active_faults() })))
}

async fn eject(State(lab): State<Arc<Lab>>, Path((name, fault)): Path<(String, String)>) -> Answer {
    let device = find(&lab, &name)?;
    let fault: Fault = fault.parse().map_err(bad)?;
    if !device.eject(fault.name()) {
        let problem = format!(
            "{name} has no {} that was switched on by hand; DELETE …/faults takes off planned ones",
            fault.name()
        );
        return Err(Refusal(StatusCode::NOT_FOUND, problem));
    }
    Ok(Json(json!({ "faults": device.active_faults() })))
}

async fn clear(State(lab): State<Arc<Lab>>, Path(name): Path<String>) -> Answer {
    let device = find(&lab, &name)?;
    device.clear_faults();
    Ok(Json(json!({ "faults": device.active_faults() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    advance: Option<String>,
    to: Option<DateTime<Utc>>,
}

async fn step(State(lab): State<Arc<Lab>>, body: Bytes) -> Answer {
    if lab.pace() != Pace::Stepped {
        let problem = "time passes by itself here; start with --time stepped to step it";
        return Err(Refusal(StatusCode::CONFLICT, problem.to_owned()));
    }
    let step: Step =
        serde_json::from_slice(&body).map_err(|error| bad(format!("the body is no step: {error}")))?;
    let now = lab.now();
    let to = match (step.advance, step.to) {
        (Some(duration), None) => now.saturating_add(read_duration(&duration).map_err(bad)?),
        (None, Some(instant)) => instant.timestamp(),
        _ => {
            return Err(bad(
                "a step has either advance, as \"5m\", or to, as \"2026-06-21T12:00:00Z\"",
            ));
        }
    };
    if to < now || to - now > LONGEST_STEP_SECONDS {
        return Err(bad(format!(
            "it is {} now; step forward, by a year at most",
            instant(now)
        )));
    }
    let moving = Arc::clone(&lab);
    let moved = tokio::task::spawn_blocking(move || moving.advance_to(to)).await;
    moved.map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(Json(json!({ "now": instant(lab.now()) })))
}
