//! Fitting the lexical encoder: one pass over all texts counts how common each n-gram is.
//!
//! Fitted anew when the workspace has at least twice the distinct texts of the last fit, or less than an eighth, since
//! every vector changes with it: so the cost stays proportional to the text, and an ordinary run changes nothing,
//! whatever size the workspace has.

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
        // On purpose no fingerprint of the texts: the input is their number at the last fit, for as long as that serves.
        let fitted = ctx.unit_output("fit", ARTEFACT)?.as_deref().and_then(size_of);
        let size = fitted.filter(|fitted| serves(*fitted, texts)).unwrap_or(texts);
        let inputs = Inputs::new().table(Table::Sentence, &size.to_string());
        Ok(Listing::All(vec![Unit::new(ARTEFACT, inputs)]))
    }

    /// Walks over all texts. Memory: 1 MB.
    fn run(&self, ctx: &Ctx<'_>, _unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let texts = ctx.store()?.text_count(ctx.languages())?;
        let mut fit = LexicalFit::new(ctx.settings::<embed::Params>()?.lexical)?;
        ctx.store()?.for_each_text(ctx.languages(), |text| {
            fit.add(text);
            progress.check()
        })?;
        let model = fit.finish();
        let data = model.to_bytes();
        let output = format!("{} of {texts} texts", model.id());
        Ok(Commit::new(output, move |writer, _| writer.put_artefact(ARTEFACT, &data)))
    }

    fn invalidate(&self, shared: &Shared, _scope: &str) {
        shared.forget_all::<KnownModel>();
        shared.forget_all::<OpenEncoder>();
        shared.forget_all::<embed::Queue>();
        shared.forget_all::<std::sync::Mutex<super::neighbours::Pools>>();
    }
}

/// Whether a model that was fitted on so many texts still serves for `now`.
fn serves(fitted: u64, now: u64) -> bool {
    now < fitted.saturating_mul(2) && now >= fitted / 8
}

/// The number of texts of a fit, from its unit's output.
fn size_of(output: &str) -> Option<u64> {
    output.rsplit_once(" of ")?.1.strip_suffix(" texts")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fitted_anew_at_twice_the_size_and_not_at_each_crossing_of_a_boundary() {
        // How often it is fitted, and on how many texts last.
        let fits = |sizes: &[u64]| {
            let (mut fitted, mut count) = (None, 0);
            for now in sizes {
                if !fitted.is_some_and(|fitted| serves(fitted, *now)) {
                    (fitted, count) = (Some(*now), count + 1);
                }
            }
            (count, fitted)
        };
        assert_eq!(fits(&[65_535, 65_537, 65_530, 65_537, 65_535]), (1, Some(65_535)));
        assert_eq!(fits(&[100, 199, 200, 201, 199, 150]), (2, Some(200)), "at twice the size, once");
        assert_eq!(fits(&[800, 400, 100, 99, 800]), (3, Some(800)), "under an eighth, and back");
        assert_eq!(fits(&[1, 1, 2, 3, 4]), (3, Some(4)));
    }

    #[test]
    fn the_size_reads_back_from_the_units_output() {
        assert_eq!(size_of("lexical-0a1b of 65537 texts"), Some(65_537));
        assert_eq!(size_of("lexical-0a1b"), None);
    }
}
