//! What the page says in words, and how paragraphs are broken into lines.

pub(super) const READING: &str = "\
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

pub(super) const LIMITS: &str = "\
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

pub(super) const SOURCE: &str = "\
The London home's half-hours are from the Low Carbon London project, UK Power Networks, licensed under
[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/); they were shifted by whole weeks, scaled, and spread over
their minutes.
";

/// No line of the page's paragraphs is longer.
const WIDTH: usize = 120;

/// Breaks a line between words; what belongs to a point of a list is set in.
pub(super) fn wrap(line: &str, text: &mut String) {
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
}
