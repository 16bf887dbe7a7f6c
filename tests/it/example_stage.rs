//! The example of CONTRIBUTING.md, "Adding a stage": it counts the characters of each document.

use kopri::engine::event::Silent;
use kopri::engine::{
    Commit, Ctx, Driver, Engine, Grain, Inputs, Listing, Progress, Registry, Settings, Stage, Stop, Unit, table,
};
use kopri::error::{Error, Result};
use kopri::record::{DocumentId, Language, Scope};
use kopri::store::Store;
use kopri::store::open::{Access, TableLog};
use kopri::store::table::Table;
use serde_json::{Value, json};

use crate::harness::House;

/// What changes a count.
#[derive(Debug, Clone, Default, serde::Serialize)]
struct Params {
    /// Whether white space counts.
    with_spaces: bool,
}

/// Counts the characters of each document.
#[derive(Debug)]
struct Count;

impl Stage for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn version(&self) -> u32 {
        1
    }

    fn unit_noun(&self) -> &'static str {
        "document"
    }

    // Documents serve all language pairs: without this line, it would run once for each.
    fn grain(&self) -> Grain {
        Grain::Workspace
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Document]
    }

    fn params(&self, settings: &Settings) -> Result<Value> {
        Ok(json!({ "count": table(settings.get::<Params>()?)? }))
    }

    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let documents = ctx.store()?.document_fingerprints()?;
        let unit = |(id, fingerprint): (DocumentId, String)| {
            Unit::new(id.to_string(), Inputs::new().table(Table::Document, &fingerprint))
        };
        Ok(Listing::All(documents.into_iter().map(unit).collect()))
    }

    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let id = unit.name.parse()?;
        let document = ctx.store()?.document(id)?.ok_or_else(|| Error::bug(format!("{id} vanished")))?;
        let with_spaces = ctx.settings::<Params>()?.with_spaces;
        progress.check()?;
        let count = document.text.chars().filter(|c| with_spaces || !c.is_whitespace()).count();
        // A stage that keeps records writes them here: Commit::new(output, move |writer, run| writer.put_…).
        Ok(Commit::nothing(count.to_string()).count("characters", count as f64))
    }
}

#[test]
fn the_example_counts_once_and_again_when_its_setting_changes() {
    let house = House::new(2);
    house.run("w");
    let folder = house.path("w");
    let count = |with_spaces: bool| {
        let mut store = Store::open(&folder, Access::Write).unwrap();
        let writer = store.writer().unwrap();
        let run = writer.begin_run(jiff::Timestamp::now(), "house", &json!({})).unwrap();
        writer.commit().unwrap();
        let settings = Settings::new(&folder).with(Params { with_spaces });
        let scope = Scope { source: Language::RUSSIAN, target: Language::TURKMEN };
        let scopes = vec![(scope, settings.clone())];
        let engine = Engine::new(Registry::new(&[&Count]), &folder, settings, scopes).unwrap();
        let engine = engine.recording(TableLog::default());
        let mut driver = Driver {
            engine: &engine,
            store: &mut store,
            observer: &mut Silent,
            stop: Stop::default(),
            run,
            units_left: &mut None,
            violations: Some(Vec::new()),
        };
        let tally = driver.run(None).unwrap().remove(0).tally;
        assert_eq!(driver.violations, Some(Vec::new()));
        (tally.done, tally.counts.get("characters").copied().unwrap_or(0.0))
    };
    let (done, without) = count(false);
    assert!(done == 4 && without > 1_000.0, "{done} documents, {without} characters");
    assert_eq!(count(false), (0, 0.0), "nothing changed");
    let (done, with) = count(true);
    assert!(done == 4 && with > without, "{with} characters with spaces, {without} without");
}
