//! Fitting the lexical encoder: one pass over all texts counts how common each n-gram is.
//!
//! Fitted anew each time the workspace has grown to four times its size, since every vector changes with it: so the
//! cost stays proportional to the text, and an ordinary night changes nothing.

use super::{Commit, Ctx, Grain, Inputs, Listing, Progress, Settings, Shared, Stage, Unit, embed, table};
use crate::engine::model::{KnownModel, OpenEncoder};
use crate::error::Result;
use crate::model::Encoder as _;
use crate::model::lexical::LexicalFit;
use crate::store::table::Table;

/// Raised when the same texts give another model.
pub const VERSION: u32 = 1;

/// The stage.
#[derive(Debug)]
pub struct Fit;

/// The name under which the fitted model is kept.
pub const ARTEFACT: &str = "lexical";

impl Stage for Fit {
    fn name(&self) -> &'static str {
        "fit"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "model"
    }

    fn grain(&self) -> Grain {
        Grain::Workspace
    }

    fn after(&self) -> &'static [&'static str] {
        &["segment"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Sentence]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::Artefact]
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "fit": table(&settings.get::<embed::Params>()?.lexical)? }))
    }

    /// The one model.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        if !ctx.settings::<embed::Params>()?.is_lexical() {
            return Ok(Listing::Idle);
        }
        let texts = ctx.store()?.text_count(ctx.languages())?;
        if texts == 0 {
            return Ok(Listing::All(Vec::new()));
        }
        // On purpose no fingerprint of the texts: the model is made anew when there are four times as many.
        let inputs = Inputs::new().table(Table::Sentence, &format!("size class {}", size_class(texts)));
        Ok(Listing::All(vec![Unit::new(ARTEFACT, inputs)]))
    }

    /// Walks over all texts. Memory: 1 MB.
    fn run(&self, ctx: &Ctx<'_>, _unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let mut fit = LexicalFit::new(ctx.settings::<embed::Params>()?.lexical)?;
        ctx.store()?.for_each_text(ctx.languages(), |text| {
            fit.add(text);
            progress.check()
        })?;
        let model = fit.finish();
        let data = model.to_bytes();
        Ok(Commit::new(model.id().0.clone(), move |writer, _| writer.put_artefact(ARTEFACT, &data)))
    }

    fn invalidate(&self, shared: &Shared, _scope: &str) {
        shared.forget_all::<KnownModel>();
        shared.forget_all::<OpenEncoder>();
        shared.forget_all::<embed::Queue>();
        shared.forget_all::<std::sync::Mutex<super::neighbours::Pools>>();
    }
}

/// ⌊log₄ n⌋.
fn size_class(texts: u64) -> u32 {
    texts.max(1).ilog2() / 2
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_size_class_is_four_times_the_last() {
        let classes: Vec<_> = [1, 3, 4, 15, 16, 63, 64].iter().map(|n| super::size_class(*n)).collect();
        assert_eq!(classes, [0, 0, 1, 1, 2, 2, 3]);
    }
}
