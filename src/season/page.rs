//! The season as a page for people.

use std::fmt::Write as _;

use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_settlement::rules::exact::ArithmeticError;

use super::figures::{fixed, percent, root, signed};
use super::home::Kind;
use super::measure::{Group, Measured, Tally};
use super::plan::{Answer, Fault, Plan};
use super::story::{Season, Settled};

const MILLION: i128 = 1_000_000;
const THOUSAND: i128 = 1_000;

const READING: &str = "\
## How to read it

- **no baseline**: of all the times that a home took part, how often the rule had nothing to compare with, and said so.
  Nothing of these is in the other columns.
- **truly reduced**: what these homes' meters showed below what they would have shown if nobody had ever asked. The
  simulation knows the latter, because every home is played twice from the same seed. Homes that opted in and did
  nothing are in it, with nothing; so is what a battery could not give because it had given on an earlier day.
- **credited**: what the rule would have been paid for: baseline less meter in each half-hour, where it is above
  nothing. Half-hours below nothing are not taken back, so even a rule that errs as often to either side credits more
  than was delivered: that is the price of netting by interval, and it is the same for every rule.
- **credit against truth**: credited less truly reduced, as a part of the latter.
- **bias**: the mean of baseline less truth, in Wh for each half-hour; above nothing, the operator pays for energy that
  nobody left off.
- **RMSE**, **RRMSE**: the root of the mean square of baseline less truth, in Wh for each half-hour; and as a part of
  the mean size (without its sign) of what the homes would have drawn or fed in. For homes whose battery keeps their
  meter near nothing in the evening that size is small, and the part large. Rules that are compared by a market are
  compared for loads of many hundred times this size, or for sums over many homes; there the part is far smaller.
";

const LIMITS: &str = "\
## What this is not

- These are simulated homes. Two thirds of the loads are a model of appliances that was not fitted to any survey; one
  third follows a single London home, shifted by weeks and scaled, so these homes are more alike than homes are. Who
  takes part, who leaves off how much, and who games are draws of dice with round numbers, not findings about people.
- One place, one summer, one weather; no public event, no heat wave, and no heating by electricity. A rule that does
  well here may do badly in a winter.
- The rules are *in the style of* what markets use (see [their parameters](../config/programs/baselines)); markets
  apply them to other customers and aggregations, and with conditions that are not played here. The table is no
  judgement of any market.
- Rules that need more than a home's meter (temperatures, control groups, samples, a device's own meter, a firm level)
  are not in the table.
- Gaming is of one kind: use is raised from four hours before the start to one hour before it. Batteries are charged
  from the grid then, other homes switch something on.
- The table is made from what the meters counted in truth, all of it in time. What was paid is in the list of events:
  there readings were late and wrong, and were corrected.
";

const SOURCE: &str = "\
The London home's half-hours are from the Low Carbon London project, UK Power Networks, licensed under
[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/); they were shifted by whole weeks, scaled, and spread over
their minutes.
";

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
    page.say(READING);
    page.kinds(measured)?;
    page.gamers(measured)?;
    page.books();
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
             - {lost} times a meter did not answer during an event, and {understated} times it counted 250 Wh too little in \
             each half-hour: the network's own meter corrects both by a dispute.\n\
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

    fn kinds(&mut self, measured: &[Measured]) -> Result<(), ArithmeticError> {
        self.say("## By what a home has\n\nCredit against truth in percent; in brackets the bias in Wh for each half-hour.\n");
        let mut titles = vec!["baseline"];
        titles.extend(Kind::ALL.map(Kind::name));
        self.head(&titles);
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
             figures for homes that do, and for those that do not; and how much the former add to the bias.\n",
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
             The ledger was looked at after {steps} steps (enrolment, deposits, announcements, disputes, statements, the \
             end): each time the balances of all accounts added up to nothing, every balance was the sum of its entries, and \
             the journal was the hash chain that it claims to be. At the end its hash was\n`{journal}`.\n\n\
             The first statement of an event waits for homes that have not reported, 36 hours at most. The second comes by \
             the program's calendar 14 days after the event, with what came late; the third, two days later, because \
             disputes were upheld. Each later statement reverses and books what differs; who gets less gives back what he \
             still holds, and owes the rest out of later credits.\n",
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

    fn events(&mut self) {
        self.say("## The events\n\nWhat the escrow paid by each statement, under `dfs_style_bl01` at 0.85 FLEX for a kWh.\n");
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

/// No line of the page's paragraphs is longer.
const WIDTH: usize = 118;

/// Breaks a line between words; what belongs to a point of a list is set in.
fn wrap(line: &str, text: &mut String) {
    let indent = if line.starts_with("- ") { "  " } else { "" };
    let is_code = line.starts_with("cargo ");
    let mut length = 0_usize;
    for (number, word) in line.split(' ').enumerate() {
        let longer = length.saturating_add(word.chars().count()).saturating_add(1);
        if number > 0 && longer > WIDTH && !is_code {
            text.push('\n');
            text.push_str(indent);
            length = indent.len();
        } else if number > 0 {
            text.push(' ');
            length = length.saturating_add(1);
        }
        text.push_str(word);
        length = length.saturating_add(word.chars().count());
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_broken_between_words_and_points_of_lists_set_in() {
        let mut text = String::new();
        wrap(&format!("- {}", "wörd ".repeat(60).trim_end()), &mut text);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(text.lines().skip(1).all(|line| line.starts_with("  wörd")));
        assert_eq!(text.split_whitespace().count(), 61);
    }

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
