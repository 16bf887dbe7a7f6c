//! Hands the tables of a pipeline over to the engine.

use std::path::Path;
use std::sync::Arc;

use super::Pipeline;
use crate::engine::model::Model;
use crate::engine::plan::{StagePlan, plan};
use crate::engine::{Engine, Settings};
use crate::error::Result;
use crate::stage::extract::Sources;
use crate::stage::{embed, registry};
use crate::store::Store;

impl Pipeline {
    /// The engine of this pipeline, over a workspace that is there.
    ///
    /// # Errors
    /// Kind `Bug`.
    pub fn engine(&self, workspace: &Path) -> Result<Engine> {
        let scopes = self.scopes().into_iter().map(|scope| (scope, self.tables(self.settings(scope)))).collect();
        Engine::new(registry(), workspace, self.tables(self), scopes)
    }

    /// The plan of this pipeline in its workspace, stage by stage. Crawling is not in it: what is due is known to the web.
    ///
    /// # Errors
    /// Kind `Store`; kind `Model` when the encoder's folder is none.
    pub fn plan(&self, store: &Store) -> Result<Vec<StagePlan>> {
        let engine = self.engine(store.folder())?;
        let plans = plan(&engine, store)?;
        // A cache: where it cannot be written, as in a workspace of somebody else, the next look takes as long as this.
        let _ = engine.save_hashes();
        Ok(plans)
    }

    /// The settings of the workspace with the tables of a language pair in place of those that the pairs share.
    fn tables(&self, scoped: &Self) -> Settings {
        Settings::new(&self.folder)
            .with(Sources { sites: self.site.clone(), shelves: self.shelf.clone(), reader: self.reader.clone() })
            .with(Model(Arc::new(embed::Source { params: self.embed.clone(), folder: self.folder.clone() })))
            .with(self.extract.clone())
            .with(self.segment.clone())
            .with(self.embed.clone())
            .with(scoped.matching.clone())
            .with(scoped.align.clone())
            .with(scoped.neighbours.clone())
            .with(scoped.mine.clone())
            .with(scoped.adjudicate.clone())
            .with(scoped.calibrate.clone())
            .with(scoped.filter.clone())
            .with(scoped.dedup.clone())
            .with(scoped.evaluate.clone())
            .with(scoped.annotate.clone())
            .with(scoped.export.clone())
            .with(scoped.dataset.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::engine::Grain;
    use crate::engine::key::{StageKey, differences, stage_key};

    fn pipeline(sets: &[&str]) -> Pipeline {
        let text = "version = 1\nname = \"t\"\nsource = \"ru\"\ntarget = \"tk\"\nworkspace = \"w\"\n";
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Pipeline::parse(text, "t.toml", PathBuf::new(), &sets).unwrap()
    }

    /// The key of each stage, without an encoder.
    fn keys(sets: &[&str]) -> Vec<(&'static str, StageKey)> {
        let pipeline = pipeline(sets);
        let scope = pipeline.scopes()[0];
        let settings = pipeline.tables(pipeline.settings(scope));
        let key = |stage: &dyn crate::engine::Stage| {
            stage_key(stage, &settings, (stage.grain() == Grain::Scope).then_some(scope), None).unwrap()
        };
        registry().stages().iter().map(|stage| (stage.name(), key(*stage))).collect()
    }

    #[test]
    fn the_registry_is_in_order() {
        registry().check().unwrap();
        assert_eq!(registry().names().len(), 16);
    }

    #[test]
    fn a_setting_changes_its_own_stage_alone() {
        for ((stage, old), (_, new)) in keys(&[]).into_iter().zip(keys(&["mine.min-margin=1.5"])) {
            assert_eq!(old.key != new.key, stage == "mine", "{stage}");
        }
    }

    #[test]
    fn a_limit_changes_no_key() {
        let limits = ["embed.limits.batch=7", "neighbours.limits.batch=7", "extract.limits.book-memory=3GB"];
        assert_eq!(keys(&[]), keys(&limits));
    }

    #[test]
    fn every_setting_of_every_table_changes_a_key_unless_it_is_a_limit() {
        let all = toml::Value::try_from(pipeline(&[])).unwrap();
        for table in [
            "extract",
            "segment",
            "embed",
            "match",
            "align",
            "neighbours",
            "mine",
            "adjudicate",
            "calibrate",
            "filter",
            "dedup",
            "annotate",
            "dataset",
        ] {
            for (name, value) in all[table].as_table().unwrap() {
                let other = match value {
                    toml::Value::Integer(number) => (number + 1).to_string(),
                    // Shares stay shares.
                    toml::Value::Float(number) if *number > 0.5 => (number - 0.25).to_string(),
                    toml::Value::Float(number) => (number + 0.25).to_string(),
                    toml::Value::Boolean(flag) => (!flag).to_string(),
                    _ => continue,
                };
                assert_ne!(keys(&[]), keys(&[&format!("{table}.{name}={other}")]), "{table}.{name}");
            }
        }
    }

    #[test]
    fn a_difference_is_told_in_words() {
        let of = |sets| keys(sets).into_iter().find(|(stage, _)| *stage == "mine").unwrap().1.parts;
        assert_eq!(differences(&of(&[]), &of(&["mine.min-margin=1.5"])), ["mine.min-margin 1.06 → 1.5"]);
    }
}
