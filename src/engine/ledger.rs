//! What the rows of the ledger mean for a listing.

use std::collections::BTreeMap;

use super::Unit;
use crate::store::units::UnitRow;

/// A listing, held against the ledger.
#[derive(Debug, Default)]
pub struct Compared {
    /// Units to do.
    pub pending: Vec<Unit>,
    /// Names of those that failed for a permanent reason and are not tried again.
    pub given_up: Vec<String>,
    /// How many need nothing.
    pub unchanged: u64,
    /// Names of those whose input is gone.
    pub gone: Vec<String>,
}

/// Holds all units of a stage against its rows.
pub fn compare(units: Vec<Unit>, mut ledger: BTreeMap<String, UnitRow>, key: &str) -> Compared {
    let mut compared = Compared::default();
    for unit in units {
        let row = ledger.remove(&unit.name);
        if is_pending(&unit, row.as_ref(), key) {
            compared.pending.push(unit);
        } else if row.is_some_and(|row| !row.done) {
            compared.given_up.push(unit.name);
        } else {
            compared.unchanged += 1;
        }
    }
    compared.gone = ledger.into_keys().collect();
    compared
}

/// Whether a unit is to be done: it is new, its input, its stage's key or its output file changed, or it failed. A
/// permanent failure is tried again only when input, key or limits change.
pub fn is_pending(unit: &Unit, row: Option<&UnitRow>, key: &str) -> bool {
    let settled = |row: &UnitRow| row.done || (row.given_up.is_some() && row.given_up == unit.limits);
    unit.lost || row.is_none_or(|row| !settled(row) || row.key != key || row.input != unit.input)
}

/// Says which units are known to fail.
pub fn given_up_in_words(units: &[String]) -> Option<String> {
    /// Units that are named.
    const NAMED: usize = 3;
    let first = units.get(..units.len().min(NAMED)).filter(|first| !first.is_empty())?.join(", ");
    let more = if units.len() > NAMED { ", …" } else { "" };
    Some(format!(
        "not tried again until the files, the limits or kopri change: {} that failed before: {first}{more}",
        units.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Inputs;

    fn unit(name: &str) -> Unit {
        Unit::new(name, Inputs::new().value("x", name))
    }

    fn row(name: &str, done: bool, given_up: Option<&str>) -> UnitRow {
        UnitRow {
            unit: name.into(),
            key: "k".into(),
            input: unit(name).input,
            output: "o".into(),
            done,
            given_up: given_up.map(str::to_owned),
        }
    }

    #[test]
    fn new_changed_and_failed_units_are_pending_and_the_rest_is_not() {
        let limited = Unit { limits: Some("l".into()), ..unit("a") };
        assert!(is_pending(&unit("a"), None, "k"));
        assert!(!is_pending(&unit("a"), Some(&row("a", true, None)), "k"));
        assert!(is_pending(&unit("a"), Some(&row("a", true, None)), "other key"));
        assert!(is_pending(&Unit { input: "other".into(), ..unit("a") }, Some(&row("a", true, None)), "k"));
        assert!(is_pending(&Unit { lost: true, ..unit("a") }, Some(&row("a", true, None)), "k"));
        assert!(is_pending(&unit("a"), Some(&row("a", false, None)), "k"), "a failure is tried again");
        assert!(!is_pending(&limited, Some(&row("a", false, Some("l"))), "k"), "a permanent one is not");
        assert!(is_pending(&limited, Some(&row("a", false, Some("other limits"))), "k"));
    }

    #[test]
    fn what_is_in_the_ledger_and_not_listed_is_gone() {
        let rows = ["a", "b", "c"].map(|name| (name.to_owned(), row(name, name != "b", Some("l"))));
        let units = vec![unit("a"), Unit { limits: Some("l".into()), ..unit("b") }, unit("d")];
        let compared = compare(units, BTreeMap::from(rows), "k");
        assert_eq!(compared.pending.iter().map(|unit| unit.name.as_str()).collect::<Vec<_>>(), ["d"]);
        assert_eq!((compared.unchanged, compared.given_up, compared.gone), (1, vec!["b".into()], vec!["c".into()]));
    }
}
