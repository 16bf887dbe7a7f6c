//! Units of work and what they read.

use crate::model::ModelId;
use crate::store::table::Table;

/// What a part of an input stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cover {
    /// Rows of a table.
    Table(Table),
    /// Everything that a stage writes.
    Stage(&'static str),
}

/// What a unit reads, part by part. It becomes the unit's input fingerprint; and what each part stands for is kept, so
/// that a test can compare it with the tables that the unit did read.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    hasher: blake3::Hasher,
    covers: Vec<Cover>,
}

impl Inputs {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn part(mut self, label: &str, fingerprint: &str) -> Self {
        for text in [label, fingerprint] {
            self.hasher.update(&(text.len() as u64).to_le_bytes());
            self.hasher.update(text.as_bytes());
        }
        self
    }

    /// Rows of a table.
    #[must_use]
    pub fn table(self, table: Table, fingerprint: &str) -> Self {
        self.tables(&[table], fingerprint)
    }

    /// Rows of several tables, by one fingerprint that changes when any of them does.
    #[must_use]
    pub fn tables(mut self, tables: &[Table], fingerprint: &str) -> Self {
        self.covers.extend(tables.iter().map(|table| Cover::Table(*table)));
        let names: Vec<&str> = tables.iter().map(|table| table.name()).collect();
        self.part(&names.join(" "), fingerprint)
    }

    /// The output of a stage, or of a unit of it: it stands for all that the stage writes.
    #[must_use]
    pub fn output(mut self, stage: &'static str, fingerprint: &str) -> Self {
        self.covers.push(Cover::Stage(stage));
        self.part(stage, fingerprint)
    }

    /// The encoder. Its id stands for the vectors of every text, and for its own fitted state.
    #[must_use]
    pub fn model(mut self, model: &ModelId) -> Self {
        self.covers.extend([Table::Vector, Table::Shard, Table::NoVector, Table::Artefact].map(Cover::Table));
        self.part("model", &model.0)
    }

    /// Something that is no table: a file's hash, a setting.
    #[must_use]
    pub fn value(self, name: &str, fingerprint: &str) -> Self {
        self.part(name, fingerprint)
    }

    /// The hash of all parts: 32 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        self.hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// A unit of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name inside the stage and scope.
    pub name: String,
    /// Fingerprint of what it reads.
    pub input: String,
    /// Its output file is missing: it runs again even if the ledger says that it is done.
    pub lost: bool,
    /// Fingerprint of the limits under which it runs, if its failures may be permanent ones: such a failure stands until
    /// the limits change.
    pub limits: Option<String>,
    pub(super) covers: Vec<Cover>,
}

impl Unit {
    /// A unit.
    pub fn new(name: impl Into<String>, inputs: Inputs) -> Self {
        Self { name: name.into(), input: inputs.fingerprint(), lost: false, limits: None, covers: inputs.covers }
    }

    /// The same, run again if its output file is missing.
    #[must_use]
    pub fn lost(self, lost: bool) -> Self {
        Self { lost, ..self }
    }

    /// The same, whose permanent failures stand until these limits change.
    #[must_use]
    pub fn limited(self, limits: impl Into<String>) -> Self {
        Self { limits: Some(limits.into()), ..self }
    }
}

/// The units of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// There is nothing to work with (no encoder yet): the ledger stays as it is.
    Idle,
    /// All there are: those in the ledger but not here are retracted, with their records.
    All(Vec<Unit>),
    /// Of a queue, the next to do; asked again after it. All its units share few rows of the ledger.
    Next {
        /// The unit; `None`: the queue is empty.
        unit: Option<Unit>,
        /// What waits, in the noun below, this unit's included.
        left: u64,
        /// What is done.
        done: u64,
        /// What the queue holds, in the singular.
        noun: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_depends_on_each_part_its_label_and_the_order() {
        let of = |inputs: Inputs| inputs.fingerprint();
        let one = of(Inputs::new().table(Table::TextPair, "a").value("x", "b"));
        assert_eq!(one, of(Inputs::new().table(Table::TextPair, "a").value("x", "b")));
        for other in [
            Inputs::new().table(Table::TextPair, "a").value("x", "c"),
            Inputs::new().table(Table::TextPair, "a").value("y", "b"),
            Inputs::new().table(Table::Verdict, "a").value("x", "b"),
            Inputs::new().value("x", "b").table(Table::TextPair, "a"),
            Inputs::new().table(Table::TextPair, "ax").value("", "b"),
        ] {
            assert_ne!(one, of(other));
        }
    }
}
