//! `align`: two plain texts, a sentence a line, into beads.

mod matrix;
mod output;
mod texts;

use std::path::{Path, PathBuf};

use clap::Args;

use super::{DONE, plain, print, say};
use crate::algo::align::{self, Bead, Side};
use crate::error::{Error, ErrorKind, Result};
use crate::metric::beads::{BeadScores, Scores, bead_scores};
use crate::model::sentence_transformers::{Opening, PoolingMode};
use crate::model::torch::Options;
use crate::model::{self, Encoder, cache};
use crate::record::{Language, Vectors};
use crate::report::format::{count, duration, plural};
use crate::stage::align::Params as Stage;
use crate::stage::embed::LEXICAL;
use matrix::Given;
use output::Format;
use texts::Text;

/// Texts that an encoder gets at once.
const BATCH: usize = 2_048;

/// Arguments of `align`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AlignArgs {
    /// The source text, UTF-8, one sentence a line. Blank lines end paragraphs.
    #[arg(long, value_name = "FILE")]
    source: PathBuf,
    /// The target text, likewise.
    #[arg(long, value_name = "FILE")]
    target: PathBuf,
    /// What makes the vectors: `lexical` (no download), a model folder, or org/name that `kopri models get` has fetched.
    #[arg(long, value_name = "MODEL", default_value = LEXICAL)]
    model: String,
    /// How a plain transformers folder becomes one vector a text: cls, mean, max, …
    #[arg(long, value_name = "MODE")]
    pooling: Option<PoolingMode>,
    /// Let the model see joined sentences too, every run of up to --max-bead: slower by its square, and better where the
    /// vector of two sentences is far from the sum of theirs.
    #[arg(long, conflicts_with_all = ["source_vectors", "target_vectors"])]
    encode_runs: bool,
    /// The language of the source (ru, rus_Cyrl, …). NLLB must be told it; for TMX and HTML it is found out if not given.
    #[arg(long, value_name = "NAME")]
    source_lang: Option<String>,
    /// The language of the target, likewise.
    #[arg(long, value_name = "NAME")]
    target_lang: Option<String>,
    /// Ready vectors of the source: .npy, [lines, d] or all runs [k, lines, d], where row i of layer r is that of the r + 1
    /// lines that end with line i; anything else is raw little-endian f32 rows. With --source-spans, a row a span.
    #[arg(long, value_name = "FILE", requires = "target_vectors", conflicts_with = "model")]
    source_vectors: Option<PathBuf>,
    /// Ready vectors of the target, likewise.
    #[arg(long, value_name = "FILE", requires = "source_vectors")]
    target_vectors: Option<PathBuf>,
    /// The text of each row of --source-vectors, one a line: lines, and neighbouring lines joined by a space.
    #[arg(long, value_name = "FILE", requires = "source_vectors", requires = "target_spans")]
    source_spans: Option<PathBuf>,
    /// The text of each row of --target-vectors, likewise.
    #[arg(long, value_name = "FILE", requires = "target_vectors", requires = "source_spans")]
    target_spans: Option<PathBuf>,
    /// Numbers in a row of raw vectors.
    #[arg(long, value_name = "N")]
    dim: Option<usize>,
    /// The most lines that a bead may hold on one side, 1 to 8. [default: 5, or what ready vectors have]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=align::MOST as i64))]
    max_bead: Option<u8>,
    /// Lay a value over the weights of evidence, as in a pipeline's [align.weights]: `--set skip=-1.5`. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Lattice cells past which a band is searched around the path of shorter texts.
    #[arg(long, value_name = "N", default_value_t = Stage::default().max_cells)]
    max_cells: usize,
    /// Where the alignment goes; `-` for standard output. [default: -, or nowhere with --gold]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What is written. [default: by the end of the file's name, else beads]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Leave out beads of a lower probability, 0 to 1. (tsv, tmx, jsonl)
    #[arg(long, value_name = "P")]
    min_probability: Option<f64>,
    /// Beads that are right, `[0, 1]:[0]` a line: print precision, recall and F1.
    #[arg(long, value_name = "FILE")]
    gold: Option<PathBuf>,
    /// Say nothing but errors.
    #[arg(long, short)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Formats: beads ([0, 1]:[0]:0.97, lines counted from 0, then the bead's probability), tsv, tmx and jsonl (lines counted from
1), html (side by side, for reading). Blank lines are in no bead, but counted. Scores are Thompson & Koehn's: strict wants
the same lines, lax one line of either side in common; precision counts insertions and deletions, recall does not.

Examples:
  kopri align --source ru.txt --target tk.txt --out ru-tk.html
  kopri align --source ru.txt --target tk.txt --model sentence-transformers/LaBSE --out ru-tk.tmx --min-probability 0.5
  kopri align --source ru.txt --target tk.txt --model nllb-folder --source-lang ru --target-lang tk
  kopri align --source de.txt --target fr.txt --gold de-fr.beads
  kopri align --source de.txt --target fr.txt --source-vectors de.npy --target-vectors fr.npy
  kopri align --source de.txt --target fr.txt --source-vectors de.emb --source-spans de.overlaps \\
      --target-vectors fr.emb --target-spans fr.overlaps";

/// One side, ready to be aligned.
struct Half {
    text: Text,
    vectors: Vectors,
    runs: Vec<Vectors>,
}

impl Half {
    fn side(&self) -> Side<'_> {
        Side { lines: &self.text.lines, vectors: &self.vectors, runs: &self.runs }
    }
}

pub(super) fn align(arguments: &AlignArgs) -> Result<u8> {
    let began = std::time::Instant::now();
    let out = match (&arguments.out, &arguments.gold) {
        (Some(out), _) => Some(out.as_path()),
        (None, None) => Some(Path::new("-")),
        (None, Some(_)) => None,
    };
    let format = out.map(|out| Format::of(arguments.format, out)).transpose()?;
    if arguments.min_probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
        return Err(Error::new(ErrorKind::Usage, "--min-probability is a probability, 0 to 1"));
    }
    if arguments.min_probability.is_some() && matches!(format, Some(Format::Beads | Format::Html)) {
        return Err(Error::new(
            ErrorKind::Usage,
            "--min-probability is for tsv, tmx and jsonl: beads and html show every line",
        ));
    }
    let params = weights(arguments)?;
    let (mut source, mut target) = (Text::read(&arguments.source)?, Text::read(&arguments.target)?);
    texts::agree_on_blocks(&mut source, &mut target);
    let gold = arguments.gold.as_deref().map(texts::read_beads).transpose()?;

    let named = matches!(format, Some(Format::Tmx | Format::Html));
    let languages = if named { languages(arguments)? } else { [None; 2] };
    let (source, target, model) = vectors(arguments, source, target, params.max_bead, named)?;
    let encoded = began.elapsed();
    let beads = align::align(source.side(), target.side(), &params, arguments.max_cells);
    if let (Some(out), Some(format)) = (out, format) {
        let alignment = output::Alignment {
            source: &source.text,
            target: &target.text,
            beads: &beads,
            languages,
            min_probability: arguments.min_probability.unwrap_or(0.0),
            model: &model,
        };
        alignment.write(out, format)?;
    }
    if !arguments.quiet {
        let alone = beads.iter().filter(|bead| bead.source.is_empty() || bead.target.is_empty()).count();
        say(&format!(
            "{} and {} lines: {}, {} left alone; vectors in {}, alignment in {}",
            count(source.text.lines.len() as u64),
            count(target.text.lines.len() as u64),
            plural((beads.len() - alone) as u64, "bead"),
            plural(alone as u64, "line"),
            duration(encoded.as_secs_f64()),
            duration((began.elapsed() - encoded).as_secs_f64()),
        ));
    }
    if let Some(gold) = gold {
        let found: Vec<_> = beads.iter().map(|bead| numbers(bead, &source.text, &target.text)).collect();
        let table = scores(bead_scores(&found, &gold));
        if out == Some(Path::new("-")) { say(table.trim_end()) } else { print(&table)? }
    }
    Ok(DONE)
}

/// The weights, with what the command line lays over them.
fn weights(arguments: &AlignArgs) -> Result<align::Params> {
    let mut params: align::Params = toml::from_str(&arguments.set.join("\n"))
        .map_err(|error| Error::new(ErrorKind::Usage, format!("--set: {}", error.message())))?;
    if let Some(max_bead) = arguments.max_bead {
        params.max_bead = usize::from(max_bead);
    }
    Ok(params)
}

/// The languages that a file shall name, as far as they are given.
fn languages(arguments: &AlignArgs) -> Result<[Option<Language>; 2]> {
    let read = |option: &str, name: &Option<String>| -> Result<Option<Language>> {
        let language = name.as_deref().map(str::parse).transpose();
        language.map_err(|error: Error| Error::new(ErrorKind::Usage, format!("{option}: {error}")))
    };
    Ok([read("--source-lang", &arguments.source_lang)?, read("--target-lang", &arguments.target_lang)?])
}

/// A bead in the files' own line numbers, from 0.
fn numbers(bead: &Bead, source: &Text, target: &Text) -> (Vec<usize>, Vec<usize>) {
    (source.numbers[bead.source.clone()].to_vec(), target.numbers[bead.target.clone()].to_vec())
}

/// The vectors of both sides, and what made them. `named`: whether the file names the languages.
fn vectors(
    arguments: &AlignArgs,
    source: Text,
    target: Text,
    longest: usize,
    named: bool,
) -> Result<(Half, Half, String)> {
    if let (Some(one), Some(other)) = (&arguments.source_vectors, &arguments.target_vectors) {
        let explicit = arguments.max_bead.map(usize::from);
        let half = |text: Text, file: &Path, spans: Option<&Path>| -> Result<Half> {
            let given = Given::open(file, spans, arguments.dim)?;
            let (vectors, runs) = given.of(&text, longest, explicit)?;
            Ok(Half { text, vectors, runs })
        };
        let source = half(source, one, arguments.source_spans.as_deref())?;
        let target = half(target, other, arguments.target_spans.as_deref())?;
        if source.vectors.dim() != target.vectors.dim() {
            return Err(Error::input(format!(
                "{} has vectors of {} numbers and {} of {}: one encoder makes both",
                one.display(),
                source.vectors.dim(),
                other.display(),
                target.vectors.dim()
            )));
        }
        let names = [one, other].map(|file| file.file_name().unwrap_or_default().to_string_lossy().into_owned());
        return Ok((source, target, names.join(", ")));
    }
    let mut encoder: Box<dyn Encoder> = if arguments.model == LEXICAL {
        Box::new(plain::lexical(&source.texts, &target.texts)?)
    } else {
        let opening = Opening { pooling: arguments.pooling, ..Opening::default() };
        model::open_as(&cache::resolve(&arguments.model, Path::new(""))?, &opening, &Options::default())?
    };
    let most = if arguments.encode_runs { longest } else { 1 };
    let told = |option, lang| plain::Told { option, lang, used: named };
    let in_source = told("--source-lang", arguments.source_lang.as_deref());
    let in_target = told("--target-lang", arguments.target_lang.as_deref());
    in_target.tell(encoder.as_mut())?;
    let mut half = |mut text: Text, language: plain::Told<'_>| -> Result<Half> {
        language.tell(encoder.as_mut())?;
        // Lines without a vector are left alone, and longer runs go past them.
        let (with, vectors) = encode(encoder.as_mut(), &text, 1)?;
        if with.is_empty() {
            return Err(plain::without_vectors(&text.name, encoder.id()));
        }
        let left_alone = text.keep(&with);
        plain::tell_without_vector(&text.name, &left_alone);
        let run = |run: usize| -> Result<Vectors> {
            let (with, vectors) = encode(encoder.as_mut(), &text, run)?;
            match (with.len(), (text.texts.len() + 1).saturating_sub(run)) {
                (found, all) if found == all => Ok(vectors),
                (found, all) => Err(Error::new(
                    ErrorKind::Model,
                    format!("{}: {found} of {all} runs of {run} lines have a vector, though each line has", text.name),
                )),
            }
        };
        let runs = (2..=most).map(run).collect::<Result<Vec<_>>>()?;
        Ok(Half { text, vectors, runs })
    };
    let (source, target) = (half(source, in_source)?, half(target, in_target)?);
    Ok((source, target, encoder.id().to_string()))
}

/// The vectors of the runs of so many lines that have one, and which these are, by their first lines.
fn encode(encoder: &mut dyn Encoder, text: &Text, run: usize) -> Result<(Vec<usize>, Vectors)> {
    let (mut with, mut vectors) = (Vec::new(), Vectors::empty(encoder.dim()));
    let runs: Vec<&[String]> = text.texts.windows(run).collect();
    for (number, batch) in runs.chunks(BATCH).enumerate() {
        let joined: Vec<String> = batch.iter().map(|lines| lines.join(" ")).collect();
        let texts: Vec<&str> = joined.iter().map(String::as_str).collect();
        let found = encoder.encode(&texts).map_err(|error| error.while_doing(format!("encoding {}", text.name)))?;
        with.extend(found.with().into_iter().map(|place| number * BATCH + place));
        found.vectors.iter().for_each(|row| vectors.push_unit(row));
    }
    Ok((with, vectors))
}

/// Precision, recall and F1 with the counts that they come from.
fn scores(scores: BeadScores) -> String {
    let line = |name: &str, scores: Scores| {
        let value = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
        format!(
            "{name:<7} P {} ({}/{})  R {} ({}/{})  F1 {}\n",
            value(scores.precision.value()),
            scores.precision.right,
            scores.precision.all,
            value(scores.recall.value()),
            scores.recall.right,
            scores.recall.all,
            value(scores.f1())
        )
    };
    line("strict", scores.strict) + &line("lax", scores.lax)
}
