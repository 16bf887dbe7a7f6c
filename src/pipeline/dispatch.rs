//! From a stage's name to its code: hands each stage its part of the pipeline.

use super::Pipeline;
use super::key::{StageKey, stage_key};
use crate::error::{Error, Result};
use crate::stage::extract::Origins;
use crate::stage::{
    Listing, Look, Session, Stage, Unit, Work, adjudicate, align, ask, calibrate, dataset, dedup, embed, evaluate,
    export, extract, filter, fit, matching, mine, neighbours, segment,
};
use crate::store::Store;

/// Whether a stage's results depend on the encoder.
fn uses_vectors(stage: Stage) -> bool {
    use Stage::{Align, Calibrate, Embed, Match, Mine, Neighbours};
    matches!(stage, Embed | Match | Align | Neighbours | Mine | Calibrate)
}

/// A stage's key and its units; no listing when it has nothing to work with (no text yet, or no need).
pub(super) fn listing(
    pipeline: &Pipeline,
    store: &Store,
    stage: Stage,
    session: &mut Session,
) -> Result<(StageKey, Option<Listing>)> {
    let languages = pipeline.languages();
    let model = if uses_vectors(stage) {
        embed::model_id(&Look { store, languages, key: "" }, &pipeline.embed, &pipeline.folder, session)?
    } else {
        None
    };
    let key = stage_key(pipeline, stage, model.as_ref())?;
    let look = Look { store, languages, key: &key.key };
    let listing = match (stage, &model) {
        (Stage::Extract, _) => extract::units(&look, &pipeline.extract, origins(pipeline), session)?,
        (Stage::Segment, _) => segment::units(&look, &pipeline.segment, session)?,
        (Stage::Fit, _) if pipeline.embed.is_lexical() => fit::units(&look)?,
        (Stage::Embed, Some(model)) => embed::units(&look, &pipeline.embed, model, session)?,
        (Stage::Match, model) => matching::units(&look, model.as_ref())?,
        (Stage::Align, Some(model)) => align::units(&look, model)?,
        (Stage::Neighbours, Some(model)) => neighbours::units(&look, &pipeline.neighbours, model, session)?,
        (Stage::Mine, Some(model)) => {
            let neighbours = stage_key(pipeline, Stage::Neighbours, Some(model))?;
            mine::units(&look, model, &neighbours.key, session)?
        }
        (Stage::Adjudicate, _) => adjudicate::units(&look)?,
        (Stage::Calibrate, Some(model)) => calibrate::units(&look, &pipeline.calibrate, model)?,
        (Stage::Filter, _) => filter::units(&look)?,
        (Stage::Dedup, _) => dedup::units(&look)?,
        (Stage::Evaluate, _) => evaluate::units(&look, &pipeline.evaluate, &pipeline.folder)?,
        (Stage::Ask, _) => ask::units(&look, &pipeline.annotate)?,
        (Stage::Dataset, _) => dataset::units(&look, &pipeline.dataset)?,
        (Stage::Export, _) => export::units(&look, &pipeline.export, &pipeline.annotate)?,
        (Stage::Fit | Stage::Embed | Stage::Align | Stage::Neighbours | Stage::Mine | Stage::Calibrate, _) => {
            return Ok((key, None));
        }
    };
    Ok((key, Some(listing)))
}

/// A unit's work, read from the store and ready to be computed.
pub(super) fn prepare(
    pipeline: &Pipeline,
    store: &Store,
    stage: Stage,
    key: &str,
    session: &mut Session,
    unit: &Unit,
) -> Result<Work> {
    let look = Look { store, languages: pipeline.languages(), key };
    let candidates = &pipeline.extract.languages;
    let model = session.encoder.as_ref().map(|encoder| encoder.id().clone());
    let model = model.as_ref();
    let known = || model.ok_or_else(|| Error::bug("a stage that needs vectors runs without a model"));
    match stage {
        Stage::Extract => extract::prepare(&look, &pipeline.extract, origins(pipeline), session, unit),
        Stage::Segment => segment::prepare(&look, &pipeline.segment, candidates, session, unit),
        Stage::Fit => fit::prepare(&look, pipeline.embed.lexical),
        Stage::Embed => embed::prepare(&look, &pipeline.embed, session),
        Stage::Match => matching::prepare(&look, &pipeline.matching, model, unit),
        Stage::Align => align::prepare(&look, &pipeline.align, known()?, unit),
        Stage::Neighbours => neighbours::prepare(&look, &pipeline.neighbours, known()?, session, unit),
        Stage::Mine => {
            let neighbours = stage_key(pipeline, Stage::Neighbours, model)?;
            let lists = (neighbours.key.as_str(), pipeline.neighbours.k);
            mine::prepare(&look, &pipeline.mine, known()?, lists, session, unit)
        }
        Stage::Adjudicate => adjudicate::prepare(&look, &pipeline.adjudicate),
        Stage::Calibrate => calibrate::prepare(&look, &pipeline.calibrate, candidates, session),
        Stage::Filter => filter::prepare(&look, &pipeline.filter, candidates, unit),
        Stage::Dedup => dedup::prepare(&look, &pipeline.dedup, unit),
        Stage::Evaluate => evaluate::prepare(&look, &pipeline.evaluate, &pipeline.folder, unit),
        Stage::Ask => ask::prepare(&look, &pipeline.annotate, &pipeline.folder, unit),
        Stage::Dataset => dataset::prepare(&look, &pipeline.dataset),
        Stage::Export => export::prepare(&look, &pipeline.export, (&pipeline.annotate, &pipeline.folder), unit),
    }
}

fn origins(pipeline: &Pipeline) -> Origins<'_> {
    Origins { sites: &pipeline.site, shelves: &pipeline.shelf, reader: &pipeline.reader }
}
