//! The language pairs of a pipeline, and the tables that single pairs override.

use serde::Deserialize as _;
use toml::{Table, Value};

use super::Pipeline;
use crate::error::{Error, Result};
use crate::record::Scope;

/// Tables that `[scope.NAME]` may override: those of the stages that run for each language pair.
const TABLES: [&str; 12] = [
    "match",
    "align",
    "neighbours",
    "mine",
    "adjudicate",
    "calibrate",
    "filter",
    "dedup",
    "evaluate",
    "annotate",
    "export",
    "dataset",
];

impl Pipeline {
    /// The language pairs, in the file's order; never none.
    pub fn scopes(&self) -> Vec<Scope> {
        match (self.source, self.target) {
            (Some(source), Some(target)) => vec![Scope { source, target }],
            _ => self.pairs.iter().map(|[source, target]| Scope { source: *source, target: *target }).collect(),
        }
    }

    /// The settings of a language pair: the tables of the file, with what `[scope.NAME]` sets laid over them.
    pub fn settings(&self, scope: Scope) -> &Self {
        self.scoped.iter().find(|(own, _)| *own == scope).map_or(self, |(_, settings)| settings)
    }

    /// The only language pair, or the one that is named.
    ///
    /// # Errors
    /// Kind `Usage`, naming the pairs that there are.
    pub fn scope_named(&self, name: Option<&str>) -> Result<Scope> {
        let scopes = self.scopes();
        let names = || scopes.iter().map(Scope::name).collect::<Vec<_>>().join(", ");
        let wrong = |message: String| Err(Error::new(crate::error::ErrorKind::Usage, message));
        match (name, scopes.as_slice()) {
            (None, [only]) => Ok(*only),
            (None, _) => wrong(format!("the pipeline has several language pairs; choose one with --pair: {}", names())),
            (Some(name), _) => match scopes.iter().find(|scope| scope.name() == name) {
                Some(scope) => Ok(*scope),
                None => wrong(format!("the pipeline has no language pair {name:?}; it has {}", names())),
            },
        }
    }

    /// Checks the language pairs.
    pub(super) fn check_pairs(&self, name: &str) -> Result<()> {
        let wrong = |message: String| Err(Error::config(format!("{name}: {message}")));
        match (self.source, self.target, self.pairs.as_slice()) {
            (Some(_), Some(_), []) | (None, None, [_, ..]) => {}
            (None, None, []) => {
                return wrong(
                    "the languages are missing: source = \"ru\" and target = \"tk\", or pairs = [[\"ru\", \"tk\"], …]"
                        .into(),
                );
            }
            (Some(_), None, []) => return wrong("target is missing beside source".into()),
            (None, Some(_), []) => return wrong("source is missing beside target".into()),
            (_, _, [_, ..]) => return wrong("source and target, and pairs: give one of both".into()),
        }
        let scopes = self.scopes();
        for (place, scope) in scopes.iter().enumerate() {
            if scope.source == scope.target {
                return wrong(format!("source and target are both {}", scope.source));
            }
            for other in &scopes[..place] {
                if other == scope {
                    return wrong(format!("pairs names {scope} twice"));
                }
                if (other.source, other.target) == (scope.target, scope.source) {
                    return wrong(format!("pairs names {other} and {scope}: one direction serves both"));
                }
            }
        }
        for (scope, tables) in &self.scope {
            if !scopes.iter().any(|own| own.name() == *scope) {
                let names: Vec<String> = scopes.iter().map(Scope::name).collect();
                return wrong(format!(
                    "[scope.{scope}]: there is no such language pair; there is {}",
                    names.join(", ")
                ));
            }
            for (table, value) in tables {
                if !TABLES.contains(&table.as_str()) {
                    return wrong(format!(
                        "[scope.{scope}.{table}]: a language pair may override {}; everything else is shared by all",
                        TABLES.join(", ")
                    ));
                }
                if !value.is_table() {
                    return wrong(format!("scope.{scope}.{table} = {value}: a table is wanted"));
                }
            }
        }
        Ok(())
    }

    /// Lays the overrides of each language pair over the file's tables.
    pub(super) fn with_scopes(mut self, name: &str, file: &Table) -> Result<Self> {
        let mut scoped = Vec::new();
        for scope in self.scopes() {
            let Some(over) = self.scope.get(&scope.name()) else { continue };
            let mut table = file.clone();
            table.remove("scope");
            merge(&mut table, over);
            let settings = Self::deserialize(Value::Table(table)).map_err(|error| {
                let message = error.message();
                let hint = super::config::nearest_hint(message);
                Error::config(format!("{name}: [scope.{scope}]: {message}{hint}"))
            })?;
            let (folder, file, extract) = (self.folder.clone(), self.file.clone(), self.extract.clone());
            let settings = Self { folder, file, extract, ..settings };
            settings.check_tables(&format!("{name}: scope.{scope}"))?;
            scoped.push((scope, settings));
        }
        self.scoped = scoped;
        Ok(self)
    }
}

/// Lays a table over another, key by key.
fn merge(under: &mut Table, over: &Table) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const HEAD: &str = "version = 1\nname = \"t\"\nworkspace = \"w\"\n";

    fn parse(more: &str, sets: &[&str]) -> Result<Pipeline> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Pipeline::parse(&format!("{HEAD}{more}"), "t.toml", PathBuf::from("pipelines"), &sets)
    }

    const TWO: &str = "pairs = [[\"ru\", \"tk\"], [\"uz\", \"tk\"]]\n";

    #[test]
    fn each_pair_has_the_files_tables_with_its_own_laid_over() {
        let more = format!(
            "{TWO}[mine]\nmin-margin = 1.1\nmax-margin = 5.0\n[scope.uz-tk.mine]\nmin-margin = 1.3\n\
             [scope.uz-tk.export]\nfiles = [{{ format = \"tsv\", path = \"a.tsv\" }}]\n"
        );
        let pipeline = parse(&more, &["scope.ru-tk.mine.min-margin=1.2"]).unwrap();
        let scopes = pipeline.scopes();
        assert_eq!(scopes.iter().map(Scope::name).collect::<Vec<_>>(), ["ru-tk", "uz-tk"]);
        let of = |place: usize| {
            let settings = pipeline.settings(scopes[place]);
            (settings.mine.min_margin, settings.mine.max_margin, settings.export.files.len())
        };
        assert_eq!((of(0), of(1)), ((1.2, 5.0, 0), (1.3, 5.0, 1)));
        let origins = pipeline.origins(&format!("{HEAD}{more}"), &["scope.ru-tk.mine.min-margin=1.2".into()]).unwrap();
        let layer = |key: &str| origins.iter().find(|(other, ..)| other == key).map(|(.., layer)| *layer);
        assert_eq!(layer("scope.ru-tk.mine.min-margin"), Some("--set"));
        assert_eq!(layer("scope.uz-tk.mine.min-margin"), Some("file"));
        assert_eq!(pipeline.scope_named(Some("uz-tk")).unwrap(), scopes[1]);
        assert!(pipeline.scope_named(None).unwrap_err().to_string().contains("ru-tk, uz-tk"));
        let printed = toml::to_string(&pipeline).unwrap();
        assert_eq!(Pipeline::parse(&printed, "again", PathBuf::from("pipelines"), &[]).unwrap(), pipeline);
    }

    #[test]
    fn a_single_pair_may_be_written_either_way() {
        let short = parse("source = \"ru\"\ntarget = \"tk\"\n", &[]).unwrap();
        let long = parse("pairs = [[\"ru\", \"tk\"]]\n", &[]).unwrap();
        assert_eq!(short.scopes(), long.scopes());
        assert_eq!(long.scope_named(None).unwrap().name(), "ru-tk");
        assert!(short.scope_named(Some("ru-uz")).unwrap_err().to_string().contains("it has ru-tk"));
    }

    #[test]
    fn what_is_wrong_with_the_pairs_is_told() {
        for (more, told) in [
            ("", "the languages are missing"),
            ("source = \"ru\"\n", "target is missing"),
            ("target = \"ru\"\n", "source is missing"),
            ("source = \"ru\"\ntarget = \"tk\"\npairs = [[\"uz\", \"tk\"]]\n", "give one of both"),
            ("pairs = [[\"ru\", \"ru\"]]\n", "both ru"),
            ("pairs = [[\"ru\", \"tk\"], [\"ru\", \"tk\"]]\n", "ru-tk twice"),
            ("pairs = [[\"ru\", \"tk\"], [\"tk\", \"ru\"]]\n", "one direction serves both"),
            ("pairs = [[\"ru\", \"tk\"]]\n[scope.uz-tk.mine]\n", "there is ru-tk"),
            ("pairs = [[\"ru\", \"tk\"]]\n[scope.ru-tk.embed]\nmodel = \"x\"\n", "may override match, align"),
            ("pairs = [[\"ru\", \"tk\"]]\n[scope.ru-tk]\nmine = 1\n", "a table is wanted"),
            ("pairs = [[\"ru\", \"tk\"]]\n[scope.ru-tk.mine]\nmin-margn = 1.0\n", "did you mean `min-margin`?"),
            ("pairs = [[\"ru\", \"tk\"]]\n[scope.ru-tk.dedup]\nnear = 2.0\n", "scope.ru-tk: dedup.near = 2"),
        ] {
            let error = parse(more, &[]).unwrap_err().to_string();
            assert!(error.contains("t.toml") && error.contains(told), "{more}: {error}");
        }
    }
}
