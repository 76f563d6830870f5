//! What the demo shows at its end, as plain data: the terminal and the report page draw the same picture.

/// The whole picture.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The event's name.
    pub event: String,
    /// Its window in local time, for people.
    pub window: String,
    /// The neighbourhood's net power from the grid around the event, interval by interval.
    pub load: Vec<Point>,
    /// A line for each home.
    pub homes: Vec<HomeLine>,
    /// The sums over all homes.
    pub total: Totals,
    /// Every account and its balance, in whole tokens.
    pub ledger: Vec<(String, String)>,
    /// The sum over all accounts: zero, or something is very wrong.
    pub ledger_sum: String,
    /// The token's code.
    pub token: String,
    /// What was refused: by reason, how often, and what for example.
    pub refused: Vec<RefusedLine>,
    /// SHA-256 of the statement.
    pub statement_hash: String,
    /// Merkle root of the bundle.
    pub bundle_root: String,
    /// How many readings and reports went through.
    pub volume: String,
    /// The command that checks it all.
    pub verify: String,
}

/// An interval of the chart, in watts: drawing only.
#[derive(Debug, Clone)]
pub struct Point {
    /// Local wall-clock time, `18:05`.
    pub label: String,
    /// Metered net power drawn from the grid.
    pub metered_w: i64,
    /// The baseline, within the event.
    pub baseline_w: Option<i64>,
}

/// What a home sees of the event.
#[derive(Debug, Clone)]
pub struct HomeLine {
    /// The site.
    pub site: String,
    /// What the box said: `opted in at 3.6 kW`, say.
    pub answer: String,
    /// Energy that it would have drawn, in kWh.
    pub baseline: String,
    /// Energy that its meter saw, in kWh.
    pub metered: String,
    /// Energy credited, in kWh.
    pub delivered: String,
    /// What it earned, in whole tokens.
    pub tokens: String,
    /// Why it earned nothing, or less than it might have.
    pub remark: String,
}

impl HomeLine {
    /// The answer and the remark in one.
    #[must_use]
    pub fn note(&self) -> String {
        let parts: Vec<&str> = [self.answer.as_str(), self.remark.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        parts.join("; ")
    }
}

/// Sums over all homes.
#[derive(Debug, Clone)]
pub struct Totals {
    /// In kWh.
    pub baseline: String,
    /// In kWh.
    pub metered: String,
    /// In kWh.
    pub delivered: String,
    /// In whole tokens.
    pub tokens: String,
}

/// One reason for refusals.
#[derive(Debug, Clone)]
pub struct RefusedLine {
    /// The typed reason.
    pub reason: String,
    /// How many.
    pub count: usize,
    /// The detail of the first.
    pub example: String,
}
