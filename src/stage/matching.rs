//! Matching: which documents of a site say the same in two languages, and how we know.
//!
//! Evidence adds up: each kind has a weight (see [`weight`]), a pair needs [`Params::min_score`], and every document
//! takes part in one pair at most, the one with the most evidence. All evidence is kept with the pair. Cost: a few hash
//! look-ups a document; texts' vectors are compared only for documents that nothing else has paired.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Commit, Ctx, Inputs, Listing, Look, Progress, Settings, Stage, Unit, combined, table};
use crate::error::Result;
use crate::index::{both_ways, cosine};
use crate::model::ModelId;
use crate::record::{DocumentId, DocumentPair, Evidence, EvidenceKind, TwinKind, Vectors};
use crate::store::Writer;
use crate::store::documents::DocumentClaims;
use crate::store::table::Table;

/// Raised when the same documents give other pairs.
pub const VERSION: u32 = 1;

/// The stage.
#[derive(Debug)]
pub struct Match;

/// What changes pairs of documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// The evidence that a pair needs, in the sum of its weights. 0.5: one strong piece, or two weak ones.
    pub min_score: f32,
    /// Publication times so near count as evidence, in minutes.
    pub time_window_minutes: i64,
    /// Pictures on more documents than this are decoration.
    pub max_image_uses: usize,
    /// How far the nearest document's cosine must lie above the second's to count.
    pub vector_lead: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { min_score: 0.5, time_window_minutes: 10, max_image_uses: 4, vector_lead: 0.05 }
    }
}

/// How much a piece of evidence speaks for a pair, 0 to 1.
pub fn weight(kind: EvidenceKind) -> f32 {
    match kind {
        EvidenceKind::HreflangMutual => 1.0,
        EvidenceKind::Key => 0.9,
        EvidenceKind::Switch => 0.8,
        EvidenceKind::HreflangOneWay => 0.6,
        EvidenceKind::Image | EvidenceKind::Vectors => 0.3,
        EvidenceKind::Time => 0.2,
    }
}

impl Stage for Match {
    fn name(&self) -> &'static str {
        "match"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "site"
    }

    fn after(&self) -> &'static [&'static str] {
        &["segment", "embed"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Document, Table::Sentence, Table::Vector, Table::Shard, Table::NoVector]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::DocumentPair]
    }

    fn uses_model(&self) -> bool {
        true
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "match": table(settings.get::<Params>()?)? }))
    }

    /// Every site with documents in either language.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let (store, model) = (ctx.store()?, ctx.model()?);
        let sentences = store.units(crate::record::Scope::WORKSPACE, "segment")?;
        let mut sites: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
        for (site, document, fingerprint) in store.site_documents(ctx.pair()?.both())? {
            let (documents, segmented) = sites.entry(site).or_default();
            documents.push(fingerprint);
            let output = sentences.get(&document.to_string()).map_or("", |row| row.output.as_str());
            segmented.push(format!("{document} {output}"));
        }
        let hash = |parts: &[String]| combined(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        let unit = |(site, (documents, segmented)): (String, (Vec<String>, Vec<String>))| {
            let inputs = Inputs::new().table(Table::Document, &hash(&documents)).output("segment", &hash(&segmented));
            let none = ModelId(String::new());
            Unit::new(site, inputs.model(model.as_ref().unwrap_or(&none)))
        };
        Ok(Listing::All(sites.into_iter().map(unit).collect()))
    }

    /// Reads a site's claims and its documents' vectors, and weighs the evidence.
    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let store = ctx.store()?;
        let (look, params, model) = (ctx.look(&store)?, ctx.settings::<Params>()?, ctx.model()?);
        let claims = store.claims(&unit.name, look.languages.both())?;
        let (sources, targets): (Vec<_>, Vec<_>) =
            claims.into_iter().partition(|claims| claims.language == look.languages.source);
        let mut evidence = strong_evidence(&sources, &targets);
        // Vectors are read only for documents whose twin nothing names.
        let paired: HashSet<DocumentId> = evidence.keys().flat_map(|(source, target)| [*source, *target]).collect();
        let unpaired = |documents: &[DocumentClaims]| {
            documents.iter().map(|d| d.id).filter(|id| !paired.contains(id)).collect::<Vec<_>>()
        };
        let vectors = |documents| document_vectors(&look, model.as_ref(), documents, progress);
        let (source_vectors, target_vectors) = (vectors(unpaired(&sources))?, vectors(unpaired(&targets))?);
        weak_evidence(&mut evidence, &sources, &targets, params);
        vector_evidence(&mut evidence, &source_vectors, &target_vectors, params)?;
        let pairs = choose(evidence, params);
        let (count, content) = (pairs.len() as f64, serde_json::json!(pairs));
        let (scope, site) = (ctx.scope_name(), unit.name.clone());
        let commit = Commit::of(&content, move |writer, _| writer.put_document_pairs(&scope, &site, &pairs))?;
        Ok(commit.count("document pairs", count))
    }

    fn retract(&self, writer: &Writer<'_>, scope: &str, unit: &str) -> Result<()> {
        writer.put_document_pairs(scope, unit, &[])
    }
}

/// Evidence by pair, in a stable order.
type Found = BTreeMap<(DocumentId, DocumentId), Vec<Evidence>>;

fn add(found: &mut Found, source: DocumentId, target: DocumentId, kind: EvidenceKind, detail: String) {
    let list = found.entry((source, target)).or_default();
    if !list.iter().any(|evidence| evidence.kind == kind) {
        list.push(Evidence { kind, detail });
    }
}

/// What pages say themselves: hreflang, language switch, a shared id.
fn strong_evidence(sources: &[DocumentClaims], targets: &[DocumentClaims]) -> Found {
    let by_url = |documents: &[DocumentClaims]| -> HashMap<String, DocumentId> {
        documents.iter().map(|document| (document.location.clone(), document.id)).collect()
    };
    let (source_urls, target_urls) = (by_url(sources), by_url(targets));
    let claims = |documents: &[DocumentClaims], others: &HashMap<String, DocumentId>, kind: TwinKind| {
        let mut claimed: HashSet<(DocumentId, DocumentId)> = HashSet::new();
        for document in documents {
            for twin in document.twins.iter().filter(|twin| twin.kind == kind) {
                if let Some(other) = others.get(&twin.url) {
                    claimed.insert((document.id, *other));
                }
            }
        }
        claimed
    };
    let mut found = Found::new();
    let forward = claims(sources, &target_urls, TwinKind::Hreflang);
    let backward = claims(targets, &source_urls, TwinKind::Hreflang);
    for (source, target) in &forward {
        let (kind, detail) = if backward.contains(&(*target, *source)) {
            (EvidenceKind::HreflangMutual, "each page names the other by hreflang")
        } else {
            (EvidenceKind::HreflangOneWay, "the source page names the target by hreflang")
        };
        add(&mut found, *source, *target, kind, detail.into());
    }
    for (target, source) in backward.iter().filter(|(target, source)| !forward.contains(&(*source, *target))) {
        add(
            &mut found,
            *source,
            *target,
            EvidenceKind::HreflangOneWay,
            "the target page names the source by hreflang".into(),
        );
    }
    let mut by_key: HashMap<&str, Vec<DocumentId>> = HashMap::new();
    for target in targets {
        if let Some(key) = &target.twin_key {
            by_key.entry(key).or_default().push(target.id);
        }
    }
    for source in sources {
        let Some(key) = &source.twin_key else { continue };
        for target in by_key.get(key.as_str()).into_iter().flatten() {
            add(&mut found, source.id, *target, EvidenceKind::Key, format!("both are {key}"));
        }
    }
    for (source, target) in claims(sources, &target_urls, TwinKind::Switch) {
        add(
            &mut found,
            source,
            target,
            EvidenceKind::Switch,
            "the source page's language switch leads to the target".into(),
        );
    }
    for (target, source) in claims(targets, &source_urls, TwinKind::Switch) {
        add(
            &mut found,
            source,
            target,
            EvidenceKind::Switch,
            "the target page's language switch leads to the source".into(),
        );
    }
    found
}

/// A shared picture; and publication at the same time, for pairs that something else speaks for.
fn weak_evidence(found: &mut Found, sources: &[DocumentClaims], targets: &[DocumentClaims], params: &Params) {
    let mut uses: HashMap<&str, (Vec<DocumentId>, Vec<DocumentId>)> = HashMap::new();
    for document in sources {
        for image in &document.images {
            uses.entry(image).or_default().0.push(document.id);
        }
    }
    for document in targets {
        for image in &document.images {
            uses.entry(image).or_default().1.push(document.id);
        }
    }
    for (image, (in_sources, in_targets)) in uses {
        if in_sources.len() + in_targets.len() > params.max_image_uses {
            continue;
        }
        for source in &in_sources {
            for target in &in_targets {
                add(found, *source, *target, EvidenceKind::Image, format!("both show {image}"));
            }
        }
    }
    let dates: HashMap<DocumentId, jiff::Timestamp> =
        sources.iter().chain(targets).filter_map(|document| Some((document.id, document.date?))).collect();
    for ((source, target), list) in found.iter_mut() {
        let (Some(a), Some(b)) = (dates.get(source), dates.get(target)) else { continue };
        let minutes = a.duration_since(*b).as_mins().abs();
        if minutes <= params.time_window_minutes {
            list.push(Evidence { kind: EvidenceKind::Time, detail: format!("published {minutes} min apart") });
        }
    }
}

/// Documents that are each other's nearest by a clear lead.
fn vector_evidence(
    found: &mut Found,
    sources: &(Vec<DocumentId>, Arc<Vectors>),
    targets: &(Vec<DocumentId>, Arc<Vectors>),
    params: &Params,
) -> Result<()> {
    if sources.0.is_empty() || targets.0.is_empty() {
        return Ok(());
    }
    let (forward, backward) = both_ways(&sources.1, &targets.1, 2)?;
    let leads = |list: &[(usize, f32)]| list.len() < 2 || list[0].1 - list[1].1 >= params.vector_lead;
    for (source, list) in forward.iter().enumerate().filter(|(_, list)| !list.is_empty() && leads(list)) {
        let (target, similarity) = list[0];
        if backward[target].first().is_some_and(|(back, _)| *back == source) && leads(&backward[target]) {
            let detail = format!("each other's nearest text, cosine {similarity:.3}");
            add(found, sources.0[source], targets.0[target], EvidenceKind::Vectors, detail);
        }
    }
    Ok(())
}

/// The mean of a document's sentence vectors, as a unit vector.
fn document_vectors(
    look: &Look<'_>,
    model: Option<&ModelId>,
    documents: Vec<DocumentId>,
    progress: &Progress<'_>,
) -> Result<(Vec<DocumentId>, Arc<Vectors>)> {
    let (mut ids, mut data, mut dim) = (Vec::new(), Vec::new(), 1);
    let Some(model) = model else { return Ok((ids, Arc::new(Vectors::empty(1)))) };
    let mut reader = look.store.vectors(&model.0);
    for document in documents {
        progress.check()?;
        let texts: Vec<_> = look
            .store
            .sentences(document)?
            .into_iter()
            .filter(|sentence| sentence.language.is_some_and(|language| look.languages.both().contains(&language)))
            .map(|sentence| sentence.text_id)
            .collect();
        if texts.is_empty() {
            continue;
        }
        let (with, vectors) = reader.read_with(&texts)?;
        if with.is_empty() {
            continue;
        }
        dim = vectors.dim();
        let mut sum = vec![0.0_f32; dim];
        vectors.iter().for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x));
        if cosine(&sum, &sum) > 0.0 {
            ids.push(document);
            data.extend(sum);
        }
    }
    Ok((ids, Arc::new(Vectors::normalised(dim, data)?)))
}

/// One pair a document, the most evidence first.
fn choose(found: Found, params: &Params) -> Vec<DocumentPair> {
    let mut pairs: Vec<DocumentPair> = found
        .into_iter()
        .map(|((source, target), mut evidence)| {
            evidence.sort_by_key(|evidence| evidence.kind);
            DocumentPair {
                source,
                target,
                score: evidence.iter().map(|evidence| weight(evidence.kind)).sum(),
                evidence,
            }
        })
        .filter(|pair| pair.score >= params.min_score)
        .collect();
    pairs.sort_by(|a, b| b.score.total_cmp(&a.score).then((a.source, a.target).cmp(&(b.source, b.target))));
    let mut taken = HashSet::new();
    pairs.retain(|pair| {
        let free = !taken.contains(&pair.source) && !taken.contains(&pair.target);
        if free {
            taken.extend([pair.source, pair.target]);
        }
        free
    });
    pairs.sort_by_key(|pair| (pair.source, pair.target));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Language, TwinLink};

    fn claims(id: i64, language: Language, twin: Option<(TwinKind, &str)>) -> DocumentClaims {
        DocumentClaims {
            id: DocumentId(id),
            location: format!("http://a.test/{id}"),
            language,
            date: None,
            twins: twin.map(|(kind, url)| TwinLink { kind, language, url: url.into() }).into_iter().collect(),
            images: Vec::new(),
            twin_key: None,
        }
    }

    fn kinds(found: &Found, source: i64, target: i64) -> Vec<EvidenceKind> {
        found
            .get(&(DocumentId(source), DocumentId(target)))
            .map(|list| list.iter().map(|e| e.kind).collect())
            .unwrap_or_default()
    }

    #[test]
    fn hreflang_both_ways_is_stronger_than_one_way() {
        let sources = [
            claims(1, Language::RUSSIAN, Some((TwinKind::Hreflang, "http://a.test/11"))),
            claims(2, Language::RUSSIAN, Some((TwinKind::Hreflang, "http://a.test/12"))),
        ];
        let targets = [
            claims(11, Language::TURKMEN, Some((TwinKind::Hreflang, "http://a.test/1"))),
            claims(12, Language::TURKMEN, None),
        ];
        let found = strong_evidence(&sources, &targets);
        assert_eq!(kinds(&found, 1, 11), [EvidenceKind::HreflangMutual]);
        assert_eq!(kinds(&found, 2, 12), [EvidenceKind::HreflangOneWay]);
        assert_eq!(choose(found, &Params::default()).len(), 2);
    }

    #[test]
    fn a_document_takes_part_in_the_pair_with_the_most_evidence() {
        let mut sources = vec![
            claims(1, Language::RUSSIAN, Some((TwinKind::Switch, "http://a.test/11"))),
            claims(2, Language::RUSSIAN, Some((TwinKind::Switch, "http://a.test/11"))),
        ];
        let mut targets = vec![claims(11, Language::TURKMEN, None)];
        sources[1].twin_key = Some("7".into());
        targets[0].twin_key = Some("7".into());
        let pairs = choose(strong_evidence(&sources, &targets), &Params::default());
        assert_eq!(pairs.iter().map(|pair| pair.source.0).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_shared_picture_alone_is_not_enough_and_with_the_same_hour_it_is() {
        let mut source = claims(1, Language::RUSSIAN, None);
        let mut target = claims(11, Language::TURKMEN, None);
        source.images = vec!["http://a.test/park.jpg".into()];
        target.images = source.images.clone();
        let pairs = |source: &DocumentClaims, target: &DocumentClaims| {
            let mut found = Found::new();
            weak_evidence(&mut found, std::slice::from_ref(source), std::slice::from_ref(target), &Params::default());
            choose(found, &Params::default())
        };
        assert!(pairs(&source, &target).is_empty());
        source.date = Some("2026-03-01T10:00:00Z".parse().unwrap());
        target.date = Some("2026-03-01T10:04:00Z".parse().unwrap());
        assert_eq!(pairs(&source, &target)[0].evidence.len(), 2);
    }
}
