//! Alignment inside a pair of documents: `algo::align` over their sentences.
//!
//! A pair's score is the posterior of its bead: the share of all alignments' weight that contains it.

use serde::{Deserialize, Serialize};

use super::{Commit, Ctx, Inputs, Languages, Listing, Look, Progress, Settings, Stage, Unit, combined, table};
use crate::algo::align::{self, Line, Side as Text};
use crate::error::{Error, Result};
use crate::model::ModelId;
use crate::record::{Block, BlockKind, Document, DocumentId, Language, Origin, Pair, Scores, Sentence, Side, Vectors};
use crate::store::Writer;
use crate::store::table::Table;
use crate::text::dedup::text_pair;
use crate::text::labels::{self, Numbered};
use crate::text::numbers;

/// Raised when the same sentences give other pairs.
pub const VERSION: u32 = 4;

/// The stage.
#[derive(Debug)]
pub struct Align;

/// What changes aligned pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// What the alignment may do, and the weights of evidence.
    pub weights: align::Params,
    /// Lattice cells past which a band is searched, around the path of shorter versions of both. 70 bytes each.
    pub max_cells: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { weights: align::Params::default(), max_cells: 250_000 }
    }
}

impl Stage for Align {
    fn name(&self) -> &'static str {
        "align"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "document pair"
    }

    fn after(&self) -> &'static [&'static str] {
        &["segment", "embed", "match"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::DocumentPair, Table::Document, Table::Sentence, Table::Vector, Table::Shard, Table::NoVector]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::TextPair, Table::Occurrence, Table::Producer]
    }

    fn uses_model(&self) -> bool {
        true
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "align": table(settings.get::<Params>()?)? }))
    }

    /// Every pair of documents.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let Some(model) = ctx.model()? else { return Ok(Listing::Idle) };
        let store = ctx.store()?;
        let mut units = Vec::new();
        for pair in store.document_pairs(&ctx.scope_name())? {
            let sentences = |document: DocumentId| {
                store.unit_output(crate::record::Scope::WORKSPACE, "segment", &document.to_string())
            };
            let (Some(source), Some(target)) = (sentences(pair.source)?, sentences(pair.target)?) else { continue };
            let name = format!("{}-{}", pair.source, pair.target);
            // Of a document its blocks' kinds and the text of its sentences count: the output of its segmentation holds
            // both, since sentences cover every block that has any.
            let inputs = Inputs::new()
                .table(Table::DocumentPair, &name)
                .tables(&[Table::Document, Table::Sentence], &combined(&[&source, &target]))
                .model(&model);
            units.push(Unit::new(name, inputs));
        }
        Ok(Listing::All(units))
    }

    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let model = ctx.model()?.ok_or_else(|| Error::bug("aligning without an encoder"))?;
        let (source, target) = documents_of(&unit.name)?;
        let (source, target) = {
            let store = ctx.store()?;
            let look = ctx.look(&store)?;
            let source = half(&look, &model, source, look.languages.source)?;
            (source, half(&look, &model, target, look.languages.target)?)
        };
        progress.check()?;
        let params = ctx.settings::<Params>()?;
        let beads = align::align(
            Text::new(&source.lines, &source.vectors),
            Text::new(&target.lines, &target.vectors),
            &params.weights,
            params.max_cells,
        );
        let left_out = source.without + target.without;
        let alone = left_out + beads.iter().filter(|bead| bead.source.is_empty() || bead.target.is_empty()).count();
        let languages = ctx.pair()?;
        let pairs: Vec<Pair> = beads.iter().filter_map(|bead| pair(bead, &source, &target, languages)).collect();
        let (count, content) = (pairs.len() as f64, serde_json::json!(pairs));
        let (scope, name) = (ctx.scope_name(), unit.name.clone());
        Ok(Commit::of(&content, move |writer, _| writer.put_occurrences(&scope, "align", &name, &pairs).map(drop))?
            .count("aligned pairs", count)
            .count("sentences left alone", alone as f64))
    }

    fn retract(&self, writer: &Writer<'_>, scope: &str, unit: &str) -> Result<()> {
        writer.put_occurrences(scope, "align", unit, &[]).map(drop)
    }
}

/// The two documents that a unit's name holds.
pub fn documents_of(unit: &str) -> Result<(DocumentId, DocumentId)> {
    let (source, target) =
        unit.split_once('-').ok_or_else(|| Error::bug(format!("{unit:?} names no pair of documents")))?;
    Ok((source.parse()?, target.parse()?))
}

/// One side, read.
struct Half {
    document: DocumentId,
    sentences: Vec<Sentence>,
    lines: Vec<Line>,
    vectors: Vectors,
    /// How many more sentences it has, which have no vector.
    without: usize,
}

/// A document's sentences in its own language: a quotation in another has no counterpart to align with. Those without a
/// vector are left alone.
fn half(look: &Look<'_>, model: &ModelId, document: DocumentId, language: Language) -> Result<Half> {
    let whole =
        look.store.document(document)?.ok_or_else(|| Error::bug(format!("the document {document} vanished")))?;
    let mut sentences = look.store.sentences(document)?;
    sentences.retain(|sentence| sentence.language == Some(language));
    let mut lines: Vec<Line> = sentences
        .iter()
        .map(|sentence| Line {
            chars: sentence.text.chars().count(),
            block: sentence.block,
            kind: whole.blocks.get(sentence.block as usize).map_or(0, |block| kind_tag(block.kind)),
            numbers: numbers::numbers(&sentence.text),
            label: None,
        })
        .collect();
    label_blocks(&mut lines, &whole);
    let texts: Vec<_> = sentences.iter().map(|sentence| sentence.text_id).collect();
    let (with, vectors) = look.store.vectors(&model.0).read_with(&texts)?;
    let without = texts.len() - with.len();
    if without > 0 {
        retain(&mut sentences, &with);
        retain(&mut lines, &with);
    }
    Ok(Half { document, sentences, lines, vectors, without })
}

/// Keeps what stands at these places, which ascend.
pub(crate) fn retain<T>(all: &mut Vec<T>, places: &[usize]) {
    let (mut place, mut kept) = (0, places.iter().peekable());
    all.retain(|_| {
        let keep = kept.next_if_eq(&&place).is_some();
        place += 1;
        keep
    });
}

/// Gives the first line of each numbered block its label.
fn label_blocks(lines: &mut [Line], document: &Document) {
    let text = |block: &Block| document.text.get(block.start as usize..block.end as usize);
    let mut last = None;
    for line in lines {
        if last.replace(line.block) != Some(line.block) {
            line.label = document.blocks.get(line.block as usize).and_then(text).and_then(labels::label).map(anchor);
        }
    }
}

/// A label as the alignment knows it.
pub(crate) fn anchor(label: labels::Label) -> align::Label {
    let (section, kind) = match label.numbered {
        Numbered::Plain => (false, align::Label::PLAIN),
        Numbered::Section => (true, 1),
        Numbered::Exercise => (false, 2),
    };
    align::Label { section, kind, number: label.number }
}

/// Kinds that translations share. Paragraphs, items and quotations are easily one for another.
fn kind_tag(kind: BlockKind) -> u8 {
    match kind {
        BlockKind::Paragraph | BlockKind::Item | BlockKind::Quote | BlockKind::Table | BlockKind::Formula => 0,
        BlockKind::Title => 1,
        BlockKind::Heading => 2,
        BlockKind::Exercise => 3,
        BlockKind::Footnote => 4,
    }
}

fn pair(bead: &align::Bead, source: &Half, target: &Half, languages: Languages) -> Option<Pair> {
    if bead.source.is_empty() || bead.target.is_empty() {
        return None;
    }
    let source = side(&source.sentences[bead.source.clone()], source.document);
    let target = side(&target.sentences[bead.target.clone()], target.document);
    #[expect(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
    let score = bead.posterior as f32;
    Some(Pair {
        id: text_pair(languages, &source.text, &target.text),
        source,
        target,
        origin: Origin::Aligned,
        scores: Scores::of_encoder(bead.similarity, bead.margin),
        score,
        parent: None,
    })
}

/// A side made of neighbouring sentences.
pub fn side(sentences: &[Sentence], document: DocumentId) -> Side {
    let texts: Vec<&str> = sentences.iter().map(|sentence| sentence.text.as_str()).collect();
    Side {
        document: Some(document),
        sentences: sentences.iter().map(|sentence| sentence.id).collect(),
        text: texts.join(" "),
    }
}
