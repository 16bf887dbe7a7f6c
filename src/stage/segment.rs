//! Segmentation: a document's blocks become sentences with byte offsets; no sentence crosses a block's end.
//!
//! A block that stands in several documents of one site in the same language (a call to subscribe, a notice of
//! copyright) is boilerplate: it stays in the text, but makes no sentences. Which blocks are, changes as documents come
//! and go; it is part of what a unit reads, so exactly the documents that hold such a block are split again.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Commit, Ctx, Grain, Inputs, Listing, Progress, Settings, Shared, Stage, Unit, table};
use crate::error::{Error, Result};
use crate::record::{Document, DocumentId, Language, Sentence, SentenceId, TextId};
use crate::store::table::Table;
use crate::text::{language, sentences};

/// Raised when the same document gives other sentences.
pub const VERSION: u32 = 2;

/// The stage.
#[derive(Debug)]
pub struct Segment;

/// What changes sentences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// A sentence counts as written in another language than its document only from this confidence on, 0 to 1.
    pub off_language_confidence: f32,
    /// A block that stands in so many documents of a site in one language is boilerplate; 0: none is.
    pub boilerplate_pages: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { off_language_confidence: 0.8, boilerplate_pages: 5 }
    }
}

/// Blocks that are boilerplate, as places in their documents.
struct Boilerplate(BTreeMap<DocumentId, Vec<u32>>);

impl Stage for Segment {
    fn name(&self) -> &'static str {
        "segment"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "document"
    }

    fn grain(&self) -> Grain {
        Grain::Workspace
    }

    fn after(&self) -> &'static [&'static str] {
        &["extract"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Document, Table::Block]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::Sentence]
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({
            "segment": table(settings.get::<Params>()?)?,
            // The languages that a text may be taken for are a setting of extraction that others share.
            "candidates": table(&settings.get::<super::extract::Params>()?.languages)?,
        }))
    }

    /// Every document.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let store = ctx.store()?;
        let boilerplate = match ctx.settings::<Params>()?.boilerplate_pages {
            0 => BTreeMap::new(),
            pages => store.boilerplate(pages)?,
        };
        let unit = |(id, text): (DocumentId, String)| {
            let blocks = boilerplate.get(&id).map_or(&[][..], Vec::as_slice);
            let blocks: Vec<String> = blocks.iter().map(u32::to_string).collect();
            let inputs = Inputs::new().table(Table::Document, &text).table(Table::Block, &blocks.join(" "));
            Unit::new(id.to_string(), inputs)
        };
        let units = store.document_fingerprints()?.into_iter().map(unit).collect();
        ctx.shared().set("", Boilerplate(boilerplate));
        Ok(Listing::All(units))
    }

    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, _progress: &Progress<'_>) -> Result<Commit> {
        let id: DocumentId = unit.name.parse()?;
        let document = ctx.store()?.document(id)?;
        let document =
            document.ok_or_else(|| Error::bug(format!("the document {id} vanished while it was worked on")))?;
        let known = ctx.shared().find::<Boilerplate>("").ok_or_else(|| Error::bug("boilerplate was not listed"))?;
        let boilerplate = known.0.get(&id).map_or(&[][..], Vec::as_slice);
        let candidates = &ctx.settings::<super::extract::Params>()?.languages;
        let sentences = split(&document, boilerplate, ctx.settings()?, candidates);
        let content: Vec<_> = sentences.iter().map(|s| (s.id, s.block, s.start, s.end, s.text_id)).collect();
        let kinds: Vec<_> = document.blocks.iter().map(|block| block.kind).collect();
        let (count, left_out) = (sentences.len() as f64, boilerplate.len() as f64);
        let content = (content, kinds, document.language);
        Ok(Commit::of(&content, move |writer, _| writer.put_sentences(id, &sentences))?
            .count("sentences", count)
            .count("boilerplate blocks", left_out))
    }

    fn invalidate(&self, shared: &Shared, _scope: &str) {
        shared.forget_all::<std::sync::Mutex<super::neighbours::Pools>>();
        shared.forget_all::<super::embed::Queue>();
    }
}

/// The sentences of a document, in order, without those of the blocks at the places in `boilerplate`.
fn split(document: &Document, boilerplate: &[u32], params: &Params, candidates: &[Language]) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    let mut seen: HashMap<&str, u32> = HashMap::new();
    for (block_index, block) in document.blocks.iter().enumerate() {
        if boilerplate.contains(&number(block_index)) {
            continue;
        }
        let block_text = document.block_text(block);
        for range in sentences::split(block_text, document.language) {
            let text = &block_text[range.clone()];
            let repetition = seen.entry(text).and_modify(|count| *count += 1).or_insert(0);
            // A short sentence is easily mistaken for a sister language: the document's word counts unless the
            // sentence is sure.
            let guess = language::identify_expected(text, document.language, candidates);
            let own = guess.filter(|guess| {
                Some(guess.language) == document.language || guess.confidence >= params.off_language_confidence
            });
            // Nor does the document's word count for a sentence in another alphabet.
            let script = language::main_script(text);
            let inherited =
                document.language.filter(|language| script.is_none_or(|script| script == language.script()));
            let language = own.map(|guess| guess.language).or(inherited);
            let code = language.map_or("", Language::code);
            sentences.push(Sentence {
                id: SentenceId::of(&[&document.id.0.to_le_bytes(), text.as_bytes(), &repetition.to_le_bytes()]),
                document: document.id,
                ordinal: number(sentences.len()),
                block: number(block_index),
                start: block.start + number(range.start),
                end: block.start + number(range.end),
                text: text.to_owned(),
                text_id: TextId::of(&[code.as_bytes(), text.as_bytes()]),
                language,
                language_confidence: match (own, inherited) {
                    (Some(guess), _) => guess.confidence,
                    (None, Some(_)) => document.language_confidence,
                    (None, None) => 0.0,
                },
            });
        }
    }
    sentences
}

/// Offsets and counts inside a document fit 32 bits: documents are limited to 200 MB.
fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::document::TextBuilder;
    use crate::record::{BlockKind, DocumentKind};

    fn document(blocks: &[&str]) -> Document {
        let mut builder = TextBuilder::default();
        blocks.iter().for_each(|text| builder.push(BlockKind::Paragraph, text, None));
        let (text, blocks) = builder.finish();
        Document {
            id: DocumentId(1),
            location: "test".into(),
            site: "test".into(),
            kind: DocumentKind::Html,
            content_hash: String::new(),
            language: Some(Language::RUSSIAN),
            language_confidence: 1.0,
            declared_language: None,
            title: None,
            date: None,
            author: None,
            tags: Vec::new(),
            agreement: None,
            text,
            blocks,
            twins: Vec::new(),
            images: Vec::new(),
            twin_key: None,
        }
    }

    #[test]
    fn offsets_slice_the_document_and_blocks_are_never_crossed() {
        let document = document(&["Заголовок без точки", "Первое предложение. Второе предложение!", "Да. Да."]);
        let sentences = split(&document, &[], &Params::default(), &[]);
        let texts: Vec<_> = sentences.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(texts, ["Заголовок без точки", "Первое предложение.", "Второе предложение!", "Да.", "Да."]);
        for sentence in &sentences {
            assert_eq!(&document.text[sentence.start as usize..sentence.end as usize], sentence.text);
        }
        assert_ne!(sentences[3].id, sentences[4].id, "a repeated sentence is a sentence of its own");
        assert_eq!(sentences[3].text_id, sentences[4].text_id, "and has the same vector");
    }

    #[test]
    fn boilerplate_makes_no_sentences_and_moves_no_others() {
        let document = document(&["Заголовок без точки", "Подпишитесь!", "Второе предложение."]);
        let all = split(&document, &[], &Params::default(), &[]);
        let rest = split(&document, &[1], &Params::default(), &[]);
        assert_eq!((rest.len(), rest[1].block, rest[1].ordinal), (2, 2, 1));
        assert_eq!((all[2].id, all[2].start), (rest[1].id, rest[1].start));
    }

    #[test]
    fn a_document_does_not_lend_its_language_to_another_alphabet() {
        let document = document(&["Текст по-русски, без всяких сомнений.", "E goşundy.", "12–15."]);
        let languages: Vec<_> =
            split(&document, &[], &Params::default(), &[Language::RUSSIAN]).iter().map(|s| s.language).collect();
        assert_eq!(languages, [Some(Language::RUSSIAN), None, Some(Language::RUSSIAN)]);
    }

    #[test]
    fn a_sentence_keeps_its_id_when_the_page_changes_elsewhere() {
        let before = split(&document(&["Один. Два."]), &[], &Params::default(), &[]);
        let after = split(&document(&["Новое. Один. Два."]), &[], &Params::default(), &[]);
        assert_eq!(before[1].id, after[2].id);
    }
}
