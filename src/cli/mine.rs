//! `mine`: pairs among the lines of two plain texts, in whatever order they stand.

mod lines;
mod output;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};

use super::models::OpeningArgs;
use super::{DONE, plain, print, say};
use crate::algo::assign::one_to_one;
use crate::algo::margin::{self, Candidate, Margin, Retrieval};
use crate::error::{Error, ErrorKind, Result};
use crate::index::both::{Kind, Mutual, Search};
use crate::index::{HnswParams, cosine};
use crate::metric::mining::{Mined, best_threshold};
use crate::model::torch::{Device, Dtype, Options};
use crate::model::{self, Encoder, cache};
use crate::record::Vectors;
use crate::report::format::{count, duration, measure, plural, rate};
use crate::report::meter::Meter;
use crate::report::progress::View;
use crate::stage::embed::LEXICAL;
use lines::Lines;
use output::{Format, Writer};

/// Arguments of `mine`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct MineArgs {
    /// The source text, UTF-8, one sentence a line.
    #[arg(long, value_name = "FILE")]
    source: PathBuf,
    /// The target text, likewise.
    #[arg(long, value_name = "FILE")]
    target: PathBuf,
    /// What makes the vectors: `lexical` (no download), a model folder, or org/name that `kopri models get` has fetched.
    #[arg(long, value_name = "MODEL", default_value = LEXICAL)]
    model: String,
    #[command(flatten)]
    opening: OpeningArgs,
    /// Put before every text (multilingual-e5 wants "query: "); without it, what the model's folder names, if anything.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The language that NLLB is told the source is in, by its own name or code: rus_Cyrl, ru.
    #[arg(long, value_name = "NAME")]
    source_lang: Option<String>,
    /// The language that NLLB is told the target is in, likewise.
    #[arg(long, value_name = "NAME")]
    target_lang: Option<String>,
    /// Where to compute: auto, cpu, cuda or cuda:N.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// In what numbers: auto, f32, bf16, f16 or i8 (see `kopri embed --help`).
    #[arg(long, value_name = "DTYPE", default_value = "auto")]
    dtype: String,
    /// Neighbours of a sentence that its margin is measured against.
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    k: usize,
    /// What a pair's score is.
    #[arg(long, value_enum, value_name = "MARGIN", default_value = "ratio")]
    margin: MarginArg,
    /// Which pairs are looked at.
    #[arg(long, value_enum, value_name = "RETRIEVAL", default_value = "max")]
    retrieval: RetrievalArg,
    /// Leave out pairs of a lower score.
    #[arg(long, value_name = "SCORE")]
    threshold: Option<f32>,
    /// Leave out pairs of a higher score: by a ratio far above the others', lists and templates are found, not
    /// translations.
    #[arg(long, value_name = "SCORE")]
    max_score: Option<f32>,
    /// Let no sentence be in two pairs, best pairs first. Always so with `max` and `intersect`.
    #[arg(long)]
    one_to_one: bool,
    /// Score given pairs instead: line n of the source with line n of the target, each against all lines.
    #[arg(long, conflicts_with_all = ["retrieval", "one_to_one", "gold"])]
    score: bool,
    /// How neighbours are found.
    #[arg(long, value_enum, value_name = "INDEX", default_value = "auto")]
    index: IndexArg,
    /// Share of the true neighbours that a graph must find on a sample, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.995)]
    min_recall: f64,
    /// Where the pairs go, best first (given ones in their order); `-` for standard output. [default: -, or nowhere with --gold]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What is written. [default: by the end of the file's name, else tsv]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Pairs that are right, `SOURCE-LINE<tab>TARGET-LINE` a line, counted from 1: print precision, recall and F1, the
    /// threshold chosen on odd source lines and judged on even ones.
    #[arg(long, value_name = "FILE")]
    gold: Option<PathBuf>,
    /// Show no progress; errors are still told.
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MarginArg {
    /// The cosine by the mean cosine of both sentences' neighbours (Artetxe & Schwenk 2019).
    Ratio,
    /// The cosine less that mean.
    Distance,
    /// The cosine alone.
    Absolute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RetrievalArg {
    /// The best target of each source.
    Forward,
    /// The best source of each target.
    Backward,
    /// Pairs that are each other's best.
    Intersect,
    /// All neighbours of both sides, then one-to-one, best first.
    Max,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum IndexArg {
    /// Whichever is faster here, by measured rates.
    Auto,
    /// Every sentence against every other.
    Exact,
    /// A navigable graph, whose recall is measured.
    Hnsw,
}

const EXAMPLES: &str = "\
A line that comes again counts once, as its first place; empty lines count for nothing, nor do lines without a token of
the model, which are named. Scores of one encoder and pair of
texts say nothing of another's. Memory: 5 bytes a number of all vectors, and the texts: 2.6 GB for a million sentences of
256 numbers a side.

Formats: tsv (score, cosine, lines counted from 1, texts; with a header), laser (score, texts), jsonl.

Examples:
  kopri mine --source ru.txt --target tk.txt --model sentence-transformers/LaBSE --threshold 1.2 --out mined.tsv
  kopri mine --source ru.txt --target tk.txt --model nllb-folder --source-lang ru --target-lang tk
  kopri mine --source ru.txt --target tk.txt --retrieval intersect --margin distance
  kopri mine --source ru.txt --target tk.txt --score --out scored.tsv
  kopri mine --source ru.txt --target tk.txt --gold gold.tsv";

/// A pair, and where it stands: lines from 0.
#[derive(Debug, Clone, Copy)]
struct Found {
    candidate: Candidate,
    lines: (usize, usize),
}

pub(super) fn mine(arguments: &MineArgs) -> Result<u8> {
    let began = Instant::now();
    let usage = |what: String| Err(Error::new(ErrorKind::Usage, what));
    if arguments.k == 0 {
        return usage("--k is 0: a margin wants neighbours".into());
    }
    let out = match (&arguments.out, &arguments.gold) {
        (Some(out), _) => Some(out.as_path()),
        (None, Some(_)) => None,
        (None, None) => Some(Path::new("-")),
    };
    let format = out.map(|out| Format::of(arguments.format, out)).transpose()?;
    let (source, target) = (Lines::read(&arguments.source)?, Lines::read(&arguments.target)?);
    if arguments.score && source.total != target.total {
        return usage(format!(
            "--score takes line n with line n, and {} has {} lines, {} has {}",
            source.name, source.total, target.name, target.total
        ));
    }
    let gold = arguments.gold.as_deref().map(|path| lines::read_gold(path, &source, &target)).transpose()?;

    let mut meter = Meter::new(View::of_stderr(arguments.quiet));
    let ([of_source, of_target], model) = vectors(arguments, &source, &target, &mut meter)?;
    let (left, right) = (&of_source.vectors, &of_target.vectors);
    let encoded = began.elapsed();
    meter.show(|_| "searching".to_owned());
    let kind = match arguments.index {
        IndexArg::Auto => Kind::Auto,
        IndexArg::Exact => Kind::Exact,
        IndexArg::Hnsw => Kind::Hnsw,
    };
    let device = arguments.device.parse()?;
    let search = Search { kind, graph: HnswParams::default(), min_recall: arguments.min_recall, device };
    let found = search.mutual(left, right, arguments.k)?;
    let recall = found.recall;
    let mut pairs = if arguments.score {
        given(arguments, (&source, &of_source), (&target, &of_target), &found)
    } else {
        let place = |candidate: Candidate| {
            let (one, other) = (of_source.rows[candidate.source], of_target.rows[candidate.target]);
            Found {
                lines: (source.numbers[one], target.numbers[other]),
                candidate: Candidate { source: one, target: other, ..candidate },
            }
        };
        mined(arguments, &found).into_iter().map(place).collect()
    };
    let looked_at = pairs.len();
    let bounds = arguments.threshold.unwrap_or(f32::NEG_INFINITY)..=arguments.max_score.unwrap_or(f32::INFINITY);
    pairs.retain(|pair| bounds.contains(&pair.candidate.margin));
    meter.clear();

    if let (Some(out), Some(format)) = (out, format) {
        let writer = Writer { source: &source, target: &target, format };
        plain::write(out, |file| writer.write(file, &pairs))?;
    }
    if !arguments.quiet {
        let how = match recall {
            None => "exactly".to_owned(),
            Some(recall) => format!("in a graph that finds {} of the true neighbours", measure(recall)),
        };
        say(&format!(
            "{} and {} sentences by {model}, searched {how}: {} of {looked_at} looked at; vectors in {}, the rest in {}",
            count(source.texts.len() as u64),
            count(target.texts.len() as u64),
            plural(pairs.len() as u64, "pair"),
            duration(encoded.as_secs_f64()),
            duration((began.elapsed() - encoded).as_secs_f64()),
        ));
    }
    if let Some(gold) = gold {
        let table = judged(&pairs, &source, &gold);
        if out == Some(Path::new("-")) { say(table.trim_end()) } else { print(&table)? }
    }
    Ok(DONE)
}

/// The vectors of a text.
struct Side {
    vectors: Arc<Vectors>,
    /// The sentence of each row, by its place among all, ascending: some have no vector.
    rows: Vec<usize>,
}

impl Side {
    /// The row of a sentence.
    fn row_of(&self, sentence: usize) -> Option<usize> {
        self.rows.binary_search(&sentence).ok()
    }
}

/// The vectors of both sides, and the name of what made them.
fn vectors(arguments: &MineArgs, source: &Lines, target: &Lines, meter: &mut Meter) -> Result<([Side; 2], String)> {
    let usage = |error: Error| Error::new(ErrorKind::Usage, error.to_string());
    let total = (source.texts.len() + target.texts.len()) as u64;
    let mut done = 0;
    let mut encode = |encoder: &mut dyn Encoder, lines: &Lines| -> Result<Side> {
        let (mut vectors, mut rows, mut first) = (Vectors::empty(encoder.dim()), Vec::new(), 0);
        let mut without = Vec::new();
        for window in lines.texts.chunks(encoder.window()) {
            let texts: Vec<&str> = window.iter().map(String::as_str).collect();
            let found =
                encoder.encode(&texts).map_err(|error| error.while_doing(format!("encoding {}", lines.name)))?;
            rows.extend(found.with().into_iter().map(|place| first + place));
            without.extend(found.without.iter().flat_map(|place| lines.lines_of(first + place)));
            found.vectors.iter().for_each(|row| vectors.push_unit(row));
            first += window.len();
            done += window.len() as u64;
            meter.show(|elapsed| {
                let speed = rate(done, elapsed.as_secs_f64(), "sentence").map(|rate| format!(", {rate}"));
                format!(
                    "{} of {} sentences{}{}",
                    count(done),
                    count(total),
                    speed.unwrap_or_default(),
                    crate::report::meter::left(done, Some(total), elapsed)
                )
            });
        }
        if rows.is_empty() {
            return Err(plain::without_vectors(&lines.name, encoder.id()));
        }
        if !without.is_empty() {
            meter.clear();
            without.sort_unstable();
            plain::tell_without_vector(&lines.name, &without);
        }
        Ok(Side { vectors: Arc::new(vectors), rows })
    };
    let mut encoder: Box<dyn Encoder> = if arguments.model == LEXICAL {
        Box::new(plain::lexical(&source.texts, &target.texts)?)
    } else {
        let device: Device = arguments.device.parse().map_err(usage)?;
        let dtype: Dtype = arguments.dtype.parse().map_err(usage)?;
        let folder = cache::resolve(&arguments.model, Path::new(""))?;
        let options = Options { device, dtype, prompt: arguments.prompt.clone(), ..Options::default() };
        model::open_as(&folder, &arguments.opening.read()?, &options)?
    };
    let told = |option, lang| plain::Told { option, lang, used: false };
    let in_source = told("--source-lang", arguments.source_lang.as_deref());
    let in_target = told("--target-lang", arguments.target_lang.as_deref());
    in_target.tell(encoder.as_mut())?;
    in_source.tell(encoder.as_mut())?;
    let left = encode(encoder.as_mut(), source)?;
    in_target.tell(encoder.as_mut())?;
    Ok(([left, encode(encoder.as_mut(), target)?], encoder.id().to_string()))
}

impl From<MarginArg> for Margin {
    fn from(margin: MarginArg) -> Self {
        match margin {
            MarginArg::Ratio => Self::Ratio,
            MarginArg::Distance => Self::Distance,
            MarginArg::Absolute => Self::Absolute,
        }
    }
}

/// Pairs by retrieval, best first.
fn mined(arguments: &MineArgs, found: &Mutual) -> Vec<Candidate> {
    let retrieval = match arguments.retrieval {
        RetrievalArg::Forward => Retrieval::Forward,
        RetrievalArg::Backward => Retrieval::Backward,
        RetrievalArg::Intersect => Retrieval::Intersect,
        RetrievalArg::Max => Retrieval::Max,
    };
    let mut pairs = margin::candidates(&found.forward, &found.backward, arguments.margin.into(), retrieval);
    if arguments.one_to_one || retrieval == Retrieval::Max {
        return one_to_one(pairs);
    }
    pairs.sort_by(|a, b| b.margin.total_cmp(&a.margin).then(a.source.cmp(&b.source)).then(a.target.cmp(&b.target)));
    pairs
}

/// Line n with line n, in order.
fn given(
    arguments: &MineArgs,
    (source, left): (&Lines, &Side),
    (target, right): (&Lines, &Side),
    found: &Mutual,
) -> Vec<Found> {
    let mean = |list: &[(usize, f32)]| margin::mean(list.iter().map(|(_, cosine)| *cosine));
    (0..source.total)
        .filter_map(|line| {
            let (source, target) = (source.row_of(line)?, target.row_of(line)?);
            let (one, other) = (left.row_of(source)?, right.row_of(target)?);
            let cosine = cosine(left.vectors.row(one), right.vectors.row(other));
            let margin = Margin::from(arguments.margin);
            let margin = margin.score(cosine, mean(&found.forward[one])?, mean(&found.backward[other])?)?;
            Some(Found { candidate: Candidate { source, target, cosine, margin }, lines: (line, line) })
        })
        .collect()
}

/// Precision, recall and F1 against pairs that are right.
fn judged(pairs: &[Found], source: &Lines, gold: &std::collections::HashSet<(usize, usize)>) -> String {
    let half = |odd: bool| -> (Vec<(f32, bool)>, usize) {
        let ours = |row: usize| source.numbers[row].is_multiple_of(2) == odd; // from 0: even numbers are odd lines
        let scored = pairs.iter().map(|pair| pair.candidate).filter(|pair| ours(pair.source));
        let scored = scored.map(|pair| (pair.margin, gold.contains(&(pair.source, pair.target)))).collect();
        (scored, gold.iter().filter(|(source, _)| ours(*source)).count())
    };
    let line = |name: &str, counts: Mined| {
        format!(
            "{name:<34} P {} ({}/{})  R {} ({}/{})  F1 {}\n",
            measure(counts.precision()),
            counts.right,
            counts.found,
            measure(counts.recall()),
            counts.right,
            counts.gold,
            measure(counts.f1())
        )
    };
    let (odd, even) = (half(true), half(false));
    let all: Vec<(f32, bool)> = odd.0.iter().chain(&even.0).copied().collect();
    let mut table = line("all pairs that are written", Mined::at(f32::NEG_INFINITY, &all, odd.1 + even.1));
    if let Some(threshold) = best_threshold(&odd.0, odd.1) {
        table += &line(&format!("odd lines, best threshold {threshold:.4}"), Mined::at(threshold, &odd.0, odd.1));
        table += &line("even lines, at that threshold", Mined::at(threshold, &even.0, even.1));
    }
    table
}
