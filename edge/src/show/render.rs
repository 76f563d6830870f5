//! What was seen, for a terminal and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::sight::{Identity, MapName, ModelSight, PointSight, Sight};

/// Values longer than this do not move the column of the units.
const VALUE_WIDTH_MAX: usize = 24;

/// One point as `--json` shows it.
#[derive(Serialize)]
struct Line<'s> {
    model: &'s MapName,
    instance: usize,
    point: &'s str,
    raw: &'s [u16],
    value: Option<&'s str>,
    unit: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'s str>,
}

/// All points as a JSON list, one object a line. A model that could not be read is one object without a
/// point, with the reason.
#[must_use]
pub fn json(sight: &Sight) -> String {
    let lines = sight.models.iter().flat_map(lines).collect::<Vec<_>>();
    if lines.is_empty() {
        return "[]\n".to_owned();
    }
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn lines(model: &ModelSight) -> Vec<String> {
    let line = |point: &PointSight| {
        text(&Line {
            model: &model.name,
            instance: model.instance,
            point: &point.point,
            raw: &point.raw,
            value: point.value.as_deref().ok(),
            unit: &point.unit,
            reason: point.value.as_ref().err().map(String::as_str),
        })
    };
    let problem = model.problem.as_deref().map(|reason| {
        text(&Line {
            model: &model.name,
            instance: model.instance,
            point: "",
            raw: &[],
            value: None,
            unit: "",
            reason: Some(reason),
        })
    });
    problem.into_iter().chain(model.points.iter().map(line)).collect()
}

fn text(line: &Line<'_>) -> String {
    // Strings and numbers in a struct: there is nothing in it that JSON cannot say.
    serde_json::to_string(line).unwrap_or_default()
}

/// All points in aligned columns, under who the device is.
#[must_use]
pub fn table(place: &str, sight: &Sight) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{place}");
    let Identity {
        maker,
        model,
        version,
        serial,
    } = sight.identity();
    for (label, text) in [
        ("maker", maker),
        ("model", model),
        ("version", version),
        ("serial number", serial),
    ] {
        if let Some(text) = text {
            let _ = writeln!(out, "  {label:<14} {text}");
        }
    }
    for model in &sight.models {
        let _ = writeln!(out, "\n{}", heading(model));
        if let Some(problem) = &model.problem {
            let _ = writeln!(out, "  {problem}");
        }
        rows(&mut out, model);
    }
    out
}

fn heading(model: &ModelSight) -> String {
    let mut text = match &model.name {
        MapName::Model(number) => format!("Model {number}"),
        MapName::Profile(name) => format!("Profile {name}"),
    };
    if model.instance > 0 {
        let _ = write!(text, ", instance {}", model.instance);
    }
    if !model.label.is_empty() {
        let _ = write!(text, " · {}", model.label);
    }
    if let Some((address, len)) = model.place {
        let _ = write!(text, " · {len} registers behind the header at {address}");
    }
    text
}

fn rows(out: &mut String, model: &ModelSight) {
    let points = || model.points.iter().filter(|point| !point.is_filler);
    let name_width = points()
        .map(|point| point.point.chars().count())
        .max()
        .unwrap_or(0);
    let value_width = points()
        .filter_map(|point| {
            Some(
                point
                    .value
                    .as_ref()
                    .ok()
                    .filter(|value| is_number(value))?
                    .chars()
                    .count(),
            )
        })
        .filter(|width| *width <= VALUE_WIDTH_MAX)
        .max()
        .unwrap_or(1);
    for point in points() {
        let row = match &point.value {
            Ok(value) if is_number(value) => format!("{value:>value_width$} {}", point.unit),
            Ok(text) => text.clone(),
            Err(reason) => format!("{:>value_width$} {reason}", "–"),
        };
        let _ = writeln!(out, "  {:<name_width$}  {}", point.point, row.trim_end());
    }
}

fn is_number(value: &str) -> bool {
    value.parse::<rust_decimal::Decimal>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight() -> Sight {
        let point = |name: &str, raw: &[u16], value: Result<&str, &str>, unit: &str| PointSight {
            point: name.to_owned(),
            raw: raw.to_vec(),
            value: value.map(str::to_owned).map_err(str::to_owned),
            unit: unit.to_owned(),
            is_filler: name == "Pad",
        };
        let model = |name, problem: Option<&str>, points| ModelSight {
            name,
            instance: 1,
            label: "It".to_owned(),
            place: Some((40_000, 4)),
            points,
            problem: problem.map(str::to_owned),
        };
        let points = vec![
            point("W", &[12_345], Ok("1234.5"), "W"),
            point("Md", &[0x4142], Ok("AB"), ""),
            point("TmpCab", &[0x8000], Err("not implemented by the device"), "C"),
            point("Pad", &[0x8000], Err("a filler, which has no value"), ""),
        ];
        Sight {
            base: Some(0),
            models: vec![
                model(MapName::Model(103), None, points),
                model(
                    MapName::Model(64_001),
                    Some("no model of this number is known here"),
                    Vec::new(),
                ),
            ],
        }
    }

    #[test]
    fn the_list_has_an_object_for_each_point_and_for_each_model_without_points() {
        assert_eq!(
            json(&sight()),
            "[\n\
             {\"model\":103,\"instance\":1,\"point\":\"W\",\"raw\":[12345],\"value\":\"1234.5\",\"unit\":\"W\"},\n\
             {\"model\":103,\"instance\":1,\"point\":\"Md\",\"raw\":[16706],\"value\":\"AB\",\"unit\":\"\"},\n\
             {\"model\":103,\"instance\":1,\"point\":\"TmpCab\",\"raw\":[32768],\"value\":null,\"unit\":\"C\",\"reason\":\"not implemented by the device\"},\n\
             {\"model\":103,\"instance\":1,\"point\":\"Pad\",\"raw\":[32768],\"value\":null,\"unit\":\"\",\"reason\":\"a filler, which has no value\"},\n\
             {\"model\":64001,\"instance\":1,\"point\":\"\",\"raw\":[],\"value\":null,\"unit\":\"\",\"reason\":\"no model of this number is known here\"}\n\
             ]\n"
        );
        assert_eq!(json(&Sight::default()), "[]\n");
    }

    #[test]
    fn the_table_is_aligned_and_leaves_fillers_out() {
        assert_eq!(
            table("tcp://a:502?unit=1", &sight()),
            "tcp://a:502?unit=1\n\n\
             Model 103, instance 1 · It · 4 registers behind the header at 40000\n\
             \x20 W       1234.5 W\n\
             \x20 Md      AB\n\
             \x20 TmpCab       – not implemented by the device\n\n\
             Model 64001, instance 1 · It · 4 registers behind the header at 40000\n\
             \x20 no model of this number is known here\n"
        );
    }
}
