//! Languages that are mistaken for each other: what a text of a pipeline may be taken for besides the pipeline's own.
//!
//! The identifier answers only languages that it may answer. Without its neighbours among them, an Azerbaijani page of a
//! Turkmen site would be Turkmen or nothing.

use crate::record::Language;

/// Languages that share a script and many words, or many letters. A code that the program does not know by name has no
/// effect.
static GROUPS: &[&[&str]] = &[
    &["tk", "tk-Cyrl", "tr", "az", "uz", "gag", "crh"],
    &["tk-Cyrl", "uz-Cyrl", "kk", "ky", "tt", "ba", "tg"],
    &["uz", "uz-Cyrl"],
    &["az", "az-Cyrl"],
    &["kk", "kk-Latn"],
    &["tg", "uz-Cyrl"],
    &["ru", "uk", "be", "bg", "sr", "mk"],
    &["de", "nl", "lb", "af", "fy"],
    &["es", "pt", "gl", "ca", "it"],
    &["fr", "ca", "it", "oc"],
    &["ro", "it"],
    &["pl", "cs", "sk", "sl", "hr"],
    &["bs", "hr", "sr-Latn", "sl"],
    &["no", "nb", "nn", "da", "sv"],
    &["id", "ms"],
    &["et", "fi"],
    &["lt", "lv"],
    &["hi", "mr", "ne"],
    &["ar", "fa", "ur", "ps", "ckb", "ug"],
    &["zh", "ja"],
];

/// What the texts of a pipeline in these languages may be taken for: the languages themselves, in their order, then those
/// that they are mistaken for, and English, which sites in any language hold pages of.
pub fn candidates(languages: &[Language]) -> Vec<Language> {
    let related = |other: &Language| {
        GROUPS.iter().any(|group| {
            group.contains(&other.code()) && languages.iter().any(|language| group.contains(&language.code()))
        })
    };
    let mut candidates: Vec<Language> = Vec::new();
    for language in languages.iter().copied().chain(Language::all().filter(related)).chain([Language::ENGLISH]) {
        if !candidates.contains(&language) {
            candidates.push(language);
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(codes: &[&str]) -> Vec<&'static str> {
        let languages: Vec<Language> = codes.iter().map(|code| code.parse().unwrap()).collect();
        candidates(&languages).into_iter().map(Language::code).collect()
    }

    #[test]
    fn the_languages_come_first_and_their_neighbours_after() {
        let german = of(&["de", "fr"]);
        assert_eq!(german[..2], ["de", "fr"]);
        assert!(german.contains(&"nl") && german.contains(&"en") && !german.contains(&"ru"), "{german:?}");
        let turkmen = of(&["ru", "tk"]);
        for code in ["uk", "be", "tr", "az", "uz", "tk-Cyrl"] {
            assert!(turkmen.contains(&code), "{turkmen:?}");
        }
        assert!(of(&["hi"]).contains(&"mr") && of(&["fa"]).contains(&"ar"));
    }

    #[test]
    fn several_pairs_make_one_list_without_repeats() {
        let mut all = of(&["ru", "tk", "uz", "tk", "en", "tk"]);
        assert_eq!(all[..4], ["ru", "tk", "uz", "en"]);
        let length = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), length);
    }
}
