use gridtally_protocol::identity::Digest;
use proptest::prelude::*;

use super::*;
use crate::ledger::{Entry, TransactionKey};

fn journal() -> Vec<Transaction> {
    let asset = Asset::new("2WATT", 18).unwrap();
    let all = TokenAmount::new(gridtally_protocol::quantity::TOKEN_AMOUNT_MAX).unwrap();
    let at = "2026-04-23T18:00:00Z".parse().unwrap();
    let key = TransactionKey::deposit("grid", "1").unwrap();
    let deposit = Transaction::deposit(key, at, AccountName::escrow("p").unwrap(), &asset, all).unwrap();
    let entry = |account: &str, amount: TokenAmount| Entry {
        account: account.parse().unwrap(),
        asset: asset.clone(),
        amount,
    };
    let entries = vec![
        entry("escrow:p", all.negated()),
        entry("beneficiary:did:key:zZ", all),
    ];
    let key = TransactionKey::settlement("e".parse().unwrap(), 1);
    vec![deposit, Transaction::new(key, at, entries).unwrap()]
}

fn exported(format: Format) -> String {
    let mut exporter = Exporter::new(format, Vec::new()).unwrap();
    let mut head = Head::start();
    for transaction in journal() {
        head = head.after(&transaction);
        exporter.add(head, &transaction).unwrap();
    }
    String::from_utf8(exporter.finish().unwrap()).unwrap()
}

#[test]
fn the_last_line_bears_the_digest_of_all_before_it() {
    for (format, mark) in [
        (Format::Hledger, "; sha256 "),
        (Format::Beancount, "; sha256 "),
        (Format::Json, ",\n\"sha256\":\""),
    ] {
        let text = exported(format);
        let (before, last) = text.rsplit_once(mark).unwrap();
        assert_eq!(last.get(..64).unwrap(), Digest::of(before.as_bytes()).to_string());
        assert_eq!(exported(format), text);
    }
}

#[test]
fn all_digits_of_18_decimals_are_written() {
    for format in [Format::Hledger, Format::Beancount, Format::Csv] {
        let text = exported(format);
        assert!(
            text.contains("-99999999999999999999.999999999999999999"),
            "{text}"
        );
    }
    let json: serde_json::Value = serde_json::from_str(&exported(Format::Json)).unwrap();
    assert_eq!(
        json["transactions"][0]["transaction"]["entries"][0]["amount"],
        "99999999999999999999999999999999999999"
    );
    let read: Transaction = serde_json::from_value(json["transactions"][1]["transaction"].clone()).unwrap();
    assert_eq!(read, journal()[1]);
}

#[test]
fn an_hledger_journal_reads_as_documented() {
    let text = exported(Format::Hledger);
    assert!(
        text.contains("\ncommodity 1000.000000000000000000 \"2WATT\"\n"),
        "{text}"
    );
    assert!(
        text.contains("\n2026-04-23 * (settlement/e/1) settlement\n"),
        "{text}"
    );
    assert!(
        text.contains("  0 \"2WATT\" = 99999999999999999999.999999999999999999 \"2WATT\"\n"),
        "{text}"
    );
}

proptest! {
    #[test]
    fn no_two_accounts_have_one_name_in_beancount(one in "[A-Za-z0-9._:-]{1,12}", other in "[A-Za-z0-9._:-]{1,12}") {
        let name = |holder: &str| beancount::account(&AccountName::beneficiary(holder).unwrap());
        prop_assert_eq!(name(&one) == name(&other), one == other);
        let allowed = name(&one).bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b':');
        prop_assert!(allowed && name(&one).matches(':').count() == 2);
    }
}
