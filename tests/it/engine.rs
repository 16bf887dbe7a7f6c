//! The engine with stages of its own: what it promises to any stage. And the real stages' declarations, held against what
//! they read.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use kopri::engine::event::Silent;
use kopri::engine::{
    Commit, Ctx, Driver, Engine, Event, Finish, Grain, Inputs, Listing, Observer, Progress, Registry, Settings, Stage,
    StageReport, Stop, Unit,
};
use kopri::error::{Error, ErrorKind, Result};
use kopri::files::Staged;
use kopri::pipeline::{Pipeline, RunOptions};
use kopri::record::{Language, Scope};
use kopri::store::open::{Access, TableLog};
use kopri::store::table::Table;
use kopri::store::{Store, Writer};
use serde_json::{Value, json};

use crate::harness::{House, assert_same};

/// What the stages below do: units by name, and which of them fail, panic or stop the run.
#[derive(Debug, Default)]
struct Script {
    units: Vec<(&'static str, &'static str)>,
    fails: Vec<&'static str>,
    panics: Vec<&'static str>,
    stops: Vec<&'static str>,
    panics_in_list: bool,
    panics_in_commit: bool,
    setting: u32,
    reads_more: bool,
    stop: Stop,
}

/// A stage that keeps what a unit's input was in an artefact of the unit's name.
struct Upstream;

/// A stage that has a unit for each artefact, and one more file.
struct Downstream;

impl Stage for Upstream {
    fn name(&self) -> &'static str {
        "upstream"
    }

    fn version(&self) -> u32 {
        1
    }

    fn unit_noun(&self) -> &'static str {
        "thing"
    }

    fn grain(&self) -> Grain {
        Grain::Workspace
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::Artefact]
    }

    fn long_running(&self) -> bool {
        true
    }

    fn params(&self, _: &Settings) -> Result<Value> {
        Ok(json!({}))
    }

    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let script = ctx.settings::<Arc<Script>>()?;
        assert!(!script.panics_in_list, "a listing that panics");
        let unit = |(name, input): &(&'static str, &'static str)| Unit::new(*name, Inputs::new().value("text", input));
        Ok(Listing::All(script.units.iter().map(unit).collect()))
    }

    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let script = ctx.settings::<Arc<Script>>()?;
        let name = unit.name.clone();
        let checkpoint = progress.job().unwrap().folder().join("checkpoint");
        progress.expect(2)?;
        if script.fails.contains(&name.as_str()) {
            std::fs::write(&checkpoint, "half").unwrap();
            return Err(Error::input("it is torn"));
        }
        assert!(!script.panics.contains(&name.as_str()), "a unit that panics");
        if script.stops.contains(&name.as_str()) {
            std::fs::write(&checkpoint, "half").unwrap();
            script.stop.set();
            progress.advance(1)?;
        }
        let resumed = checkpoint.exists();
        let (input, panics) = (unit.input.clone(), script.panics_in_commit);
        let commit = Commit::of(&input.clone(), move |writer, _| {
            assert!(!panics, "a commit that panics");
            writer.put_artefact(&name, input.as_bytes())
        })?;
        Ok(commit.count("resumed", f64::from(u8::from(resumed))))
    }

    fn finish(&self, _: &Ctx<'_>) -> Result<Finish> {
        Ok(Finish { notes: vec!["upstream is through".into()], write: None })
    }
}

impl Stage for Downstream {
    fn name(&self) -> &'static str {
        "downstream"
    }

    fn version(&self) -> u32 {
        1
    }

    fn unit_noun(&self) -> &'static str {
        "file"
    }

    fn after(&self) -> &'static [&'static str] {
        &["upstream"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Artefact]
    }

    fn params(&self, settings: &Settings) -> Result<Value> {
        Ok(
            json!({ "downstream": { "setting": settings.get::<Arc<Script>>()?.setting, "limits": { "x": settings.get::<Arc<Script>>()?.setting } } }),
        )
    }

    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let mut units = Vec::new();
        for (name, _) in &ctx.settings::<Arc<Script>>()?.units {
            let Some(output) = ctx.unit_output("upstream", name)? else { continue };
            units.push(Unit::new(*name, Inputs::new().output("upstream", &output)));
        }
        Ok(Listing::All(units))
    }

    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, _: &Progress<'_>) -> Result<Commit> {
        let store = ctx.store()?;
        let text = store.artefact(&unit.name)?.unwrap_or_default();
        if ctx.settings::<Arc<Script>>()?.reads_more {
            store.first_sentence(kopri::record::TextId(1))?;
        }
        let path = ctx.folder().join(ctx.scope_name()).join(&unit.name);
        let staged = Staged::file(&path, |out| {
            out.write_all(&text).map_err(|error| Error::with_source(ErrorKind::Store, "writing", error))
        })?;
        Ok(Commit::nothing(&unit.input).file(staged))
    }

    fn retract(&self, _: &Writer<'_>, _: &str, unit: &str) -> Result<()> {
        assert_ne!(unit, "never");
        Ok(())
    }
}

const STAGES: Registry = Registry::new(&[&Upstream, &Downstream]);

const RU_TK: Scope = Scope { source: Language::RUSSIAN, target: Language::TURKMEN };
const UZ_TK: Scope = Scope { source: Language::UZBEK, target: Language::TURKMEN };

/// Runs the two stages; answers what they came to, and violations of their declarations.
fn run_all(
    folder: &std::path::Path,
    script: Script,
    scopes: &[Scope],
    audit: bool,
    observer: &mut dyn Observer,
) -> (Result<Vec<StageReport>>, Vec<String>) {
    let stop = script.stop.clone();
    let settings = Settings::new(folder).with(Arc::new(script));
    let mut store = Store::open(folder, Access::Write).unwrap();
    let writer = store.writer().unwrap();
    let run = writer.begin_run(jiff::Timestamp::now(), "test", &json!({})).unwrap();
    writer.commit().unwrap();
    let scopes = scopes.iter().map(|scope| (*scope, settings.clone())).collect();
    let mut engine = Engine::new(STAGES, folder, settings, scopes).unwrap();
    if audit {
        engine = engine.recording(TableLog::default());
    }
    let mut units_left = None;
    let mut driver = Driver {
        engine: &engine,
        store: &mut store,
        observer,
        stop,
        run,
        units_left: &mut units_left,
        violations: audit.then(Vec::new),
    };
    let outcome = driver.run(None);
    (outcome, driver.violations.take().unwrap_or_default())
}

fn run(folder: &std::path::Path, script: Script) -> Vec<StageReport> {
    run_all(folder, script, &[RU_TK], false, &mut Silent).0.unwrap()
}

fn tallies(reports: &[StageReport]) -> Vec<(u64, u64, u64)> {
    reports.iter().map(|report| (report.tally.done, report.tally.failed, report.tally.retracted)).collect()
}

const THREE: [(&str, &str); 3] = [("a", "1"), ("b", "1"), ("c", "1")];

#[test]
fn a_unit_that_fails_after_a_success_leaves_what_was_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = run(folder.path(), Script { units: THREE.to_vec(), ..Script::default() });
    assert_eq!(tallies(&first), [(3, 0, 0), (3, 0, 0)]);
    assert_eq!(first[0].tally.notes, ["upstream is through"]);
    let before = std::fs::read(folder.path().join("ru-tk/b")).unwrap();

    let changed = vec![("a", "1"), ("b", "2"), ("c", "1")];
    let failing = Script { units: changed.clone(), fails: vec!["b"], ..Script::default() };
    assert_eq!(tallies(&run(folder.path(), failing)), [(0, 1, 0), (0, 0, 0)], "nothing is retracted downstream");
    assert_eq!(std::fs::read(folder.path().join("ru-tk/b")).unwrap(), before);

    // Another setting runs downstream anew, of the failed unit's last good output too.
    std::fs::remove_file(folder.path().join("ru-tk/b")).unwrap();
    let failing = Script { units: changed.clone(), fails: vec!["b"], setting: 1, ..Script::default() };
    assert_eq!(tallies(&run(folder.path(), failing)), [(0, 1, 0), (3, 0, 0)]);
    assert_eq!(std::fs::read(folder.path().join("ru-tk/b")).unwrap(), before);

    // Mended, it goes through; the checkpoint of its failed attempts was kept for it.
    let mended = run(folder.path(), Script { units: changed, setting: 1, ..Script::default() });
    assert_eq!(tallies(&mended), [(1, 0, 0), (1, 0, 0)]);
    assert_eq!(mended[0].tally.counts["resumed"], 1.0);
    assert_ne!(std::fs::read(folder.path().join("ru-tk/b")).unwrap(), before);
    assert!(kopri::engine::job::jobs(&folder.path().join("jobs")).unwrap().is_empty());
}

#[test]
fn a_panic_anywhere_is_the_units_failure_or_the_listings() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script { units: THREE.to_vec(), panics: vec!["b"], ..Script::default() };
    assert_eq!(tallies(&run(folder.path(), script)), [(2, 1, 0), (2, 0, 0)]);
    let script = Script { units: THREE.to_vec(), panics_in_commit: true, ..Script::default() };
    assert_eq!(tallies(&run(folder.path(), script)), [(0, 1, 0), (0, 0, 0)]);
    let failed = Store::open(folder.path(), Access::Read).unwrap().failed_units().unwrap();
    assert!(failed.len() == 1 && failed[0].message.contains("a commit that panics"), "{failed:?}");
    let script = Script { panics_in_list: true, ..Script::default() };
    let error = run_all(folder.path(), script, &[RU_TK], false, &mut Silent).0.unwrap_err().to_string();
    assert!(error.contains("listing the units of upstream") && error.contains("a listing that panics"), "{error}");
}

#[test]
fn an_interrupt_reaches_units_that_run_and_their_checkpoints_stay() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script { units: vec![("a", "1")], stops: vec!["a"], ..Script::default() };
    let error = run_all(folder.path(), script, &[RU_TK], false, &mut Silent).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let jobs = kopri::engine::job::jobs(&folder.path().join("jobs")).unwrap();
    assert_eq!((jobs.len(), jobs[0].about.unit.as_str()), (1, "a"));
    assert_eq!(jobs[0].heartbeat.as_ref().unwrap().total, Some(2));
    let resumed = run(folder.path(), Script { units: vec![("a", "1")], ..Script::default() });
    assert_eq!(resumed[0].tally.counts["resumed"], 1.0);
    // Of another input, a checkpoint is of no use.
    let script = Script { units: vec![("a", "2")], stops: vec!["a"], ..Script::default() };
    run_all(folder.path(), script, &[RU_TK], false, &mut Silent).0.unwrap_err();
    let other = run(folder.path(), Script { units: vec![("a", "3")], ..Script::default() });
    assert_eq!(other[0].tally.counts["resumed"], 0.0);
}

#[test]
fn a_stage_of_a_pair_runs_for_each_and_one_of_the_workspace_once() {
    #[derive(Default)]
    struct Names(Vec<String>);
    impl Observer for Names {
        fn event(&mut self, event: &Event<'_>) {
            if let Event::StageBegins { stage, .. } = event {
                self.0.push((*stage).to_owned());
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let script = || Script { units: THREE.to_vec(), ..Script::default() };
    let mut names = Names::default();
    let reports = run_all(folder.path(), script(), &[RU_TK, UZ_TK], false, &mut names).0.unwrap();
    assert_eq!(tallies(&reports), [(3, 0, 0), (3, 0, 0), (3, 0, 0)]);
    assert_eq!(names.0, ["upstream", "downstream ru-tk", "downstream uz-tk"]);
    // A pair that is left out keeps its rows, and finds them again.
    assert_eq!(tallies(&run(folder.path(), script())), [(0, 0, 0), (0, 0, 0)]);
    assert_eq!(Store::open(folder.path(), Access::Read).unwrap().scopes().unwrap(), ["ru-tk", "uz-tk"]);
    let again = run_all(folder.path(), script(), &[UZ_TK, RU_TK], false, &mut Silent).0.unwrap();
    assert_eq!(tallies(&again), [(0, 0, 0), (0, 0, 0), (0, 0, 0)]);
    let gone = run(folder.path(), Script { units: vec![("a", "1")], ..Script::default() });
    assert_eq!(tallies(&gone), [(0, 0, 2), (0, 0, 2)]);
}

#[test]
fn an_undeclared_read_and_a_declared_one_without_a_part_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let script = |reads_more| Script { units: THREE.to_vec(), reads_more, ..Script::default() };
    let (outcome, violations) = run_all(folder.path(), script(false), &[RU_TK], true, &mut Silent);
    assert_eq!((tallies(&outcome.unwrap()), violations), (vec![(3, 0, 0), (3, 0, 0)], Vec::new()));
    let fresh = tempfile::tempdir().unwrap();
    let (_, violations) = run_all(fresh.path(), script(true), &[RU_TK], true, &mut Silent);
    let of = |unit: &str| format!("downstream reads sentence for {unit}, and does not declare it");
    assert_eq!(violations, ["a", "b", "c"].map(of));

    // The input that a declared read lacks.
    let bare = Unit::new("a", Inputs::new().value("text", "1"));
    let read = ["artefact".to_owned(), "unit".to_owned(), "judgement".to_owned()];
    let wrong = kopri::engine::audit::unit(STAGES, &Downstream, &read, &bare);
    assert_eq!(wrong, ["downstream reads artefact for a, and the unit's input does not cover it"]);
    let wrong = kopri::engine::audit::listing(STAGES, &Downstream, &["text_pair".to_owned()], &[bare]);
    assert_eq!(
        wrong,
        [
            "downstream reads text_pair when it lists, and does not declare it",
            "downstream declares that it reads artefact, and no unit's input covers it"
        ]
    );
}

#[test]
fn a_registry_out_of_order_is_refused() {
    let message = Registry::new(&[&Downstream, &Upstream]).check().unwrap_err().to_string();
    assert!(message.contains("downstream uses upstream"), "{message}");
    let message = Registry::new(&[&Upstream, &Upstream]).check().unwrap_err().to_string();
    assert!(message.contains("two stages are called upstream"), "{message}");
}

#[test]
fn units_of_a_stage_run_on_several_threads_and_readers_are_used_again() {
    /// Counts how many units run at once.
    struct Together;
    static RUNNING: AtomicU32 = AtomicU32::new(0);
    static MOST: AtomicU32 = AtomicU32::new(0);
    impl Stage for Together {
        fn name(&self) -> &'static str {
            "together"
        }
        fn version(&self) -> u32 {
            1
        }
        fn unit_noun(&self) -> &'static str {
            "unit"
        }
        fn params(&self, _: &Settings) -> Result<Value> {
            Ok(json!({}))
        }
        fn list(&self, _: &Ctx<'_>) -> Result<Listing> {
            let unit = |number: u32| Unit::new(number.to_string(), Inputs::new());
            Ok(Listing::All((0..100).map(unit).collect()))
        }
        fn run(&self, ctx: &Ctx<'_>, _: &Unit, _: &Progress<'_>) -> Result<Commit> {
            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            ctx.store()?.verdict_counts("ru-tk")?;
            std::thread::sleep(std::time::Duration::from_millis(2));
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            Ok(Commit::nothing("done"))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), Access::Write).unwrap();
    let writer = store.writer().unwrap();
    let run = writer.begin_run(jiff::Timestamp::now(), "test", &json!({})).unwrap();
    writer.commit().unwrap();
    let registry = Registry::new(&[&Together]);
    let settings = Settings::new(folder.path());
    let engine = Engine::new(registry, folder.path(), settings.clone(), vec![(RU_TK, settings)]).unwrap();
    let (mut left, mut observer, stop) = (None, Silent, Stop::default());
    let mut driver = Driver {
        engine: &engine,
        store: &mut store,
        observer: &mut observer,
        stop,
        run,
        units_left: &mut left,
        violations: None,
    };
    assert_eq!(tallies(&driver.run(None).unwrap()), [(100, 0, 0)]);
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(cores == 1 || MOST.load(Ordering::SeqCst) > 1);
}

/// A run with every read noted.
fn audited(pipeline: &Pipeline) -> Vec<String> {
    let options = RunOptions { audit: true, ..RunOptions::default() };
    let report = kopri::pipeline::run(pipeline, options, &mut Silent).unwrap();
    assert_eq!(report.failed(), 0);
    report.violations
}

#[test]
fn every_stage_declares_what_it_reads_and_its_inputs_cover_it() {
    let house = House::new(14);
    let gold = house.path("gold.tsv");
    std::fs::write(&gold, "source_url\ttarget_url\tsource_text\ttarget_text\na\tb\tДа.\tHawa.\n").unwrap();
    let files = r#"export.files=[{ format = "tsv", path = "a.tsv" }, { format = "label-studio", path = "kept.json" }, { format = "label-studio", path = "asked.json", pairs = "asked" }, { format = "jsonl", path = "u.jsonl", pairs = "uncertain" }]"#;
    let (pairs, documents) =
        (format!("evaluate.pairs={:?}", gold.display()), format!("evaluate.documents={:?}", gold.display()));
    for interface in ["translation", "pairwise"] {
        let sets = [
            files,
            &pairs,
            &documents,
            "annotate.budget=12",
            "annotate.annotators=1",
            &format!("annotate.interface={interface:?}"),
            "dataset.write=true",
            "dataset.dev=0.3",
            "dataset.silver=true",
            "filter.min-probability=0.1",
            "segment.boilerplate-pages=3",
        ];
        let pipeline = house.pipeline(interface, &sets);
        assert_eq!(audited(&pipeline), Vec::<String>::new(), "{interface}");
        answer_all(&pipeline);
        assert_eq!(audited(&pipeline), Vec::<String>::new(), "{interface}, with answers");
    }
}

/// Answers every question that waits: half of them with yes, some with a correction.
fn answer_all(pipeline: &Pipeline) {
    let mut store = Store::open(&pipeline.workspace_folder(), Access::Write).unwrap();
    let tasks = Mutex::new(Vec::new());
    store
        .for_each_open_task("ru-tk", pipeline.annotate.interface, 1, |task| {
            tasks.lock().unwrap().push(task.pair);
            Ok(())
        })
        .unwrap();
    let tasks = tasks.into_inner().unwrap();
    assert!(!tasks.is_empty());
    let writer = store.writer().unwrap();
    for (number, pair) in tasks.into_iter().enumerate() {
        let verdict = if number % 2 == 0 { "yes" } else { "no" };
        let fix = (number % 5 == 1).then(|| "Bu sözlem adam tarapyndan düzedildi.".to_owned());
        let annotation = kopri::record::Annotation {
            pair,
            task: None,
            annotator: "person".into(),
            external_id: format!("a{number}"),
            remote: None,
            skipped: false,
            verdict: Some(verdict.into()),
            problems: Vec::new(),
            sts: None,
            preferred: None,
            source_fix: None,
            target_fix: fix,
            lead_time: None,
            updated_at: Some(jiff::Timestamp::now()),
            ground_truth: false,
        };
        writer.put_annotation(&annotation, None).unwrap();
    }
    writer.commit().unwrap();
}

#[test]
fn two_pairs_share_pages_and_vectors_and_have_pairs_and_files_of_their_own() {
    let house = House::new(4);
    house.run("single");
    let two = |workspace: &str| house.pipeline_of(workspace, "pairs = [[\"ru\", \"tk\"], [\"ru\", \"en\"]]", &[]);
    let report = kopri::pipeline::run(&two("double"), RunOptions::default(), &mut Silent).unwrap();
    assert_eq!(report.failed(), 0);
    let labels: Vec<&str> = report.stages.iter().map(|report| report.label.as_str()).collect();
    assert_eq!(labels[..6], ["extract", "segment", "fit", "embed", "match ru-tk", "align ru-tk"]);
    assert_eq!(labels.iter().filter(|label| label.ends_with(" ru-en")).count(), 12);
    assert_eq!(house.read("double/export/ru-tk/pairs.tsv"), house.read("single/export/pairs.tsv"));
    assert_eq!(house.read("double/export/ru-en/pairs.tsv").lines().count(), 1, "a header, since no page is English");
    assert!(kopri::pipeline::run(&two("double"), RunOptions::default(), &mut Silent).unwrap().is_nothing_new());

    // Without the second pair its rows stay, and the run says so.
    let report = kopri::pipeline::run(&house.pipeline("double", &[]), RunOptions::default(), &mut Silent).unwrap();
    assert!(report.notes.len() == 1 && report.notes[0].contains("ru-en"), "{:?}", report.notes);
    assert_eq!(report.stage("align").unwrap().done, 0, "what is there is done");
    let store = Store::open(&house.path("double"), Access::Read).unwrap();
    assert!(!store.units("ru-en", "dedup").unwrap().is_empty());
}

#[test]
fn a_workspace_of_another_pipeline_is_refused_until_it_is_taken_over() {
    let house = House::new(2);
    house.run("w");
    let before = house.dump("w");
    let mut renamed = house.pipeline("w", &[]);
    renamed.name = "castle".into();
    let error = kopri::pipeline::run(&renamed, RunOptions::default(), &mut Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("\"house\"") && error.to_string().contains("--take-over"), "{error}");
    assert_same(&before, &house.dump("w"), "a run that was refused");
    let options = RunOptions { take_over: true, ..RunOptions::default() };
    assert!(kopri::pipeline::run(&renamed, options, &mut Silent).unwrap().is_nothing_new());
    kopri::pipeline::run(&renamed, RunOptions::default(), &mut Silent).unwrap();
    assert!(kopri::pipeline::run(&house.pipeline("w", &[]), RunOptions::default(), &mut Silent).is_err());
}

#[test]
fn a_plan_opens_no_model() {
    let house = House::new(2);
    let folder = house.path("model");
    std::fs::create_dir(&folder).unwrap();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bert-cls-dense");
    copy(&golden, &folder);
    let pipeline = house.pipeline("w", &["embed.model=model"]);
    let report = kopri::pipeline::run(&pipeline, RunOptions::default(), &mut Silent).unwrap();
    assert_eq!(report.failed(), 0);
    let plan = || pipeline.plan(&Store::open(&pipeline.workspace_folder(), Access::Read).unwrap()).unwrap();
    assert!(plan().iter().all(|stage| stage.pending == 0), "{:#?}", plan());
    // Weights that are cut off could not be opened; they are other weights.
    std::fs::write(folder.join("model.safetensors"), b"cut off").unwrap();
    let embed = plan().into_iter().find(|stage| stage.stage == "embed").unwrap();
    assert!(embed.pending > 20 && embed.because[0].starts_with("model "), "{embed:?}");
    assert!(kopri::pipeline::run(&pipeline, RunOptions::default(), &mut Silent).is_err());
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
