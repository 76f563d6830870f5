//! What was found, and how it is shown.

use serde::Serialize;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Well,
    /// It works, and may not be what its owner wants; or it cannot be known.
    Odd,
    /// It does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which thing: `config`, `key`, the name of a device …
    pub what: String,
    /// How it is.
    pub health: Health,
    /// In a sentence; where it is not well, with what to do.
    pub text: String,
}

impl Finding {
    pub(super) fn of(health: Health, what: &str, text: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            health,
            text: text.into(),
        }
    }

    pub(super) fn well(what: &str, text: impl Into<String>) -> Self {
        Self::of(Health::Well, what, text)
    }

    pub(super) fn odd(what: &str, text: impl Into<String>) -> Self {
        Self::of(Health::Odd, what, text)
    }

    pub(super) fn bad(what: &str, text: impl Into<String>) -> Self {
        Self::of(Health::Bad, what, text)
    }
}

/// Findings, one a line.
#[must_use]
pub fn lines(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let sign = match finding.health {
            Health::Well => '✓',
            Health::Odd => '!',
            Health::Bad => '✗',
        };
        let text = format!("{}: {}", finding.what, finding.text);
        // What devices call themselves may hold anything.
        format!("{sign} {}\n", text.replace(char::is_control, " "))
    };
    findings.iter().map(line).collect()
}

/// Findings as a JSON list.
#[must_use]
pub fn json(findings: &[Finding]) -> String {
    let lines = findings
        .iter()
        .map(|finding| serde_json::to_string(finding).unwrap_or_default());
    format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_whatever_a_device_calls_itself() {
        let text = lines(&[Finding::bad("roof", "it says\n\u{1b}[2Jnothing")]);
        assert_eq!(text, "✗ roof: it says  [2Jnothing\n");
    }
}
