//! `embed`: one vector a line, of any number of lines.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal as _, Read as _, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::models::ModelArgs;
use super::vectors::Form;
use super::{DONE, say, written};
use crate::error::{Context as _, Error, ErrorKind, Result, exit};
use crate::files;
use crate::model::torch::{Device, Dtype, Options};
use crate::model::{self, Encoder};
use crate::report::format::{count, plural, rate};
use crate::report::meter::{Meter, left};
use crate::report::progress::View;

/// Bytes of a line that are read; no model reads so far.
const LONGEST: u64 = 1 << 20;
/// Bad lines that are named.
const NAMED: u64 = 10;

/// Arguments of `embed`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EmbedArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The texts, one a line, UTF-8; `-`, or nothing, for standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    input: PathBuf,
    /// Where the vectors go, one a line and in its order: .npy, .safetensors (the tensor `embeddings`) or .tsv; `-` for
    /// TSV on standard output. The file appears when it is whole.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Tokens that go through the network at once: 512 on a CPU and 32768 on a GPU, unless given. More need more memory.
    #[arg(long, value_name = "N")]
    batch_tokens: Option<usize>,
    /// Where to compute: auto (all GPUs, else the CPU), cpu, cuda (all GPUs) or cuda:N.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// In what numbers: auto (bf16 on a GPU and where the processor multiplies it natively, else f32), f32, bf16, f16 (GPU
    /// only) or i8 (CPU only: twice as fast, cosines move by some hundredths).
    #[arg(long, value_name = "DTYPE", default_value = "auto")]
    dtype: String,
    /// Threads on a CPU; one a core, unless given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The language that NLLB is told all texts are in, by its own name or code: tuk_Latn, tk.
    #[arg(long, value_name = "NAME")]
    lang: Option<String>,
    /// Put before every text (multilingual-e5 wants "query: "); without it, what the model's folder names, if anything.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Multiply a LoRA adapter beside its base's matrices instead of merging it: slower, and nothing of it is lost in the
    /// rounding of bf16 or i8.
    #[arg(long)]
    adapter_apart: bool,
    /// What becomes of a line that is empty, not UTF-8 or without a token.
    #[arg(long, value_enum, default_value = "error", value_name = "WHAT")]
    on_bad_line: OnBad,
    /// Show no progress; errors are still told.
    #[arg(long, short)]
    quiet: bool,
}

/// What becomes of a bad line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnBad {
    /// Stop, name the line, write nothing.
    Error,
    /// Leave it out: later vectors move up.
    Skip,
    /// A row of zeros, so that row n stays line n.
    Zero,
}

const EXAMPLES: &str = "\
Vectors have unit length. A text longer than the model takes loses its end; how many did is told at the end. Memory does
not grow with the input.

Examples:
  kopri embed --model sentence-transformers/LaBSE --input ru.txt --out ru.npy
  kopri embed --model models/mine --prompt 'query: ' --out tk.safetensors < tk.txt
  kopri embed --model nllb-folder --lang ru --dtype f32 --input ru.txt --out ru.npy
  kopri embed --model xlm-roberta-folder --pooling mean --on-bad-line zero --input a.txt --out a.npy
  echo 'köpri' | kopri embed --model models/mine --out -";

/// What was counted.
#[derive(Debug, Default)]
struct Counts {
    lines: u64,
    rows: u64,
    bad: u64,
    long: u64,
    bytes: u64,
}

pub(super) fn embed(arguments: &EmbedArgs) -> Result<u8> {
    let form = Form::of(&arguments.out)?;
    let usage = |error: Error| Error::new(ErrorKind::Usage, error.to_string());
    let device: Device = arguments.device.parse().map_err(usage)?;
    let dtype: Dtype = arguments.dtype.parse().map_err(usage)?;
    let from_pipe = arguments.input.as_os_str() == "-";
    if from_pipe && std::io::stdin().is_terminal() {
        return Err(Error::new(ErrorKind::Usage, "nothing to read: give --input FILE, or pipe lines in"));
    }
    let size = if from_pipe { None } else { files::open(&arguments.input)?.metadata().ok().map(|data| data.len()) };
    let input: Box<dyn std::io::Read> =
        if from_pipe { Box::new(std::io::stdin().lock()) } else { Box::new(files::open(&arguments.input)?) };
    let options = Options {
        device,
        dtype,
        batch_tokens: arguments.batch_tokens,
        threads: arguments.threads,
        prompt: arguments.prompt.clone(),
        lang: arguments.lang.clone(),
        adapter_apart: arguments.adapter_apart,
    };
    let (folder, opening) = arguments.model.open()?;
    let mut encoder = model::open_as(&folder, &opening, &options)?;
    if let (Some(remark), false) = (encoder.remark(), arguments.quiet) {
        say(remark);
    }
    let mut work = Work {
        lines: Lines { input: BufReader::with_capacity(1 << 16, input), number: 0, bytes: 0 },
        name: arguments.input.display().to_string(),
        on_bad: arguments.on_bad_line,
        form,
        meter: Meter::new(View::of_stderr(arguments.quiet)),
        size,
        counts: Counts::default(),
    };
    if arguments.out.as_os_str() == "-" {
        let mut out = BufWriter::new(std::io::stdout().lock());
        work.run(encoder.as_mut(), &mut out)?;
        written(out.flush())?;
    } else {
        let dim = encoder.dim();
        files::write_seekable(&arguments.out, |file: &mut File| {
            let mut out = BufWriter::with_capacity(1 << 18, &mut *file);
            form.begin(&mut out, dim)?;
            work.run(encoder.as_mut(), &mut out)?;
            out.flush().context(ErrorKind::Store, || "writing vectors".into())?;
            drop(out);
            form.end(file, work.counts.rows, dim)
        })?;
    }
    work.meter.clear();
    let tally = encoder.tally();
    if !arguments.quiet {
        say(&work.summary(encoder.as_ref(), tally.map(|tally| tally.tokens)));
    }
    let truncated = tally.map_or(0, |tally| tally.truncated);
    if truncated + work.counts.long > 0 {
        say(&format!("{} longer than the model takes lost the end", plural(truncated.max(work.counts.long), "text")));
    }
    if work.counts.bad > 0 {
        let what = if arguments.on_bad_line == OnBad::Zero { "got a row of zeros" } else { "left out" };
        say(&format!("{} {what}", plural(work.counts.bad, "bad line")));
        return Ok(exit::SOME_FAILED);
    }
    Ok(DONE)
}

/// The way of the lines.
struct Work {
    lines: Lines,
    name: String,
    on_bad: OnBad,
    form: Form,
    meter: Meter,
    size: Option<u64>,
    counts: Counts,
}

impl Work {
    fn run(&mut self, encoder: &mut dyn Encoder, out: &mut dyn Write) -> Result<()> {
        loop {
            // Where a vector will be: the text, or nothing for a bad line that gets zeros.
            let lines = encoder.window();
            let mut window: Vec<(u64, Option<String>)> = Vec::with_capacity(lines);
            while window.len() < lines {
                let Some(line) = self.lines.next()? else { break };
                self.counts.lines += 1;
                self.counts.long += u64::from(line.cut);
                match line.text {
                    Ok(text) => window.push((line.number, Some(text))),
                    Err(why) => self.bad(line.number, why, &mut window)?,
                }
            }
            if window.is_empty() {
                return Ok(());
            }
            self.counts.bytes = self.lines.bytes;
            self.encode(encoder, window, out)?;
            let (counts, size) = (&self.counts, self.size);
            let tokens = encoder.tally().unwrap_or_default().tokens;
            self.meter.show(|elapsed| progress(counts, tokens, size, elapsed));
        }
    }

    /// Tells of a bad line, and ends all if it must.
    fn bad(&mut self, number: u64, why: &str, window: &mut Vec<(u64, Option<String>)>) -> Result<()> {
        if self.on_bad == OnBad::Error {
            return Err(Error::input(format!(
                "{}, line {number}: {why}; mend it, or give --on-bad-line zero (a row of zeros) or skip",
                self.name
            )));
        }
        self.counts.bad += 1;
        if self.counts.bad <= NAMED {
            self.meter.note(&format!("{}, line {number}: {why}", self.name));
        }
        if self.on_bad == OnBad::Zero {
            window.push((number, None));
        }
        Ok(())
    }

    fn encode(
        &mut self,
        encoder: &mut dyn Encoder,
        window: Vec<(u64, Option<String>)>,
        out: &mut dyn Write,
    ) -> Result<()> {
        let texts: Vec<&str> = window.iter().filter_map(|(_, text)| text.as_deref()).collect();
        let encoded = encoder.encode(&texts)?;
        let zeros = vec![0.0; encoder.dim()];
        let mut rows = encoded.by_text();
        for (number, text) in &window {
            let mut row = Some(zeros.as_slice());
            if text.is_some() {
                row = rows.next().ok_or_else(|| Error::bug("fewer vectors than texts"))?;
                if row.is_none() {
                    self.bad(*number, "no token of the model is in it", &mut Vec::new())?;
                    row = (self.on_bad == OnBad::Zero).then_some(zeros.as_slice());
                }
            }
            if let Some(row) = row {
                self.form.row(out, row)?;
                self.counts.rows += 1;
            }
        }
        Ok(())
    }

    fn summary(&self, encoder: &dyn Encoder, tokens: Option<u64>) -> String {
        let seconds = self.meter.elapsed().as_secs_f64();
        let speed = rate(self.counts.rows, seconds, "sentence").map(|rate| format!(", {rate}")).unwrap_or_default();
        let rows = plural(self.counts.rows, "vector");
        let tokens = tokens.map(|tokens| format!(", {} tokens", count(tokens))).unwrap_or_default();
        format!("{rows} of {} numbers by {}{tokens}{speed}", encoder.dim(), encoder.id())
    }
}

fn progress(counts: &Counts, tokens: u64, size: Option<u64>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let speeds = [rate(counts.rows, seconds, "sentence"), rate(tokens, seconds, "token")];
    let speeds: String = speeds.into_iter().flatten().map(|rate| format!(", {rate}")).collect();
    format!("{}{speeds}{}", plural(counts.rows, "sentence"), left(counts.bytes, size, elapsed))
}

/// Lines, one at a time, however long.
struct Lines {
    input: BufReader<Box<dyn std::io::Read>>,
    number: u64,
    bytes: u64,
}

struct Line {
    number: u64,
    text: std::result::Result<String, &'static str>,
    /// Whether it was longer than is read.
    cut: bool,
}

impl Lines {
    fn next(&mut self) -> Result<Option<Line>> {
        let doing = || "reading the texts".to_owned();
        let mut bytes = Vec::new();
        let count = self.input.by_ref().take(LONGEST).read_until(b'\n', &mut bytes).context(ErrorKind::Input, doing)?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.bytes += count as u64;
        let cut = count as u64 == LONGEST && bytes.last() != Some(&b'\n');
        if cut {
            self.bytes += self.input.skip_until(b'\n').context(ErrorKind::Input, doing)? as u64;
            // Not in the middle of a character.
            if let Err(error) = std::str::from_utf8(&bytes)
                && error.error_len().is_none()
            {
                bytes.truncate(error.valid_up_to());
            }
        }
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        let start = if self.number == 1 && bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let text = match String::from_utf8(bytes.split_off(start)) {
            Ok(text) if text.trim().is_empty() => Err("it is empty"),
            Ok(text) => Ok(text),
            Err(_) => Err("it is not UTF-8"),
        };
        Ok(Some(Line { number: self.number, text, cut }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &'static [u8]) -> Vec<Line> {
        let mut lines = Lines { input: BufReader::new(Box::new(bytes)), number: 0, bytes: 0 };
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn lines_of_all_kinds() {
        let found: Vec<_> =
            lines(b"\xef\xbb\xbfa\r\nb c\n\n\xff\n  \nlast").into_iter().map(|line| line.text).collect();
        let expected = [Ok("a"), Ok("b c"), Err("it is empty"), Err("it is not UTF-8"), Err("it is empty"), Ok("last")];
        assert_eq!(found, expected.map(|line| line.map(str::to_owned)));
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut text = "ö".repeat(700_000);
        text.push_str("\nnext\n");
        let found = lines(text.into_bytes().leak());
        assert!(found[0].cut && found[0].text.as_ref().is_ok_and(|text| text.chars().all(|c| c == 'ö')));
        assert_eq!((found[1].number, found[1].text.clone(), found[1].cut), (2, Ok("next".to_owned()), false));
    }
}
