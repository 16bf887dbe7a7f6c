//! Fitting the lexical encoder: one pass over all texts counts how common each n-gram is.
//!
//! Fitted anew each time the workspace has grown to four times its size, since every vector changes with it: so the
//! cost stays proportional to the text, and an ordinary night changes nothing.

use super::{Listing, Look, Output, Records, Unit, Work};
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
    let units =
        if texts == 0 { Vec::new() } else { vec![Unit::new(ARTEFACT, format!("size class {}", size_class(texts)))] };
    Ok(Listing::All(units))
}

/// ⌊log₄ n⌋.
fn size_class(texts: u64) -> u32 {
    texts.max(1).ilog2() / 2
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
    #[test]
    fn a_size_class_is_four_times_the_last() {
        let classes: Vec<_> = [1, 3, 4, 15, 16, 63, 64].iter().map(|n| super::size_class(*n)).collect();
        assert_eq!(classes, [0, 0, 1, 1, 2, 2, 3]);
    }
}
