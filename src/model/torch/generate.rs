//! Writing a translation token by token: greedy, or by beam search as transformers 5 does it.
//!
//! Beam search keeps the K best beginnings of a translation (*hypotheses*; Lowerre 1976, for translation Sutskever et
//! al. 2014). A step scores all K·V continuations by the sum of log-probabilities and takes the best 2K; those among
//! the first K of them that end (with the end token, or at the length limit) are finished, the best K of the others go
//! on. Finished ones are compared by
//!
//! ```text
//! sum of log-probabilities / (tokens written)^length_penalty
//! ```
//!
//! The first token is given: it names the language to write in. It costs nothing and counts as written.
//!
//! A sentence that is done leaves the batch, though not at once: rows are taken out when half of them are done, since
//! each time all that is kept of the others is copied. What one sentence becomes does not depend on its neighbours.

use tch::{Kind, Tensor};

use super::batch::{Batch, signed};
use super::decoder::M2m100;
use super::m2m100::M2m100Config;
use crate::error::{Error, Result};

/// When the search for a sentence ends, besides at the length limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopping {
    /// When K are finished and the best that goes on, ended now, would not be better than the worst of them.
    /// (`early_stopping=False` of transformers, its default.)
    #[default]
    Heuristic,
    /// When K are finished. (`early_stopping=True`.)
    Early,
    /// When K are finished and none that goes on could become better. (`early_stopping="never"`.)
    Never,
}

/// How to search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// K: hypotheses kept. 1 takes the best token each time (greedy).
    pub beams: usize,
    /// The power of the length that the sum of log-probabilities is divided by; larger makes longer translations.
    pub length_penalty: f64,
    /// When to stop.
    pub stopping: Stopping,
}

impl Default for Search {
    /// As NLLB's authors decode: four beams.
    fn default() -> Self {
        Self { beams: 4, length_penalty: 1.0, stopping: Stopping::Heuristic }
    }
}

/// A translation.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The decoder's start token, the language token, the text, and the end token unless it was cut.
    pub tokens: Vec<i64>,
    /// The sum of log-probabilities over (tokens written)^length_penalty; the language token counts as written.
    pub score: f32,
    /// Whether it ends with the end token and not at the length limit.
    pub ended: bool,
}

/// Translates sentences of token ids (with language and end tokens) into the language of the token `language`. A
/// translation has at most as many tokens as `limits` says for it, the start and language tokens included.
///
/// # Errors
/// Kind `Bug` for no beams, or more than half of the vocabulary, or a limit below 2; kind `Model`, when libtorch fails.
pub fn generate(
    network: &M2m100,
    config: &M2m100Config,
    sources: &[&[i64]],
    language: i64,
    limits: &[usize],
    search: &Search,
) -> Result<Vec<Found>> {
    let beams = signed(search.beams);
    if beams < 1 || beams * 2 > config.vocab_size || limits.len() != sources.len() || limits.iter().any(|&n| n < 2) {
        return Err(Error::bug(format!("a search with {beams} beams and limits {limits:?}")));
    }
    let device = network.decoder.device();
    let batch = Batch::padded(sources, config.pad_token_id, config.numbering(), device)?;
    let [group] = &batch.groups[..] else { return Err(Error::bug("a padded batch is one group")) };
    let encoded = group.of(&network.encoder.forward(&batch)?)?;
    let mut cache = network.decoder.begin(&encoded, group.mask.as_ref())?;

    let prompt = [config.decoder_start_token_id, language];
    let mut sentences: Vec<Sentence> =
        limits.iter().map(|&limit| Sentence::new(&prompt, limit, config.eos_token_id)).collect();
    let mut live: Vec<usize> = (0..sentences.len()).collect(); // those with rows in the cache, in the order of the rows
    let mut hidden = network.decoder.write(&prompt.repeat(live.len()), &mut cache)?;
    let mut kept = 1; // hypotheses of a sentence: one before the first choice, which it is the same for all
    while live.iter().any(|&sentence| !sentences[sentence].done) {
        let scores = network.decoder.scores(&hidden.f_select(1, -1)?)?; // [rows, V]
        let candidates = best(&scores, &live, &sentences, kept, search)?;
        let (mut rows, mut tokens) = (Vec::new(), Vec::new());
        for (slot, (&sentence, candidates)) in live.iter().zip(&candidates).enumerate() {
            let sentence = &mut sentences[sentence];
            // The rows of a sentence that is done are computed on, for nothing, until they are taken out.
            let from = if sentence.done { vec![0; search.beams] } else { sentence.advance(candidates, search) };
            rows.extend(from.into_iter().map(|beam| signed(slot * kept + beam)));
            tokens.extend((0..search.beams).map(|beam| sentence.last_token(beam)));
        }
        kept = search.beams;
        let staying: Vec<usize> = (0..live.len()).filter(|&slot| !sentences[live[slot]].done).collect();
        if staying.len() * 2 <= live.len() {
            if staying.is_empty() {
                break;
            }
            let of_staying = |all: &[i64]| -> Vec<i64> {
                staying.iter().flat_map(|&slot| &all[slot * kept..(slot + 1) * kept]).copied().collect()
            };
            (rows, tokens) = (of_staying(&rows), of_staying(&tokens));
            let slots: Vec<i64> = staying.iter().map(|&slot| signed(slot)).collect();
            live = staying.into_iter().map(|slot| live[slot]).collect();
            cache.rearrange(&rows, Some(&slots))?;
        } else {
            cache.rearrange(&rows, None)?;
        }
        hidden = network.decoder.write(&tokens, &mut cache)?;
    }
    Ok(sentences.into_iter().map(|sentence| sentence.finish(search)).collect())
}

/// A continuation: the score with it, which hypothesis it continues, the token.
type Candidate = (f32, usize, i64);

/// The best continuations of each live sentence, best first: one for greedy search, else two a beam.
fn best(
    scores: &Tensor,
    live: &[usize],
    sentences: &[Sentence],
    kept: usize,
    search: &Search,
) -> Result<Vec<Vec<Candidate>>> {
    let vocabulary = scores.size2()?.1;
    let before: Vec<f32> = live
        .iter()
        .flat_map(|&sentence| (0..kept).map(move |beam| (sentence, beam)))
        .map(|(sentence, beam)| sentences[sentence].running.get(beam).map_or(0.0, |hypothesis| hypothesis.score))
        .collect();
    let before = Tensor::f_from_slice(&before)?.f_unsqueeze(1)?.f_to_device(scores.device())?;
    let (values, places) = if search.beams == 1 {
        // The best token is chosen by the scores themselves: log-probabilities and sums round, and may tie.
        let (values, places) = scores.f_topk(1, 1, true, true)?;
        (values.f_sub(&scores.f_logsumexp([1].as_slice(), true)?)?.f_add(&before)?, places)
    } else {
        let sums = scores.f_log_softmax(1, Kind::Float)?.f_add_(&before)?;
        sums.f_view([signed(live.len()), -1])?.f_topk(signed(search.beams) * 2, 1, true, true)?
    };
    let count = usize::try_from(values.size2()?.1).unwrap_or(0);
    let values = Vec::<f32>::try_from(values.f_flatten(0, -1)?.f_to_device(tch::Device::Cpu)?)?;
    let places = Vec::<i64>::try_from(places.f_flatten(0, -1)?.f_to_device(tch::Device::Cpu)?)?;
    let candidates: Vec<Candidate> = values
        .into_iter()
        .zip(places)
        .map(|(score, place)| (score, usize::try_from(place / vocabulary).unwrap_or(0), place % vocabulary))
        .collect();
    Ok(candidates.chunks(count.max(1)).map(<[Candidate]>::to_vec).collect())
}

#[derive(Debug, Clone)]
struct Hypothesis {
    tokens: Vec<i64>,
    /// The sum of log-probabilities while it goes on; what it is compared by when it is finished.
    score: f32,
}

/// The search for one sentence.
#[derive(Debug)]
struct Sentence {
    /// Best first.
    running: Vec<Hypothesis>,
    /// Best first, at most as many as beams.
    finished: Vec<Hypothesis>,
    limit: usize,
    end: i64,
    done: bool,
}

impl Sentence {
    fn new(prompt: &[i64], limit: usize, end: i64) -> Self {
        let start = Hypothesis { tokens: prompt.to_vec(), score: 0.0 };
        Self { done: limit <= prompt.len(), running: vec![start], finished: Vec::new(), limit, end }
    }

    fn last_token(&self, beam: usize) -> i64 {
        self.running.get(beam).and_then(|hypothesis| hypothesis.tokens.last()).copied().unwrap_or(self.end)
    }

    /// Takes a step; the answer is which hypothesis each of the new ones continues.
    fn advance(&mut self, candidates: &[Candidate], search: &Search) -> Vec<usize> {
        let before = self.running.first().map_or(0, |hypothesis| hypothesis.tokens.len());
        let continued = |&(score, beam, token): &Candidate| {
            let mut tokens = self.running[beam].tokens.clone();
            tokens.push(token);
            Hypothesis { tokens, score }
        };
        let ends = |candidate: &Candidate| candidate.2 == self.end || before + 1 >= self.limit;
        if search.beams == 1 {
            let next = candidates.first().map(continued);
            self.done = candidates.first().is_none_or(ends);
            self.running = next.into_iter().collect();
            return vec![0];
        }
        // `before` counts the start token too, so it is the number of tokens written with the new one.
        let ending = candidates.iter().take(search.beams).filter(|candidate| ends(candidate)).map(|candidate| {
            let mut hypothesis = continued(candidate);
            hypothesis.score /= length_factor(before, search);
            hypothesis
        });
        let ending: Vec<_> = ending.collect();
        let going_on: Vec<&Candidate> =
            candidates.iter().filter(|candidate| !ends(candidate)).take(search.beams).collect();
        let from = going_on.iter().map(|candidate| candidate.1).collect();
        let running: Vec<_> = going_on.into_iter().map(continued).collect();
        self.running = running;
        self.finished.extend(ending);
        self.finished.sort_by(|a, b| b.score.total_cmp(&a.score)); // stable: of equals the earlier stays before
        self.finished.truncate(search.beams);
        self.done = before + 1 >= self.limit || self.is_decided(before + 1, search);
        from
    }

    /// Whether what goes on is given up, now that the hypotheses have this many tokens.
    fn is_decided(&self, length: usize, search: &Search) -> bool {
        let (Some(best), Some(worst)) = (self.running.first(), self.finished.get(search.beams - 1)) else {
            return false; // fewer than K are finished
        };
        let written = match search.stopping {
            Stopping::Early => return true,
            Stopping::Never if search.length_penalty > 0.0 => self.limit - 1,
            Stopping::Heuristic | Stopping::Never => length - 1,
        };
        best.score / length_factor(written, search) <= worst.score
    }

    fn finish(self, search: &Search) -> Found {
        let best = self.finished.into_iter().next().or_else(|| self.running.into_iter().next());
        // A sentence has one or the other; greedy search finishes none.
        let Some(Hypothesis { tokens, mut score }) = best else {
            return Found { tokens: Vec::new(), score: 0.0, ended: false };
        };
        if search.beams == 1 {
            score /= length_factor(tokens.len() - 1, search);
        }
        Found { ended: tokens.len() > 2 && tokens.last() == Some(&self.end), tokens, score }
    }
}

/// (tokens written)^length_penalty, rounded to f32 as torch does before it divides by it.
fn length_factor(written: usize, search: &Search) -> f32 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a length; torch divides in f32")]
    let factor = (written as f64).powf(search.length_penalty) as f32;
    factor
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: i64 = 2;

    fn search(stopping: Stopping) -> Search {
        Search { beams: 2, length_penalty: 1.0, stopping }
    }

    #[test]
    fn only_the_first_beams_of_the_candidates_can_finish() {
        let search = search(Stopping::Heuristic);
        let mut sentence = Sentence::new(&[END, 9], 10, END);
        // The end is third: it neither finishes nor goes on.
        let from = sentence.advance(&[(-1.0, 0, 5), (-2.0, 0, 6), (-3.0, 0, END), (-4.0, 0, 7)], &search);
        assert_eq!((from, sentence.finished.len()), (vec![0, 0], 0));
        // The end of the second beam is first, and the third candidate takes its place among those that go on.
        let from = sentence.advance(&[(-2.5, 1, END), (-3.0, 0, 6), (-3.5, 1, 7), (-4.0, 0, 8)], &search);
        assert_eq!(from, [0, 1]);
        assert_eq!(sentence.finished[0].tokens, [END, 9, 6, END]);
        assert!((sentence.finished[0].score - -2.5 / 3.0).abs() < 1e-6);
        assert_eq!(sentence.running[1].tokens, [END, 9, 6, 7]);
        assert!(!sentence.done);
    }

    #[test]
    fn stopping_early_asks_only_how_many_are_finished() {
        // After this step all have 3 tokens, 2 of them written: the finished ones were divided by 2, and so is −1.2.
        let candidates = [(-1.0, 0, END), (-1.5, 0, END), (-1.2, 0, 5), (-9.0, 0, 6)];
        for (stopping, done) in [(Stopping::Early, true), (Stopping::Heuristic, false), (Stopping::Never, false)] {
            let mut sentence = Sentence::new(&[END, 9], 10, END);
            sentence.advance(&candidates, &search(stopping));
            assert_eq!(sentence.done, done, "{stopping:?}");
        }
        // Ended now, −1.9 is worse than −1.5 over as many tokens; over nine it could be better.
        let candidates = [(-1.0, 0, END), (-1.5, 0, END), (-1.9, 0, 5), (-9.0, 0, 6)];
        for (stopping, done) in [(Stopping::Heuristic, true), (Stopping::Never, false)] {
            let mut sentence = Sentence::new(&[END, 9], 10, END);
            sentence.advance(&candidates, &search(stopping));
            assert_eq!(sentence.done, done, "{stopping:?}");
        }
    }

    #[test]
    fn the_limit_ends_all() {
        let mut sentence = Sentence::new(&[END, 9], 3, END);
        sentence.advance(&[(-1.0, 0, 5), (-2.0, 0, END), (-3.0, 0, 6), (-4.0, 0, 7)], &search(Stopping::Never));
        assert!(sentence.done);
        let found = sentence.finish(&search(Stopping::Never));
        assert_eq!((found.tokens.as_slice(), found.ended), ([END, 9, 5].as_slice(), false));
        assert!((found.score + 0.5).abs() < 1e-6);
    }
}
