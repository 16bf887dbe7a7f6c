//! How much a site's profile and the generic extractor agree on a page. They go different ways to the same text, so a
//! layout that changed under the profile shows as a fall of their agreement, without anybody reading the pages.

use super::html::{Extracted, Method};
use crate::metric::shingle_f1;
use crate::record::BlockKind;
use crate::text::fold;

/// Runs of so many words are compared: single words of one language are much alike in any two texts.
const RUN: usize = 4;

/// Texts of fewer words than this are compared by single words: they have hardly any runs.
const SHORT: usize = 2 * RUN;

/// The agreement of what the profile takes with what the generic extractor takes from the same page, 0 to 1; higher is
/// better. 0 when the profile's body selects nothing and the generic extractor finds a text. `None` when there is no
/// text at all.
pub fn agreement(by_profile: &Extracted, generic: &Extracted) -> Option<f64> {
    if by_profile.method == Method::Generic {
        return (!generic.blocks.is_empty()).then_some(0.0);
    }
    let (one, other) = (folded(&by_profile.blocks), folded(&generic.blocks));
    let (one, other): (Vec<&str>, Vec<&str>) = (one.split_whitespace().collect(), other.split_whitespace().collect());
    let run = if one.len().min(other.len()) < SHORT { 1 } else { RUN };
    shingle_f1(&one, &other, run)
}

fn folded(blocks: &[(BlockKind, String)]) -> String {
    let texts: Vec<String> = blocks.iter().map(|(_, text)| fold(text)).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::html::extract;
    use super::super::profile::Profile;
    use super::*;

    const LONG: &str = "Новый мост через реку открыли в понедельник утром, и по нему сразу пошли машины.";

    fn of(html: &str, body: &str) -> Option<f64> {
        let url = Url::parse("https://a.test/ru/1").unwrap();
        let profile = Profile { body: vec![body.into()], ..Profile::default() }.compile().unwrap();
        agreement(&extract(html, &url, Some(&profile)), &extract(html, &url, None))
    }

    #[test]
    fn the_same_text_half_of_it_and_none() {
        let html = format!("<article><p>{LONG}</p><p class=end>{}</p></article>", LONG.replace("мост", "порт"));
        assert_eq!(of(&html, "article"), Some(1.0));
        let half = of(&html, ".end").unwrap();
        assert!((0.5..0.8).contains(&half), "{half}");
        assert_eq!(of(&html, ".moved"), Some(0.0));
        assert_eq!(of("<body></body>", ".moved"), None);
    }

    #[test]
    fn a_short_text_is_compared_word_by_word() {
        // Four words, of which the generic extractor takes all, and the profile three.
        let html = "<article><p><b>мост сегодня открыт</b> утром</p></article>";
        let value = of(html, "b").unwrap();
        assert!((value - 6.0 / 7.0).abs() < 1e-9, "{value}");
    }
}
