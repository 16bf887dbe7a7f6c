//! The language tokens of NLLB (`tuk_Latn`) and M2M100 (`__tk__`): what a text is in, and what it is to be put in.
//!
//! NLLB was trained on sources `LANGUAGE text </s>`. The tokenizer.json that goes with its weights holds an earlier
//! form, `text </s> eng_Latn`, which makes translations worse without any sign of it (transformers #19943), so what the
//! file says is replaced by the form that is right, for the language that is asked for.

use tokenizers::Tokenizer;
use tokenizers::processors::template::TemplateProcessing;

use crate::error::{Context, Error, ErrorKind, Result};

/// How many names an error lists.
const LISTED: usize = 6;

/// Makes the tokenizer read texts of a language.
///
/// # Errors
/// Kind `Model`: the tokenizer has no such language, or no token `end`.
pub fn read_as(tokenizer: &mut Tokenizer, language: &str, end: i64) -> Result<()> {
    let number = id(tokenizer, language)?;
    let end_id = u32::try_from(end).unwrap_or(u32::MAX);
    let Some(end) = tokenizer.id_to_token(end_id) else {
        return Err(Error::new(ErrorKind::Model, format!("the tokenizer has no token {end}, the end of a text")));
    };
    let doing = || format!("a template for texts in {language}");
    let template = TemplateProcessing::builder()
        .try_single(format!("{language} $A {end}"))
        .map_err(|what| Error::new(ErrorKind::Model, format!("{}: {what}", doing())))?
        .special_tokens(vec![(language.to_owned(), number), (end, end_id)])
        .build()
        .context(ErrorKind::Model, doing)?;
    tokenizer.with_post_processor(Some(template));
    Ok(())
}

/// The model's own name for a language that is given by it (`tuk_Latn`, `__tk__`) or by a BCP 47 code (`tk`).
///
/// # Errors
/// Kind `Model`: it has no such language.
pub fn name(tokenizer: &Tokenizer, language: &str) -> Result<String> {
    let given = id(tokenizer, language).map(|_| language.to_owned());
    let flores = FLORES.iter().find(|(code, _)| *code == language).map(|(_, name)| (*name).to_owned());
    let names = flores.into_iter().chain([format!("__{language}__")]);
    given.or_else(|error| names.into_iter().find(|name| id(tokenizer, name).is_ok()).ok_or(error))
}

/// The names of FLORES-200, which NLLB has, of the languages that this program knows by these codes. It has neither
/// Turkmen nor Uzbek in Cyrillic letters.
const FLORES: [(&str, &str); 25] = [
    ("ar", "arb_Arab"),
    ("az", "azj_Latn"),
    ("ba", "bak_Cyrl"),
    ("be", "bel_Cyrl"),
    ("bg", "bul_Cyrl"),
    ("de", "deu_Latn"),
    ("en", "eng_Latn"),
    ("es", "spa_Latn"),
    ("fa", "pes_Arab"),
    ("fr", "fra_Latn"),
    ("hi", "hin_Deva"),
    ("it", "ita_Latn"),
    ("kk", "kaz_Cyrl"),
    ("ky", "kir_Cyrl"),
    ("nl", "nld_Latn"),
    ("pl", "pol_Latn"),
    ("pt", "por_Latn"),
    ("ru", "rus_Cyrl"),
    ("tg", "tgk_Cyrl"),
    ("tk", "tuk_Latn"),
    ("tr", "tur_Latn"),
    ("tt", "tat_Cyrl"),
    ("uk", "ukr_Cyrl"),
    ("uz", "uzn_Latn"),
    ("zh", "zho_Hans"),
];

/// The token of a language.
///
/// # Errors
/// Kind `Model`: there is none; the message lists those of the most alike names.
pub fn id(tokenizer: &Tokenizer, language: &str) -> Result<u32> {
    if let Some(id) = tokenizer.token_to_id(language).filter(|_| is_language(language)) {
        return Ok(id);
    }
    let mut known: Vec<(f64, String)> = tokenizer
        .get_added_tokens_decoder()
        .into_values()
        .map(|token| token.content)
        .filter(|name| is_language(name))
        .map(|name| (likeness(&name, language), name))
        .collect();
    known.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let near: Vec<&str> = known.iter().take(LISTED).map(|(_, name)| name.as_str()).collect();
    let near = match (near.len(), known.len()) {
        (0, _) => "the tokenizer has no language tokens at all".to_owned(),
        (listed, all) if listed == all => format!("it has {}", near.join(", ")),
        (_, all) => format!("of its {all}, the most alike are {}", near.join(", ")),
    };
    Err(Error::new(ErrorKind::Model, format!("the model has no language {language:?}: {near}")))
}

/// The language counts for more than the script: of `tuk_Cyrl`, `tuk_Latn` is what was probably meant.
fn likeness(name: &str, wanted: &str) -> f64 {
    let language = |name: &str| name.trim_matches('_').split('_').next().unwrap_or_default().to_owned();
    2.0 * strsim::jaro_winkler(&language(name), &language(wanted)) + strsim::jaro_winkler(name, wanted)
}

/// `tuk_Latn` or `__tk__`.
fn is_language(name: &str) -> bool {
    let letters = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_lowercase());
    if let Some(code) = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__")) {
        return letters(code);
    }
    name.split_once('_').is_some_and(|(language, script)| {
        let mut script = script.chars();
        letters(language)
            && script.next().is_some_and(|letter| letter.is_ascii_uppercase())
            && letters(script.as_str())
            && script.as_str().len() == 3
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/m2m100-tiny");
        Tokenizer::from_file(folder.join("tokenizer.json")).unwrap()
    }

    #[test]
    fn names_of_languages() {
        for name in ["tuk_Latn", "zho_Hans", "__tk__"] {
            assert!(is_language(name), "{name}");
        }
        for name in ["<s>", "tuk", "tuk_latn", "tuk_Latin", "____", "_Latn", "▁_Latn"] {
            assert!(!is_language(name), "{name}");
        }
    }

    #[test]
    fn a_language_that_is_not_there_is_answered_with_those_most_alike() {
        let tokenizer = tokenizer();
        assert_eq!(tokenizer.id_to_token(id(&tokenizer, "tuk_Latn").unwrap()).unwrap(), "tuk_Latn");
        let message = id(&tokenizer, "tuk_Cyrl").unwrap_err().to_string();
        assert!(message.contains("no language \"tuk_Cyrl\": it has tuk_Latn, "), "{message}");
        assert!(id(&tokenizer, "</s>").is_err(), "a token, but of no language");
    }

    #[test]
    fn the_template_of_the_file_is_replaced() {
        let mut tokenizer = tokenizer();
        let ends = |tokenizer: &Tokenizer| {
            let tokens = tokenizer.encode("kitap", true).unwrap().get_tokens().to_vec();
            [tokens.first().unwrap().clone(), tokens.last().unwrap().clone()]
        };
        assert_eq!(ends(&tokenizer)[1], "eng_Latn", "as the file has it");
        read_as(&mut tokenizer, "tuk_Latn", 2).unwrap();
        assert_eq!(ends(&tokenizer), ["tuk_Latn", "</s>"]);
        read_as(&mut tokenizer, "rus_Cyrl", 2).unwrap();
        assert_eq!(ends(&tokenizer), ["rus_Cyrl", "</s>"]);
        assert!(read_as(&mut tokenizer, "rus_Cyrl", 100_000).is_err());
    }
}
