//! What a run costs behind `neighbours` in a large workspace, for the first time, after a change, and when nothing changed.
//!
//! ```text
//! cargo bench --bench pool -- [--pairs 1000000] [--changed 0.01] [--folder FOLDER] [--notes]
//! ```
//!
//! It makes a corpus of as many text pairs (`world.rs`), writes it into a workspace as the stages up to `neighbours` leave it
//! (`fill.rs`), and runs the stages behind them, and the report, three times: from scratch; after a share of the pages was
//! rewritten, with all of their sentences; and unchanged. Wanted: the second run costs at most 5 % of the first, the third at
//! most 2 s. Memory is the most that the process held in a run (`VmHWM`), the corpus not counted.
//!
//! Without `--folder`, the workspace lies in a temporary folder. `--notes` prints what each stage counted.
#![expect(clippy::print_stdout, reason = "its table is what it is for")]

#[path = "../memory.rs"]
mod memory;

mod fill;
mod world;

use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;
use kopri::engine::event::Silent;
use kopri::engine::{Driver, Stop};
use kopri::error::{Context as _, Error, ErrorKind, Result};
use kopri::pipeline::{Pipeline, RunReport};
use kopri::report::{collect, html};
use kopri::store::Store;
use kopri::store::open::Access;

use fill::Fill;
use memory::peak_mib;
use world::{SENTENCES, World};

const PIPELINE: &str = r#"
version = 1
name = "pool"
source = "ru"
target = "tk"
workspace = "workspace"

[evaluate]
pairs = "reference.tsv"

[annotate]
budget = 200

[export]
files = [
    { format = "tsv", path = "pairs.tsv" },
    { format = "jsonl", path = "pairs.jsonl" },
    { format = "tmx", path = "pairs.tmx" },
    { format = "tsv", path = "dropped.tsv", pairs = "dropped" },
]

[dataset]
write = true
silver = true
"#;

/// The last stage that is not run.
const BEFORE: &str = "neighbours";

struct Arguments {
    pairs: u64,
    changed: f64,
    folder: Option<PathBuf>,
    notes: bool,
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments { pairs: 1_000_000, changed: 0.01, folder: None, notes: false };
    let mut given = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = given.next() {
        if name == "--notes" {
            arguments.notes = true;
            continue;
        }
        let wrong = || {
            Error::config(format!("{name} …: --pairs NUMBER, --changed SHARE, --folder FOLDER or --notes is wanted"))
        };
        let value = given.next().ok_or_else(wrong)?;
        match name.as_str() {
            "--pairs" => arguments.pairs = value.parse().map_err(|_| wrong())?,
            "--changed" => arguments.changed = value.parse().map_err(|_| wrong())?,
            "--folder" => arguments.folder = Some(PathBuf::from(value)),
            _ => return Err(wrong()),
        }
    }
    if arguments.pairs < 1_000 || !(0.0001..=0.5).contains(&arguments.changed) {
        return Err(Error::config("--pairs of at least 1000 and --changed from 0.0001 to 0.5 are wanted"));
    }
    Ok(arguments)
}

/// Seconds of each stage, and of the report.
struct Measured {
    stages: Vec<(String, f64)>,
    peak_mib: u64,
}

impl Measured {
    fn total(&self) -> f64 {
        self.stages.iter().map(|(_, seconds)| seconds).sum()
    }
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let scratch = tempfile::tempdir().context(ErrorKind::Store, || "making a temporary folder".into())?;
    let folder = arguments.folder.clone().unwrap_or_else(|| scratch.path().to_path_buf());
    std::fs::create_dir_all(&folder).context(ErrorKind::Store, || format!("making {}", folder.display()))?;
    let reference = folder.join("reference.tsv");
    let put =
        |text: &str| std::fs::write(&reference, text).context(ErrorKind::Store, || reference.display().to_string());
    // It must be there for the pipeline to be read.
    put("")?;
    let pipeline = Pipeline::parse(PIPELINE, "pool.toml", folder.clone(), &[])?;
    let workspace = pipeline.workspace_folder();
    if workspace.exists() {
        return Err(Error::config(format!("{} is there already: give an empty folder", workspace.display())));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of document pairs")]
    let step = (1.0 / arguments.changed).round() as u64;
    let world = World { documents: arguments.pairs / SENTENCES, step, changed: false };
    let mut store = Store::open(&workspace, Access::Write)?;
    let run = begin(&mut store, &pipeline)?;
    let scope = pipeline.scope_named(None)?;

    let began = Instant::now();
    let mut fill = Fill::new(world, &mut store, scope, run);
    fill.documents()?;
    let engine = pipeline.engine(&workspace)?;
    fill.neighbours(&engine)?;
    put(&fill.reference())?;
    println!("made {} document pairs in {:.0} s", world.documents, began.elapsed().as_secs_f64());

    let first = measure(&pipeline, fill.store, arguments.notes)?;
    let began = Instant::now();
    let run = begin(fill.store, &pipeline)?;
    // The engine of the first run knows the workspace as it was.
    let rewritten = fill.change(&pipeline.engine(&workspace)?, run)?;
    println!("rewrote {rewritten} of them in {:.0} s", began.elapsed().as_secs_f64());
    drop(fill);
    let changed = measure(&pipeline, &mut store, arguments.notes)?;
    let idle = measure(&pipeline, &mut store, arguments.notes)?;

    println!("\n{:<12} {:>10} {:>10} {:>8} {:>8}", "", "first s", "changed s", "share", "idle s");
    for (((name, first), (_, changed)), (_, idle)) in first.stages.iter().zip(&changed.stages).zip(&idle.stages) {
        println!("{name:<12} {first:>10.2} {changed:>10.2} {:>7.1}% {idle:>8.2}", 100.0 * changed / first.max(1e-9));
    }
    println!(
        "{:<12} {:>10.2} {:>10.2} {:>7.1}% {:>8.2}",
        "total",
        first.total(),
        changed.total(),
        100.0 * changed.total() / first.total(),
        idle.total()
    );
    println!("{:<12} {:>10} {:>10} {:>8} {:>8}", "peak MiB", first.peak_mib, changed.peak_mib, "", idle.peak_mib);
    let judged: u64 = store.verdict_counts(&scope.name())?.values().sum();
    println!("{judged} text pairs occur; database {} MiB", size_mib(&workspace));
    Ok(())
}

fn size_mib(workspace: &Path) -> u64 {
    let size = |name: &str| std::fs::metadata(workspace.join(name)).map_or(0, |data| data.len());
    (size("kopri.db") + size("kopri.db-wal")) >> 20
}

fn begin(store: &mut Store, pipeline: &Pipeline) -> Result<i64> {
    let writer = store.writer()?;
    writer.set_owner(&pipeline.name)?;
    let run = writer.begin_run(Timestamp::now(), &pipeline.name, &serde_json::Value::Null)?;
    writer.commit()?;
    Ok(run)
}

/// Runs the stages and makes the report.
fn measure(pipeline: &Pipeline, store: &mut Store, notes: bool) -> Result<Measured> {
    // Linux: the peak counts from here on.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let started_at = Timestamp::now();
    let run = begin(store, pipeline)?;
    let engine = pipeline.engine(store.folder())?;
    let mut stages = Vec::new();
    let mut reports = Vec::new();
    let (mut units_left, mut silent) = (None, Silent);
    let steps = engine.registry().steps(1);
    let steps = steps.into_iter().skip_while(|(stage, _)| stage.name() != BEFORE).skip(1);
    for (stage, scope) in steps {
        let mut driver = Driver {
            engine: &engine,
            store,
            observer: &mut silent,
            stop: Stop::default(),
            run,
            units_left: &mut units_left,
            violations: None,
        };
        let began = Instant::now();
        let report = driver.stage(stage, scope)?;
        stages.push((report.label.clone(), began.elapsed().as_secs_f64()));
        if notes {
            println!("  {}: {}", report.label, report.tally.note());
        }
        if report.tally.failed > 0 {
            let failed = store.failed_units()?.into_iter().map(|unit| format!("{}: {}", unit.unit, unit.message));
            return Err(Error::bug(failed.collect::<Vec<_>>().join("; ")));
        }
        reports.push(report);
    }
    let report = RunReport {
        run,
        started_at,
        finished_at: Timestamp::now(),
        crawl: None,
        stages: reports,
        alarms: Vec::new(),
        notes: Vec::new(),
        attention: Vec::new(),
        gate: None,
        violations: Vec::new(),
    };
    let began = Instant::now();
    let page = html::render(&collect::summary(pipeline, store, &report)?);
    stages.push(("report".into(), began.elapsed().as_secs_f64()));
    if notes {
        println!("  report: {} kB", page.len() / 1000);
    }
    Ok(Measured { stages, peak_mib: peak_mib() })
}
