//! `prune`: deletes what nothing in the workspace refers to.

use clap::Args;

use super::{Common, DONE, print, say, to_json};
use crate::error::{Result, exit};
use crate::pipeline::prune::{Params, PruneOptions, PruneReport, prune as prune_workspace};
use crate::report::format::plural;
use crate::store::Store;
use crate::store::open::Access;
use crate::text::printable::printable;

/// Arguments of `prune`.
#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    #[command(flatten)]
    common: Common,
    /// Change nothing; say what would be deleted.
    #[arg(long)]
    dry_run: bool,
    /// Keep so many runs, with their figures and reports [default: prune.keep-runs, 30].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep_runs: Option<u32>,
    /// Keep so many versions of a dataset [default: prune.keep-datasets, 3].
    #[arg(long, value_name = "N")]
    keep_datasets: Option<u32>,
    /// Delete all of a language pair that the pipeline names no longer; what people said of its pairs stays.
    #[arg(long, value_name = "NAME")]
    scope: Option<String>,
}

pub(super) fn prune(arguments: &PruneArgs) -> Result<u8> {
    let pipeline = arguments.common.load()?;
    let folder = pipeline.workspace_folder();
    // Nothing is made where there is no workspace yet.
    drop(Store::open(&folder, Access::Read)?);
    let params = Params {
        keep_runs: arguments.keep_runs.unwrap_or(pipeline.prune.keep_runs),
        keep_datasets: arguments.keep_datasets.unwrap_or(pipeline.prune.keep_datasets),
        ..pipeline.prune
    };
    let options = PruneOptions { params, dry_run: arguments.dry_run, scope: arguments.scope.clone() };
    let mut store = Store::open(&folder, Access::Write)?;
    let report = prune_workspace(&pipeline, &mut store, &options)?;
    if arguments.common.json {
        print(&to_json(&report)?)?;
    } else if !arguments.common.quiet {
        print(&table(&report, arguments.dry_run))?;
    }
    if !arguments.common.quiet {
        report.notes.iter().for_each(|note| say(&printable(note)));
    }
    report.failures.iter().for_each(|failure| say(&format!("failed: {}", printable(failure))));
    Ok(if report.failures.is_empty() { DONE } else { exit::SOME_FAILED })
}

/// A line a kind of which anything goes, and a sum.
fn table(report: &PruneReport, dry_run: bool) -> String {
    let pruned: Vec<_> = report.pruned.iter().filter(|pruned| pruned.count > 0).collect();
    if pruned.is_empty() {
        return "nothing to prune: everything in the workspace is referred to\n".to_owned();
    }
    let width = pruned.iter().map(|pruned| pruned.kind.len()).max().unwrap_or(0);
    let mut text = String::new();
    for pruned in &pruned {
        let count = plural(pruned.count, pruned.noun);
        text += &format!("{:<width$}  {count:>16}  {:>14}\n", pruned.kind, plural(pruned.bytes, "byte"));
    }
    let freed = plural(report.freed(), "byte");
    text += &match dry_run {
        true => format!("{freed} of the disk would be freed; nothing was changed\n"),
        false => format!("{freed} of the disk freed\n"),
    };
    text + "Bytes of rows are those of whole database pages; the database uses them again, or is compacted when a fifth is free.\n"
}
