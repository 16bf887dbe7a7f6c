//! Holds what a stage reads against what it declares, and what it declares against its units' inputs: a table that is
//! read and not part of the input makes results that do not change when they should.

use std::collections::BTreeSet;

use super::unit::Cover;
use super::{Registry, Stage, Unit};
use crate::store::table::Table;

/// Tables among the names that were read; the ledger's own and views are none.
fn tables(read: &[String]) -> BTreeSet<Table> {
    read.iter().filter_map(|name| Table::of_name(name)).collect()
}

fn covered(registry: Registry, unit: &Unit) -> BTreeSet<Table> {
    let of = |cover: &Cover| match *cover {
        Cover::Table(table) => vec![table],
        Cover::Stage(stage) => registry.find(stage).map_or(Vec::new(), |stage| stage.writes().to_vec()),
    };
    unit.covers.iter().flat_map(of).collect()
}

/// What is wrong with a stage's listing, in words: a table that it read and did not declare, or declared and put into no
/// unit's input.
pub fn listing(registry: Registry, stage: &dyn Stage, read: &[String], units: &[Unit]) -> Vec<String> {
    let declared: BTreeSet<Table> = stage.reads().iter().chain(stage.writes()).copied().collect();
    let undeclared = tables(read).into_iter().filter(|table| !declared.contains(table));
    let mut wrong: Vec<String> = undeclared
        .map(|table| format!("{} reads {} when it lists, and does not declare it", stage.name(), table.name()))
        .collect();
    if !units.is_empty() {
        let covered: BTreeSet<Table> = units.iter().flat_map(|unit| covered(registry, unit)).collect();
        let missing = stage.reads().iter().filter(|table| !covered.contains(table));
        wrong.extend(missing.map(|table| {
            format!("{} declares that it reads {}, and no unit's input covers it", stage.name(), table.name())
        }));
    }
    wrong
}

/// What is wrong with a unit that ran, in words: a table that it read and the stage did not declare, or that its input
/// does not cover.
pub fn unit(registry: Registry, stage: &dyn Stage, read: &[String], unit: &Unit) -> Vec<String> {
    let covered = covered(registry, unit);
    let mut wrong = Vec::new();
    for table in tables(read).into_iter().filter(|table| !stage.writes().contains(table)) {
        let (name, table_name) = (stage.name(), table.name());
        if !stage.reads().contains(&table) {
            wrong.push(format!("{name} reads {table_name} for {}, and does not declare it", unit.name));
        } else if !covered.contains(&table) {
            wrong.push(format!("{name} reads {table_name} for {}, and the unit's input does not cover it", unit.name));
        }
    }
    wrong
}
