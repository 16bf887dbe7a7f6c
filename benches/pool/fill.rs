//! Writes the made corpus through the store's own writers, as the stages before mining leave it.

use std::collections::HashSet;
use std::fmt::Write as _;

use jiff::Timestamp;
use kopri::engine::Engine;
use kopri::error::{Error, Result};
use kopri::model::lexical::{LexicalFit, LexicalParams};
use kopri::record::document::TextBuilder;
use kopri::record::{
    Annotation, BlockKind, Document, DocumentId, DocumentKind, DocumentPair, Origin, PageId, Pair, Scope, Scores,
    Sentence, SentenceId, Side, TextId, WarcRef,
};
use kopri::record::{Evidence, EvidenceKind};
use kopri::stage::fit;
use kopri::store::neighbours::{Direction, NeighbourList};
use kopri::store::visit::{Found, Outcome, Role, Visited};
use kopri::store::{Store, Writer};
use kopri::text::dedup::text_pair;

use crate::world::{K, SENTENCES, SITES, World, cosine, digest, language, posterior, text_id};

/// Document pairs, or neighbour lists, of a transaction.
const TRANSACTION: u64 = 4_000;
/// Document pairs whose texts the lexical encoder is fitted on.
const FITTED: u64 = 20_000;
/// Text pairs that people have judged before the first run.
const ANNOTATED: u64 = 400;

/// A made corpus, and where it is written.
pub(crate) struct Fill<'a> {
    pub(crate) world: World,
    pub(crate) store: &'a mut Store,
    pub(crate) scope: Scope,
    pub(crate) run: i64,
    /// Text ids of both sides, by sentence.
    ids: [Vec<TextId>; 2],
}

impl<'a> Fill<'a> {
    pub(crate) fn new(world: World, store: &'a mut Store, scope: Scope, run: i64) -> Self {
        Self { world, store, scope, run, ids: [Vec::new(), Vec::new()] }
    }

    /// Writes everything but the neighbours.
    pub(crate) fn documents(&mut self) -> Result<()> {
        let mut lexical = LexicalFit::new(LexicalParams::default())?;
        let mut next = 0;
        while next < self.world.documents {
            let end = (next + TRANSACTION).min(self.world.documents);
            let writer = self.store.writer()?;
            for document in next..end {
                let texts = write(&writer, &self.world, self.scope, self.run, document)?;
                for (side, texts) in texts.iter().enumerate() {
                    self.ids[side].extend(texts.iter().map(|text| text_id(text, side)));
                    if document < FITTED {
                        texts.iter().for_each(|text| lexical.add(text));
                    }
                }
            }
            writer.commit()?;
            next = end;
        }
        let writer = self.store.writer()?;
        for site in 0..SITES {
            let pairs: Vec<DocumentPair> = (site..self.world.documents)
                .step_by(usize::try_from(SITES).unwrap_or(1))
                .map(|document| DocumentPair {
                    source: document_id(document, 0),
                    target: document_id(document, 1),
                    score: 4.0,
                    evidence: vec![Evidence { kind: EvidenceKind::HreflangMutual, detail: String::new() }],
                })
                .collect();
            writer.put_document_pairs(&self.scope.name(), &site_name(site), &pairs)?;
            done(&writer, &self.scope.name(), "match", &site_name(site), "0", self.run)?;
        }
        writer.put_artefact(fit::ARTEFACT, &lexical.finish().to_bytes())?;
        for number in 0..ANNOTATED.min(self.world.documents) {
            let sentence = number * SENTENCES + 1 + number % 8;
            let pair = text_pair(self.scope, &self.world.text(sentence, 0), &self.world.text(sentence, 1));
            let verdict = if number % 5 == 0 { "no" } else { "yes" };
            writer.put_annotation(&annotation(pair, verdict, number), None)?;
        }
        writer.commit()
    }

    /// Writes the neighbour lists of all texts.
    pub(crate) fn neighbours(&mut self, engine: &Engine) -> Result<()> {
        let all: Vec<u64> = (0..self.world.sentences()).collect();
        self.put_lists(engine, &all)
    }

    fn put_lists(&mut self, engine: &Engine, sentences: &[u64]) -> Result<()> {
        let mine = engine.registry().find("mine").ok_or_else(|| Error::bug("there is no mining"))?;
        let key = engine.context(mine, Some(0))?.key_of("neighbours")?.key;
        for (side, direction) in [(0, Direction::Forward), (1, Direction::Backward)] {
            let mut seen = HashSet::new();
            for chunk in sentences.chunks(usize::try_from(TRANSACTION * SENTENCES).unwrap_or(1)) {
                let mut lists: Vec<NeighbourList> = Vec::new();
                for sentence in chunk {
                    let text = self.id(*sentence, side);
                    if World::is_frequent(*sentence) && !seen.insert(text) {
                        continue;
                    }
                    let near = self.world.near(*sentence, side).into_iter();
                    lists.push((text, near.map(|(other, cosine)| (self.id(other, 1 - side), cosine)).collect()));
                }
                let writer = self.store.writer()?;
                writer.put_neighbours(&self.scope.name(), direction, &key, K, &lists)?;
                writer.commit()?;
            }
        }
        Ok(())
    }

    fn id(&self, sentence: u64, side: usize) -> TextId {
        self.ids[side][usize::try_from(sentence).unwrap_or(0)]
    }

    /// Rewrites a share of the documents, as a crawl of changed pages, and mends the neighbour lists; answers how many
    /// document pairs were rewritten.
    pub(crate) fn change(&mut self, engine: &Engine, run: i64) -> Result<u64> {
        self.run = run;
        self.world.changed = true;
        let rewritten: Vec<u64> =
            (0..self.world.documents).filter(|document| self.world.is_rewritten(*document)).collect();
        let mut gone: [Vec<TextId>; 2] = [Vec::new(), Vec::new()];
        let writer = self.store.writer()?;
        for document in &rewritten {
            let texts = write(&writer, &self.world, self.scope, run, *document)?;
            for (place, sentence) in (document * SENTENCES..(document + 1) * SENTENCES).enumerate() {
                if World::is_frequent(sentence) {
                    continue;
                }
                for side in 0..2 {
                    let known = &mut self.ids[side][usize::try_from(sentence).unwrap_or(0)];
                    gone[side].push(*known);
                    *known = text_id(&texts[side][place], side);
                }
            }
        }
        writer.delete_neighbours(&self.scope.name(), Direction::Forward, &gone[0])?;
        writer.delete_neighbours(&self.scope.name(), Direction::Backward, &gone[1])?;
        writer.commit()?;
        let touched = |sentence: &u64| {
            let is_rewritten = |sentence: u64| self.world.is_rewritten(sentence / SENTENCES);
            is_rewritten(*sentence)
                || (0..2).any(|side| self.world.near(*sentence, side).iter().any(|(other, _)| is_rewritten(*other)))
        };
        let sentences: Vec<u64> = (0..self.world.sentences()).filter(touched).collect();
        self.put_lists(engine, &sentences)?;
        Ok(rewritten.len() as u64)
    }

    /// A reference of 200 pairs, with their documents.
    pub(crate) fn reference(&self) -> String {
        let mut rows = String::from("source_url\ttarget_url\tsource_text\ttarget_text\n");
        for number in 0..200.min(self.world.documents) {
            let document = number * (self.world.documents / 200).max(1);
            let sentence = document * SENTENCES + 2;
            let [source, target] = [0, 1].map(|side| (location(document, side), self.world.text(sentence, side)));
            let _ = writeln!(rows, "{}\t{}\t{}\t{}", source.0, target.0, source.1, target.1);
        }
        rows
    }
}

fn done(writer: &Writer<'_>, scope: &str, stage: &str, unit: &str, output: &str, run: i64) -> Result<()> {
    let output = digest(output);
    writer.unit_done(scope, stage, unit, "0", &output, &output, run, Timestamp::UNIX_EPOCH)
}

fn site_name(document: u64) -> String {
    format!("site-{}", document % SITES)
}

fn location(document: u64, side: usize) -> String {
    format!("https://{}.test/{}/post/{document}", site_name(document), language(side))
}

fn document_id(document: u64, side: usize) -> DocumentId {
    DocumentId::of(&[location(document, side).as_bytes()])
}

/// Writes both pages of a document pair with all that the stages before mining make of them; answers the texts of both.
fn write(writer: &Writer<'_>, world: &World, scope: Scope, run: i64, number: u64) -> Result<[Vec<String>; 2]> {
    let texts =
        [0, 1].map(|side| (0..SENTENCES).map(|place| world.text(number * SENTENCES + place, side)).collect::<Vec<_>>());
    let mut sentences = Vec::new();
    let content = texts.iter().map(|texts| digest(&texts.join("\n"))).collect::<Vec<_>>();
    for side in 0..2 {
        put_page(writer, number, side, &content[side])?;
        let document = document(number, side, &texts[side], &content[side]);
        writer.put_document(&document)?;
        let own = split(&document, &texts[side], side);
        writer.put_sentences(document.id, &own)?;
        sentences.push(own);
        done(writer, "", "extract", &document.location, &content[side], run)?;
        done(writer, "", "segment", &document.id.to_string(), &content[side], run)?;
    }
    let pairs: Vec<Pair> = (0..SENTENCES - 1)
        .map(|place| {
            let sentence = number * SENTENCES + place;
            let side = |side: usize| {
                let own = &sentences[side][usize::try_from(place).unwrap_or(0)];
                Side { document: Some(own.document), sentences: vec![own.id], text: own.text.clone() }
            };
            let (source, target) = (side(0), side(1));
            let cosine = cosine(sentence);
            Pair {
                id: text_pair(scope, &source.text, &target.text),
                source,
                target,
                origin: Origin::Aligned,
                scores: Scores::of_encoder(Some(cosine), Some(cosine / 0.42)),
                score: posterior(sentence),
                parent: None,
            }
        })
        .collect();
    let unit = format!("{} {}", document_id(number, 0), document_id(number, 1));
    writer.put_occurrences(&scope.name(), "align", &unit, &pairs)?;
    done(writer, &scope.name(), "align", &unit, &content.join(" "), run)?;
    Ok(texts)
}

fn put_page(writer: &Writer<'_>, number: u64, side: usize, content: &str) -> Result<()> {
    let url = location(number, side);
    let host = format!("{}.test", site_name(number));
    writer.add_url(&Found {
        url: url.clone(),
        host,
        site: site_name(number),
        role: Role::Article,
        depth: 1,
        redirects: 0,
        via: None,
        is_twin: false,
        shape: String::from("/*/post/*"),
        changed: None,
    })?;
    let warc = WarcRef { file: "made.warc.gz".into(), offset: number * 2 + side as u64, length: 1 };
    let fetched = Visited::Fetched {
        content_type: Some("text/html".into()),
        etag: None,
        last_modified: None,
        body_hash: content.to_owned(),
        warc: Some(warc),
    };
    let outcome = Outcome {
        status: Some(200),
        visited: &fetched,
        ruling: "allowed",
        at: Timestamp::UNIX_EPOCH,
        interval: 86_400,
    };
    writer.visited(PageId::of(&[url.as_bytes()]), &outcome)
}

fn document(number: u64, side: usize, texts: &[String], content: &str) -> Document {
    let mut builder = TextBuilder::default();
    builder.push(BlockKind::Paragraph, &texts.join(" "), None);
    let (text, blocks) = builder.finish();
    Document {
        id: document_id(number, side),
        location: location(number, side),
        site: site_name(number),
        kind: DocumentKind::Html,
        content_hash: content.to_owned(),
        language: Some(language(side)),
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

fn split(document: &Document, texts: &[String], side: usize) -> Vec<Sentence> {
    let mut start = document.blocks[0].start;
    let mut sentences = Vec::new();
    for (ordinal, text) in (0..).zip(texts) {
        let end = start + u32::try_from(text.len()).unwrap_or(0);
        sentences.push(Sentence {
            id: SentenceId::of(&[&document.id.0.to_le_bytes(), text.as_bytes(), &0_u32.to_le_bytes()]),
            document: document.id,
            ordinal,
            block: 0,
            start,
            end,
            text: text.clone(),
            text_id: text_id(text, side),
            language: Some(language(side)),
            language_confidence: 1.0,
        });
        start = end + 1;
    }
    sentences
}

fn annotation(pair: kopri::record::PairId, verdict: &str, number: u64) -> Annotation {
    Annotation {
        pair,
        task: None,
        annotator: format!("person-{}", number % 3),
        external_id: format!("made-{number}"),
        remote: None,
        skipped: false,
        verdict: Some(verdict.to_owned()),
        problems: Vec::new(),
        sts: None,
        preferred: None,
        source_fix: None,
        target_fix: None,
        lead_time: None,
        updated_at: Some(Timestamp::UNIX_EPOCH),
        ground_truth: false,
    }
}
