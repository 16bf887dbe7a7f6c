//! Whether the documents are in the languages that the pipeline is about.

use super::Pipeline;
use crate::error::Result;
use crate::record::Language;
use crate::store::Store;

/// Documents from which on a share of them means something.
const ENOUGH: u64 = 5;

/// What is doubtful about the languages of the documents, in words, with what to do about it.
///
/// # Errors
/// Kind `Store`.
pub(super) fn doubts(store: &Store, pipeline: &Pipeline) -> Result<Vec<String>> {
    // A workspace of imported pairs has no documents.
    if pipeline.site.is_empty() && pipeline.shelf.is_empty() {
        return Ok(Vec::new());
    }
    Ok(in_words(&store.document_languages()?, &pipeline.all_languages(), &pipeline.extract.languages))
}

fn in_words(counts: &[(Option<Language>, u64)], wanted: &[Language], candidates: &[Language]) -> Vec<String> {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let of = |wanted: Option<Language>| -> u64 {
        counts.iter().filter(|(language, _)| *language == wanted).map(|(_, count)| count).sum()
    };
    let unknown = of(None);
    let mut doubts = Vec::new();
    if all >= ENOUGH && 2 * unknown > all {
        let candidates: Vec<_> = candidates.iter().map(|language| language.code()).collect();
        doubts.push(format!(
            "{unknown} of {all} documents have no language, so no pairs come of them: their text is in none of the candidates \
             ({}), or tells too little and no page, address or site declares a language. Look at some with `kopri show`; \
             then add candidates to extract.languages, or set `language` of a site that has one language",
            candidates.join(", ")
        ));
    }
    for language in wanted {
        if of(Some(*language)) == 0 {
            let others: Vec<_> = counts
                .iter()
                .map(|(language, count)| format!("{count} {}", language.map_or("without a language", Language::code)))
                .collect();
            let others = if others.is_empty() { "there are no documents at all".into() } else { others.join(", ") };
            doubts.push(format!(
                "no document is in {} ({language}), a language of the pipeline: {others}. Check the sites' seeds and \
                 articles, the manifests of the books, and `source` and `target`",
                language.name()
            ));
        }
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubts(counts: &[(Option<&str>, u64)]) -> Vec<String> {
        let language = |code: &str| code.parse::<Language>().unwrap();
        let counts: Vec<_> = counts.iter().map(|(code, count)| (code.map(language), *count)).collect();
        in_words(&counts, &[language("de"), language("fr")], &[language("de"), language("fr"), language("nl")])
    }

    #[test]
    fn more_than_half_without_a_language_is_doubtful_from_five_on() {
        assert_eq!(doubts(&[(None, 5), (Some("de"), 3), (Some("fr"), 2)]), Vec::<String>::new());
        let told = doubts(&[(None, 6), (Some("de"), 3), (Some("fr"), 2)]);
        assert!(
            told.len() == 1 && told[0].starts_with("6 of 11 documents") && told[0].contains("de, fr, nl"),
            "{told:?}"
        );
        assert_eq!(doubts(&[(None, 2), (Some("de"), 1), (Some("fr"), 1)]), Vec::<String>::new());
    }

    #[test]
    fn a_language_without_a_document_is_doubtful() {
        let told = doubts(&[(None, 1), (Some("de"), 7)]);
        assert!(told.len() == 1 && told[0].contains("in French (fr)"), "{told:?}");
        assert!(told[0].contains("1 without a language, 7 de"), "{told:?}");
        let told = doubts(&[]);
        assert!(told.len() == 2 && told[0].contains("there are no documents at all"), "{told:?}");
    }
}
