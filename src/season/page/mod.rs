//! The season as a page for people.

mod words;

use std::fmt::Write as _;

use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_settlement::rules::exact::ArithmeticError;

use super::figures::{fixed, percent, root, signed};
use super::home::Kind;
use super::measure::{Group, Measured, Tally};
use super::plan::{Answer, Fault, Plan};
use super::story::{Season, Settled};
use words::{LIMITS, READING, SOURCE, wrap};

const MILLION: i128 = 1_000_000;
const THOUSAND: i128 = 1_000;

/// The page of a season, in Markdown. It holds no time of the present: the same season makes the same page.
///
/// # Errors
/// Where a figure does not fit 128 bits.
pub fn page(season: &Season, measured: &[Measured], asset: &Asset) -> Result<String, ArithmeticError> {
    let mut page = Page {
        season,
        asset,
        text: String::new(),
    };
    page.opening();
    page.baselines(measured)?;
    page.nearest(measured)?;
    page.say(READING);
    page.kinds(measured)?;
    page.gamers(measured)?;
    page.books();
    page.closing();
    page.events();
    page.say(LIMITS);
    page.say(SOURCE);
    while page.text.ends_with("\n\n") {
        page.text.pop();
    }
    Ok(page.text)
}

struct Page<'p> {
    season: &'p Season,
    asset: &'p Asset,
    text: String,
}

impl Page<'_> {
    fn say(&mut self, paragraph: &str) {
        paragraph.lines().for_each(|line| wrap(line, &mut self.text));
        self.text.push('\n');
    }

    fn row(&mut self, cells: &[String]) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }

    fn head(&mut self, titles: &[&str]) {
        self.row(&titles.iter().map(|title| (*title).to_owned()).collect::<Vec<_>>());
        let rules = titles
            .iter()
            .enumerate()
            .map(|(n, _)| if n == 0 { "---" } else { "---:" });
        let _ = writeln!(self.text, "|{}|", rules.collect::<Vec<_>>().join("|"));
    }

    fn count(&self, wanted: impl Fn(&super::plan::Conduct, usize) -> bool) -> usize {
        let Season { conduct, events, .. } = self.season;
        let of_home = |conduct| (0..events.len()).filter(|event| wanted(conduct, *event)).count();
        conduct.iter().map(of_home).sum()
    }

    fn opening(&mut self) {
        let Season {
            plan,
            events,
            homes,
            conduct,
            ..
        } = self.season;
        let Plan {
            seed, history_weeks, ..
        } = plan;
        let kinds = Kind::ALL.map(|kind| {
            let count = homes.iter().filter(|home| home.kind == kind).count();
            format!("{count} with {}", kind.name())
        });
        let answered = |answer| self.count(move |c, event| c.answers.get(event) == Some(&answer));
        let wrong = |fault| self.count(move |c, event| c.faults.get(event) == Some(&Some(fault)));
        let offline: usize = conduct.iter().map(|conduct| conduct.offline.len()).sum();
        let span = (events.first(), events.last());
        let span = match span {
            (Some(first), Some(last)) => format!("from {} to {}", first.start, last.end),
            _ => "none".to_owned(),
        };
        let text = format!(
            "# A season, with the truth beside it\n\n\
             {homes} simulated homes, {events} events, and for every half-hour what each home would have done if nobody had \
             ever asked. So it can be said of each baseline how much it credits, and how much was delivered.\n\n\
             This page is written by the program that plays the season, and is the same every time:\n\n\
             ```\ncargo run --release --example season -- --homes {homes} --events {events} --seed {seed} \
             --history-weeks {history_weeks} --write docs/season.md\n```\n\n\
             ## What is played\n\n\
             - Homes: {kinds}. {gamers} of them game. Each is played twice, minute by minute, under one weather: as it \
             was dispatched, and from the same seed as if nobody were.\n\
             - Events: {span} (UTC), two a week, announced five to six and a half hours ahead. Batteries are asked for 3 kW; \
             in homes without one, people leave something off, or do not.\n\
             - Of {asked} times that a home was asked it took part {taken} times, opted out {out} times and said nothing \
             {silent} times. {offline} times a home lost its line when an event began, and its signed reports came 4 to 9 \
             days later, after the first settlement.\n\
             - After every third event the network reads its own meters. They show that homes' meters had not answered {lost} \
             times, and {understated} times counted 250 Wh too little in each half-hour: both are disputed and corrected.\n\
             - The program pays by [`season_bl01`](../src/season/program.toml), which is `dfs_style_bl01` with a look-back of \
             28 days in the place of 60.\n\
             - Everything else is the engine itself: reports signed with each home's key go through ingest into PostgreSQL, \
             events are announced, homes answer, statements are settled with their bundles, settled anew, and booked.\n\n\
             ## Each baseline against the truth\n",
            homes = homes.len(),
            events = events.len(),
            kinds = kinds.join(", "),
            gamers = homes.iter().filter(|home| home.gamer).count(),
            asked = homes.len().saturating_mul(events.len()),
            taken = answered(Answer::In),
            out = answered(Answer::Out),
            silent = answered(Answer::Silent),
            lost = wrong(Fault::Lost),
            understated = wrong(Fault::Understated),
        );
        self.say(&text);
    }

    fn baselines(&mut self, measured: &[Measured]) -> Result<(), ArithmeticError> {
        self.head(&[
            "baseline",
            "no baseline, %",
            "truly reduced, kWh",
            "credited, kWh",
            "credit against truth, %",
            "bias, Wh",
            "RMSE, Wh",
            "RRMSE, %",
        ]);
        for measured in measured {
            let all = measured.of(|_| true);
            let root = root(all.squares, all.intervals.into());
            self.row(&[
                format!("`{}`", measured.rule),
                percent(all.without.into(), all.site_events.into())?,
                fixed(all.truth, MILLION, 0)?,
                fixed(all.credited, MILLION, 0)?,
                over(&all)?,
                signed(fixed(
                    all.error,
                    THOUSAND.saturating_mul(all.intervals.into()),
                    0,
                )?),
                fixed(root, THOUSAND, 0)?,
                percent(root.saturating_mul(all.intervals.into()), all.magnitude)?,
            ]);
        }
        self.say("");
        Ok(())
    }

    /// Which rules came nearest, among those that have a baseline nearly always.
    fn nearest(&mut self, measured: &[Measured]) -> Result<(), ArithmeticError> {
        let all = measured.iter().map(|m| (m.rule.as_str(), m.of(|_| true)));
        let usual =
            |tally: &Tally| u64::from(tally.without).saturating_mul(20) <= u64::from(tally.site_events);
        let usual: Vec<_> = all.filter(|(_, tally)| usual(tally)).collect();
        // All of them are of nearly the same intervals, so sums can be compared.
        let least = |of: fn(&Tally) -> i128| usual.iter().min_by_key(|(_, tally)| of(tally));
        let bias = least(|t| t.error.saturating_abs());
        let squares = least(|t| t.squares);
        let credit = least(|t| t.credited.saturating_sub(t.truth).saturating_abs());
        let (Some(bias), Some(squares), Some(credit)) = (bias, squares, credit) else {
            return Ok(());
        };
        let text = format!(
            "Of the rules that lack a baseline in no more than one case of twenty, `{}` has the least bias, `{}` the least \
             error of single half-hours, and what `{}` credits is nearest to what was delivered ({} %).\n",
            bias.0,
            squares.0,
            credit.0,
            over(&credit.1)?,
        );
        self.say(&text);
        Ok(())
    }

    fn kinds(&mut self, measured: &[Measured]) -> Result<(), ArithmeticError> {
        self.say("## By what a home has\n\nCredit against truth in percent; in brackets the bias in Wh for each half-hour.\n");
        let mut titles = vec!["baseline"];
        titles.extend(Kind::ALL.map(Kind::name));
        self.head(&titles);
        if let Some(first) = measured.first() {
            let mut cells = vec!["truly reduced, kWh".to_owned()];
            for kind in Kind::ALL {
                let truth = first.of(|group: &Group| group.kind == kind && !group.gamer).truth;
                cells.push(fixed(truth, MILLION, 0)?);
            }
            self.row(&cells);
        }
        for measured in measured {
            let mut cells = vec![format!("`{}`", measured.rule)];
            for kind in Kind::ALL {
                cells.push(over_and_bias(
                    &measured.of(|group: &Group| group.kind == kind && !group.gamer),
                )?);
            }
            self.row(&cells);
        }
        self.say("\nWithout those who game.\n");
        Ok(())
    }

    fn gamers(&mut self, measured: &[Measured]) -> Result<(), ArithmeticError> {
        self.say(
            "## Those who game\n\nWho uses more before an event raises a baseline that is adjusted by those hours. The same two \
             figures for homes that do, and for those that do not; and how much the former add to the bias. A ratio that \
             has no meaning, on a meter that stands at nothing or below in those hours, is taken as 1: there is nothing \
             to be gained from it.\n",
        );
        self.head(&["baseline", "who do not", "who do", "added, Wh"]);
        for measured in measured {
            let [honest, gamers] = [false, true].map(|gamer| measured.of(move |group| group.gamer == gamer));
            let (h, g) = (i128::from(honest.intervals), i128::from(gamers.intervals));
            let apart = gamers
                .error
                .saturating_mul(h)
                .saturating_sub(honest.error.saturating_mul(g));
            self.row(&[
                format!("`{}`", measured.rule),
                over_and_bias(&honest)?,
                over_and_bias(&gamers)?,
                signed(fixed(apart, THOUSAND.saturating_mul(h).saturating_mul(g), 0)?),
            ]);
        }
        self.say("");
        Ok(())
    }

    fn books(&mut self) {
        let text = format!(
            "## The books\n\n\
             The ledger was looked at after {steps} steps (enrolment, deposits, announcements, disputes, statements, payables, the \
             end): each time the balances of all accounts added up to nothing, every balance was the sum of its entries, and \
             the journal was the hash chain that it claims to be. At the end its hash was\n`{journal}`.\n\n\
             The first statement of an event waits for homes that have not reported, 36 hours at most. The second comes by \
             the program's calendar 14 days after the event, with what came late; the third, two days later, because \
             disputes were upheld (homes that never \
             answered dispute in vain). Each later statement reverses and books what differs; who gets less gives back what he \
             still holds, and owes the rest out of later credits; what was earned becomes payable every Monday.\n",
            steps = self.season.steps,
            journal = self.season.journal,
        );
        self.say(&text);
        self.head(&[
            "statement",
            "how many",
            "the escrow paid",
            "homes with another amount",
            "of these, who give back",
        ]);
        for version in 1..=3 {
            let of: Vec<&Settled> = self
                .season
                .settled
                .iter()
                .filter(|s| s.version == version)
                .collect();
            let paid = of
                .iter()
                .map(|s| s.debit.base_units())
                .fold(0_i128, i128::saturating_add);
            self.row(&[
                version.to_string(),
                of.len().to_string(),
                self.tokens(paid),
                if version == 1 {
                    "–".to_owned()
                } else {
                    of.iter().map(|s| s.changed).sum::<usize>().to_string()
                },
                if version == 1 {
                    "–".to_owned()
                } else {
                    of.iter().map(|s| s.gave_back).sum::<usize>().to_string()
                },
            ]);
        }
        self.say("");
    }

    fn closing(&mut self) {
        self.say("In the end, by kind of account (what was issued is the negative of all the rest):\n");
        self.head(&["accounts", "FLEX"]);
        let closing = &self.season.closing;
        let mut rows: Vec<[String; 2]> = closing
            .iter()
            .map(|(kind, held)| [kind.clone(), self.tokens(*held)])
            .collect();
        let sum = closing.values().copied().fold(0_i128, i128::saturating_add);
        rows.push(["sum".to_owned(), self.tokens(sum)]);
        rows.iter().for_each(|row| self.row(row));
        self.say("");
    }

    fn events(&mut self) {
        self.say("## The events\n\nWhat the escrow paid by each statement, under `season_bl01` at 0.85 FLEX for a kWh.\n");
        self.head(&[
            "event",
            "from",
            "to",
            "took part",
            "first",
            "late readings",
            "disputes",
        ]);
        for (number, event) in self.season.events.iter().enumerate() {
            let taken = self
                .season
                .conduct
                .iter()
                .filter(|c| c.answers.get(number) == Some(&Answer::In))
                .count();
            let debit = |version| {
                let found = self
                    .season
                    .settled
                    .iter()
                    .find(|s| s.event == number && s.version == version);
                found.map_or("–".to_owned(), |settled| {
                    self.tokens(settled.debit.base_units())
                })
            };
            let cells = [
                event.id.clone(),
                event.start.to_string(),
                event.end.to_string(),
                taken.to_string(),
                debit(1),
                debit(2),
                debit(3),
            ];
            self.row(&cells);
        }
        self.say("");
    }

    fn tokens(&self, units: i128) -> String {
        TokenAmount::new(units).map_or("–".to_owned(), |amount| self.asset.show(amount))
    }
}

/// Credited less true, in percent of the latter; none where next to nothing was reduced.
fn over(tally: &Tally) -> Result<String, ArithmeticError> {
    let over = tally.credited.saturating_sub(tally.truth);
    if tally.truth <= 0 {
        return Ok("–".to_owned());
    }
    if over > tally.truth.saturating_mul(10) {
        return Ok("above +1000".to_owned());
    }
    Ok(signed(percent(over, tally.truth)?))
}

fn over_and_bias(tally: &Tally) -> Result<String, ArithmeticError> {
    if tally.intervals == 0 {
        return Ok("–".to_owned());
    }
    let bias = signed(fixed(
        tally.error,
        THOUSAND.saturating_mul(tally.intervals.into()),
        0,
    )?);
    Ok(format!("{} ({bias})", over(tally)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_next_to_nothing_is_not_shown() {
        let tally = |truth, credited| Tally {
            truth,
            credited,
            intervals: 1,
            ..Tally::default()
        };
        let shown = [
            tally(100, 150),
            tally(100, 50),
            tally(0, 5),
            tally(-1, 5),
            tally(1, 12),
        ];
        let shown = shown.map(|tally| over(&tally).unwrap());
        assert_eq!(shown, ["+50.0", "−50.0", "–", "–", "above +1000"]);
    }
}
