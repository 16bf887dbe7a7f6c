//! The command line. Data goes to standard output, everything else to standard error.

mod agreement;
mod align;
mod config;
mod data;
mod doctor;
mod embed;
mod explain;
mod extract;
mod fetch;
mod labelstudio;
mod look;
mod mine;
mod models;
mod pages;
mod plain;
mod prune;
mod run;
mod signals;
mod site;
mod source;
mod vectors;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, ErrorKind, Result, exit};
use crate::pipeline::Pipeline;
use crate::stage::books::{self, Reader};
use crate::text::printable::printable_lines;

/// Mines parallel sentences from bilingual sites and schoolbooks, and keeps them curated.
#[derive(Debug, Parser)]
#[command(name = "kopri", version, about, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  kopri run pipelines/demo.toml                        the nightly job, from crawling to export
  kopri plan pipelines/demo.toml                       what the next run would do, and why
  kopri status pipelines/demo.toml                     what is there, and what failed
  kopri explain pipelines/demo.toml p3f2a9c0d1e4b5768  everything about one pair: why it is kept or dropped
  kopri export pipelines/demo.toml --pair ru-tk tmx > ru-tk.tmx     kept pairs as a translation memory
  kopri labelstudio push pipelines/demo.toml           questions to people; `pull` brings their answers
  kopri agreement pipelines/demo.toml                  how careful annotators are, and how far they agree
  kopri extract page.html                              the text of a page or a PDF, of a file or URL
  kopri site check pipelines/demo.toml                 whether the sites' selectors still fit their pages
  kopri align --source ru.txt --target tk.txt --out ru-tk.html
                                                       two texts side by side
  kopri pages reindex pipelines/demo.toml              index the page archive again after kopri.db was lost
  kopri prune pipelines/demo.toml --dry-run            what nothing refers to, and how much space it takes
  kopri models get sentence-transformers/LaBSE         an encoder of the Hugging Face Hub
  kopri embed --model sentence-transformers/LaBSE --input ru.txt --out ru.npy

Exit codes:
  0 all done · 1 defect of the program · 2 usage or configuration · 3 done, but some units failed, or something needs attention
  4 quality gate not passed · 5 workspace · 6 model or libtorch · 130 interrupted";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a pipeline: crawl, extract, embed, align, mine, filter, export, report.
    Run(run::RunArgs),
    /// Only crawl.
    Crawl(Common),
    /// Run one stage on what is there, without crawling.
    Stage(run::StageArgs),
    /// Say what a run would do, stage by stage, and why.
    Plan(look::PlanArgs),
    /// Say what the workspace holds, how the last runs ended and what failed.
    Status(look::StatusArgs),
    /// Show everything about one URL (u…), document (d…), sentence (s…) or pair (p…).
    Show(look::ShowArgs),
    /// Say everything about a pair (p…): its neighbours, what every rule saw and allows, duplicates, annotations.
    Explain(explain::ExplainArgs),
    /// Write pairs to standard output.
    Export(data::ExportArgs),
    /// Bring in Label Studio annotations, or pairs from TSV, JSON lines or TMX.
    Import(data::ImportArgs),
    /// Say who annotated, how careful they are, how far they agree, and where they do not.
    Agreement(agreement::AgreementArgs),
    /// Send questions to a Label Studio server, and fetch people's answers.
    Labelstudio(labelstudio::LabelStudioArgs),
    /// Write the HTML report of the workspace's present state.
    Report(look::ReportArgs),
    /// Extract the text of pages and PDFs: files, URLs or standard input.
    Extract(extract::ExtractArgs),
    /// Look after a site's selectors: what they take from its pages.
    Site(site::SiteArgs),
    /// Look after the page archive.
    Pages(pages::PagesArgs),
    /// Delete what nothing in the workspace refers to: vectors, vanished text pairs, old runs and dataset versions.
    Prune(prune::PruneArgs),
    /// Bring, list, check and save models.
    Models(models::ModelsArgs),
    /// Align two texts, a sentence a line: beads, TSV, TMX, or HTML side by side.
    Align(align::AlignArgs),
    /// Mine pairs among the lines of two plain texts, or score given pairs.
    Mine(mine::MineArgs),
    /// Write one vector a line of text.
    Embed(embed::EmbedArgs),
    /// Say what this program finds of libtorch, the machine, its caches and a workspace.
    Doctor(doctor::DoctorArgs),
    /// Show the configuration.
    Config(config::ConfigArgs),
    /// Read books within limits, as standard input names them: how kopri calls itself.
    #[command(name = books::reader::SUBCOMMAND, hide = true)]
    ReadBook,
}

/// What every command that works on a pipeline takes.
#[derive(Debug, Clone, Args)]
struct Common {
    /// The pipeline file.
    #[arg(value_name = "PIPELINE.toml")]
    pipeline: PathBuf,
    /// Lay a value over the file's: `--set mine.min-margin=1.2`. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Keep the workspace elsewhere than the file says.
    #[arg(long, value_name = "FOLDER", env = "KOPRI_WORKSPACE")]
    workspace: Option<PathBuf>,
    /// Show neither progress nor the summary; failures and errors are still told.
    #[arg(long, short)]
    quiet: bool,
    /// Write events or results as JSON lines to standard output.
    #[arg(long)]
    json: bool,
}

impl Common {
    fn load(&self) -> Result<Pipeline> {
        let mut pipeline = Pipeline::load(&self.pipeline, &self.set)?;
        if let Some(workspace) = &self.workspace {
            let absolute = std::path::absolute(workspace).map_err(|error| {
                Error::with_source(ErrorKind::Usage, format!("the workspace {}", workspace.display()), error)
            })?;
            pipeline.workspace = absolute;
        }
        pipeline.reader = reader()?;
        Ok(pipeline)
    }
}

/// Books are read by this program, in processes of their own.
fn reader() -> Result<Reader> {
    let program = std::env::current_exe();
    program
        .map(Reader::worker)
        .map_err(|error| Error::with_source(ErrorKind::Bug, "finding this program, which reads books", error))
}

/// Parses, runs, and turns an error into one line and an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Nothing is left to do when even standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {}", printable_lines(&error.to_string()));
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn dispatch(cli: Cli) -> Result<u8> {
    match cli.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Crawl(common) => run::crawl(&common),
        Command::Stage(arguments) => run::stage(&arguments),
        Command::Plan(arguments) => look::plan(&arguments),
        Command::Status(arguments) => look::status(&arguments),
        Command::Show(arguments) => look::show(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Export(arguments) => data::export(&arguments),
        Command::Import(arguments) => data::import(&arguments),
        Command::Agreement(arguments) => agreement::agreement(&arguments),
        Command::Labelstudio(arguments) => labelstudio::labelstudio(&arguments),
        Command::Report(arguments) => look::report(&arguments),
        Command::Extract(arguments) => extract::extract(&arguments),
        Command::Site(arguments) => site::site(&arguments),
        Command::Pages(arguments) => pages::pages(&arguments),
        Command::Prune(arguments) => prune::prune(&arguments),
        Command::Models(arguments) => models::models(&arguments),
        Command::Align(arguments) => align::align(&arguments),
        Command::Mine(arguments) => mine::mine(&arguments),
        Command::Embed(arguments) => embed::embed(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Config(arguments) => config::config(&arguments),
        Command::ReadBook => books::worker::serve().map(|()| DONE),
    }
}

/// Writes to standard output.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What became of writing to standard output. A reader that has seen enough (`| head`) is no error.
fn written(result: std::io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::with_source(ErrorKind::Store, "writing to standard output", error))
        }
        _ => Ok(()),
    }
}

/// Says something on standard error.
fn say(text: &str) {
    // Nothing is left to do when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// JSON on one line.
fn json_line(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map(|text| text + "\n").map_err(|error| Error::bug(error.to_string()))
}

/// Pretty JSON with a line end.
fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| Error::bug(error.to_string()))
}

fn displayed(path: &Path) -> String {
    // `pipelines/../workspaces/demo` reads better without the detour.
    std::fs::canonicalize(path)
        .ok()
        .and_then(|full| {
            Some(full.strip_prefix(std::env::current_dir().ok()?.canonicalize().ok()?).ok()?.display().to_string())
        })
        .unwrap_or_else(|| path.display().to_string())
}

const DONE: u8 = exit::DONE;
