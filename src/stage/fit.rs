//! Fitting the lexical encoder: one pass over all texts counts how common each n-gram is.
//!
//! Fitted anew when the workspace has at least twice the distinct texts of the last fit, or less than an eighth, since
//! every vector changes with it: so the cost stays proportional to the text, and an ordinary run changes nothing,
//! whatever size the workspace has.

use super::{Listing, Look, Output, Records, Stage, Unit, Work};
use crate::error::Result;
use crate::model::Encoder as _;
use crate::model::lexical::{LexicalFit, LexicalParams};

/// Raised when the same texts give another model.
pub const VERSION: u32 = 1;

/// The name under which the fitted model is kept.
pub const ARTEFACT: &str = "lexical";

/// The one model.
///
/// # Errors
/// Kind `Store`.
pub fn units(look: &Look<'_>) -> Result<Listing> {
    let texts = look.store.text_count(look.languages.both())?;
    if texts == 0 {
        return Ok(Listing::All(Vec::new()));
    }
    // The input of the unit is the size that the last fit saw, for as long as that serves.
    let row = look.store.units(Stage::Fit.name())?.remove(ARTEFACT);
    let fitted = row.filter(|row| row.done && row.key == look.key).and_then(|row| size_of(&row.input));
    let size = fitted.filter(|fitted| serves(*fitted, texts)).unwrap_or(texts);
    Ok(Listing::All(vec![Unit::new(ARTEFACT, input(size))]))
}

/// Whether a model that was fitted on so many texts still serves for `now`.
fn serves(fitted: u64, now: u64) -> bool {
    now < fitted.saturating_mul(2) && now >= fitted / 8
}

fn input(texts: u64) -> String {
    format!("{texts} texts")
}

/// Reads [`input`].
fn size_of(input: &str) -> Option<u64> {
    input.strip_suffix(" texts")?.parse().ok()
}

/// Walks over all texts. Memory: 1 MB.
///
/// # Errors
/// Kind `Store` or `Config`.
pub fn prepare(look: &Look<'_>, params: LexicalParams) -> Result<Work> {
    let mut fit = LexicalFit::new(params)?;
    look.store.for_each_text(look.languages.both(), |text| {
        fit.add(text);
        Ok(())
    })?;
    let model = fit.finish();
    Ok(Box::new(move || {
        let data = model.to_bytes();
        let fingerprint = model.id().0.clone();
        Ok(Output { records: Records::Artefact { name: ARTEFACT.into(), data }, fingerprint, counts: Vec::new() })
    }))
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
    fn the_size_reads_back_from_the_units_input() {
        assert_eq!(size_of(&input(65_537)), Some(65_537));
        assert_eq!(size_of("size class 8"), None);
    }
}
