//! Power flows on the terminal.

use super::run::{At, Lab};
use crate::physics::Flow;
use chrono::DateTime;
use rustix::termios::tcgetwinsize;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::{Duration, Instant};

/// A terminal that is drawn anew once a second; a line a second where the output is no terminal.
#[derive(Debug)]
pub(super) struct Screen {
    last: Option<Instant>,
    lines: usize,
    terminal: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            last: None,
            lines: 0,
            terminal: std::io::stdout().is_terminal(),
        }
    }

    pub(super) fn show(&mut self, lab: &Lab) {
        if self
            .last
            .is_some_and(|last| last.elapsed() < Duration::from_secs(1))
        {
            return;
        }
        self.last = Some(Instant::now());
        let picture = picture(lab);
        let mut out = std::io::stdout().lock();
        if self.terminal {
            let up = if self.lines == 0 {
                String::new()
            } else {
                format!("\x1b[{}A", self.lines)
            };
            // A line that wraps would count as two.
            let width = tcgetwinsize(&out)
                .map_or(80, |size| usize::from(size.ws_col))
                .max(20);
            let lines = picture
                .lines()
                .map(|line| line.chars().take(width).collect::<String>());
            let cleared: String = lines.map(|line| format!("\x1b[2K{line}\n")).collect();
            self.lines = picture.lines().count();
            let _ = write!(out, "{up}{cleared}");
        } else {
            let _ = writeln!(
                out,
                "{}",
                picture.split_whitespace().collect::<Vec<_>>().join(" ")
            );
        }
        let _ = out.flush();
    }
}

/// What the home does now.
fn picture(lab: &Lab) -> String {
    let mut text = String::new();
    if let Some(home) = lab.home() {
        let now = DateTime::from_timestamp(home.now(), 0).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}   {}   {}",
            lab.title(),
            now.format("%a %Y-%m-%d %H:%M:%S UTC"),
            lab.pace()
        );
        text.push_str(&flows(home.flow(), home.soc_basis_points()));
    }
    for running in lab.running() {
        let faults: Vec<String> = running
            .device
            .active_faults()
            .iter()
            .map(ToString::to_string)
            .collect();
        let at = match &running.at {
            At::Socket(address) => address.to_string(),
            At::Path(path) => path.clone(),
        };
        let state = if faults.is_empty() {
            "healthy".to_owned()
        } else {
            faults.join(" ")
        };
        let _ = writeln!(
            text,
            "  {:<20} {at} unit {:<4} {state}",
            running.device.name(),
            running.device.unit()
        );
    }
    text
}

fn flows(flow: Flow, soc_basis_points: i64) -> String {
    let bar = |milliwatts: i64| {
        "█".repeat(
            usize::try_from(milliwatts.abs() / 250_000)
                .unwrap_or(0)
                .clamp(0, 40),
        )
    };
    let line = |name: &str, milliwatts: i64, arrow: &str, more: &str| {
        let watts = milliwatts.abs() / 1_000;
        format!(
            "  {name:<8} {arrow} {:>2}.{:03} kW  {}{more}\n",
            watts / 1_000,
            watts % 1_000,
            bar(milliwatts)
        )
    };
    let soc = format!("  {}.{:02} %", soc_basis_points / 100, soc_basis_points % 100);
    let toward = |milliwatts: i64| match milliwatts {
        1.. => "→",
        0 => "·",
        ..=-1 => "←",
    };
    [
        line("sun", flow.pv, toward(flow.pv), ""),
        line("battery", flow.battery, toward(flow.battery), &soc),
        line(
            "grid",
            flow.grid,
            toward(flow.grid),
            if flow.grid < 0 { "  feeding in" } else { "" },
        ),
        line("home", flow.load, toward(-flow.load), ""),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flows_say_where_power_goes() {
        let flow = Flow {
            pv: 3_250_000,
            battery: -1_000_000,
            grid: -1_750_000,
            load: 500_000,
            ..Flow::default()
        };
        let text = flows(flow, 6_705);
        assert!(text.contains("sun      →  3.250 kW"), "{text}");
        assert!(text.contains("battery  ←  1.000 kW  ████  67.05 %"), "{text}");
        assert!(text.contains("feeding in"), "{text}");
    }
}
