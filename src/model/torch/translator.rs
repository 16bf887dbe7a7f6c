//! Translation with an NLLB folder, as transformers saves it: config.json, model.safetensors, tokenizer.json.
//!
//! ```text
//! texts ─ tokenizer, `LANGUAGE text </s>` ─▶ ids ─ batches of like length ─▶ search ─▶ ids ─▶ texts, in input order
//! ```

use std::path::Path;

use rayon::prelude::*;
use tokenizers::{Tokenizer, TruncationParams};

use super::batch::{plan, signed};
use super::compute::{Compute, Device, Dtype};
use super::decoder::M2m100;
use super::generate::{Found, Search, generate};
use super::languages;
use super::m2m100::M2m100Config;
use super::weights::Checkpoint;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;
use crate::model::{ModelId, Translation, Translator};
use crate::record::id::hash_parts;

/// Goes up when the same folder begins to give other translations.
const VERSION: u32 = 1;

/// How to open and run a model. What cannot change a translation (beyond rounding): `device`, `batch_tokens`,
/// `memory`, `threads`.
#[derive(Debug, Clone)]
pub struct TranslatorOptions {
    /// The language of the texts, as the model names it (`eng_Latn`) or by its code (`en`).
    pub source: String,
    /// The language to translate into (`tuk_Latn`, `tk`).
    pub target: String,
    /// Where to compute.
    pub device: Device,
    /// In what numbers.
    pub dtype: Dtype,
    /// How to search.
    pub search: Search,
    /// Tokens of a translation at most, the start, language and end tokens included. 200 is NLLB's own number.
    pub max_length: usize,
    /// With `Some((more, times))`, a translation of a text of n tokens has at most more + times·n too: a model that
    /// begins to repeat itself is stopped early.
    pub growth: Option<(usize, usize)>,
    /// Tokens of a text at most, language and end tokens included; longer texts lose their end. The model's own limit
    /// holds as well.
    pub max_source: usize,
    /// Tokens of the texts of a batch, padding included.
    pub batch_tokens: usize,
    /// Bytes that the decoder may keep for a batch; a batch has at least one text.
    pub memory: usize,
    /// Threads inside libtorch's operations, for the whole process; `None` leaves libtorch's own choice.
    pub threads: Option<usize>,
}

impl TranslatorOptions {
    /// The usual ones, for a pair of languages.
    pub fn new(source: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            device: Device::Auto,
            dtype: Dtype::Auto,
            search: Search::default(),
            max_length: 200,
            growth: None,
            max_source: 512,
            batch_tokens: 1024,
            memory: 2 << 30,
            threads: None,
        }
    }
}

/// NLLB from one language to another.
#[derive(Debug)]
pub struct NllbTranslator {
    id: ModelId,
    tokenizer: Tokenizer,
    /// The target's token.
    target: i64,
    network: M2m100,
    config: M2m100Config,
    compute: Compute,
    options: TranslatorOptions,
    /// Of configuration, tokenizer and weights.
    files: blake3::Hash,
}

impl NllbTranslator {
    /// Opens a folder of transformers.
    ///
    /// # Errors
    /// Kind `Model`: a file that is missing or wrong, another architecture, weights that do not fit the configuration,
    /// a language that the model does not have. Kind `Config`: options that make no sense.
    pub fn open(folder: &Path, options: TranslatorOptions) -> Result<Self> {
        Self::open_parts(folder, options)
            .map_err(|error| error.while_doing(format!("opening the model {}", folder.display())))
    }

    fn open_parts(folder: &Path, options: TranslatorOptions) -> Result<Self> {
        if let Some(threads) = options.threads {
            tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
        }
        let _no_grad = tch::no_grad_guard();
        let config = M2m100Config::read(folder)?;
        check(&options, &config)?;
        // One sentence's tokens wait for each other: a second device would have nothing to do.
        let compute = *Compute::choose(options.device, options.dtype)?
            .first()
            .ok_or_else(|| Error::bug("no device to compute on"))?;

        let path = folder.join("tokenizer.json");
        let doing = || format!("reading the tokenizer {}", path.display());
        let bytes = files::read(&path).context(ErrorKind::Model, doing)?;
        let mut tokenizer = Tokenizer::from_bytes(&bytes).context(ErrorKind::Model, doing)?;
        // Files carry the padding and truncation of their last use.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).context(ErrorKind::Model, doing)?;

        let checkpoint = Checkpoint::open(folder)?;
        let network = M2m100::load(&config, &checkpoint, compute)?;
        let configuration = files::read(&folder.join("config.json"))?;
        let hash = hash_parts(&[&configuration, blake3::hash(&bytes).as_bytes(), checkpoint.hash().as_bytes()]);
        let (source, target) = (options.source.clone(), options.target.clone());
        let id = ModelId(String::new());
        let mut translator = Self { id, tokenizer, target: 0, network, config, compute, options, files: hash };
        translator.set_languages(&source, &target)?;
        Ok(translator)
    }

    /// Translates between other languages from now on; the weights stay as they are.
    ///
    /// # Errors
    /// Kind `Model`: the model does not have one of the languages. All stays as it was then.
    pub fn set_languages(&mut self, source: &str, target: &str) -> Result<()> {
        let (source, target) = (languages::name(&self.tokenizer, source)?, languages::name(&self.tokenizer, target)?);
        let target_id = languages::id(&self.tokenizer, &target)?;
        // Truncation makes room for the template's tokens, so it is set behind it; both languages are known by then.
        languages::read_as(&mut self.tokenizer, &source, self.config.eos_token_id)?;
        let limit = TruncationParams { max_length: self.max_source(), ..TruncationParams::default() };
        self.tokenizer.with_truncation(Some(limit)).context(ErrorKind::Model, || "setting the limit".to_owned())?;
        self.target = i64::from(target_id);
        (self.options.source, self.options.target) = (source, target);
        self.id = self.identify();
        Ok(())
    }

    /// Tokens of a text at most.
    fn max_source(&self) -> usize {
        self.options.max_source.min(self.config.max_tokens())
    }

    /// The name of all that a translation depends on.
    fn identify(&self) -> ModelId {
        let TranslatorOptions { source, target, search, max_length, growth, .. } = &self.options;
        let form = self.compute.suffix();
        let settings = format!("{VERSION} {search:?} {max_length} {growth:?} {}{form}", self.max_source());
        let parts: [&[u8]; 4] = [settings.as_bytes(), source.as_bytes(), target.as_bytes(), self.files.as_bytes()];
        let hash = hash_parts(&parts).to_hex();
        ModelId(format!("{}-{source}-{target}{form}-{}", self.config.describe(), &hash[..16]))
    }

    /// Tokens of a translation at most, for a text of so many tokens.
    fn limit(&self, tokens: usize) -> usize {
        let grown = self.options.growth.map_or(usize::MAX, |(more, times)| more + times * tokens);
        self.options.max_length.min(grown).max(2)
    }

    /// Bytes that one text takes in the decoder, at most: keys and values of every layer, twice while hypotheses are
    /// rearranged, and the scores of all continuations, three times while the best are chosen.
    fn bytes(&self) -> usize {
        let [layers, width, vocabulary] =
            [signed(self.config.decoder_layers), self.config.d_model, self.config.vocab_size]
                .map(|count| usize::try_from(count).unwrap_or(0));
        let number = self.compute.kind().elt_size_in_bytes();
        let kept = self.options.max_length * layers * width * 2 * number * 2;
        self.options.search.beams * (kept + vocabulary * 4 * 3)
    }

    fn text(&self, found: &Found) -> Result<String> {
        // Without the start and language tokens; the end token and any other special one is left out too.
        let ids: Vec<u32> = found.tokens.iter().skip(2).filter_map(|&id| u32::try_from(id).ok()).collect();
        self.tokenizer.decode(&ids, true).context(ErrorKind::Model, || "putting a translation's tokens together".into())
    }
}

impl Translator for NllbTranslator {
    fn id(&self) -> &ModelId {
        &self.id
    }

    fn translate(&mut self, texts: &[&str]) -> Result<Vec<Translation>> {
        let _no_grad = tch::no_grad_guard(); // counts for this thread only, so not once at opening
        let this = &*self;
        let (tokenizer, vocab_size) = (&this.tokenizer, this.config.vocab_size); // tensors do not go to other threads
        let read = texts.par_iter().enumerate().map(|(index, text)| read(tokenizer, vocab_size, index, text));
        let read: Vec<(Vec<i64>, bool)> = read.collect::<Result<_>>()?;
        let lengths: Vec<usize> = read.iter().map(|(ids, _)| ids.len()).collect();
        let most = (this.options.memory / this.bytes().max(1)).max(1);
        let mut translations = vec![Translation::default(); texts.len()];
        let batches = plan(&lengths, this.options.batch_tokens, true);
        for batch in batches.iter().flat_map(|batch| batch.chunks(most)) {
            let rows: Vec<&[i64]> = batch.iter().map(|&text| read[text].0.as_slice()).collect();
            let limits: Vec<usize> = rows.iter().map(|row| this.limit(row.len())).collect();
            let found = generate(&this.network, &this.config, &rows, this.target, &limits, &this.options.search)
                .map_err(|error| {
                    error.while_doing(format!(
                        "translating {} texts, the longest of {} tokens, with {}",
                        rows.len(),
                        rows[0].len(),
                        this.id
                    ))
                })?;
            for (&text, found) in batch.iter().zip(&found) {
                translations[text] = Translation {
                    text: this.text(found)?,
                    score: Some(found.score),
                    source_cut: read[text].1,
                    cut: !found.ended,
                };
            }
        }
        Ok(translations)
    }
}

/// The ids of the text with this index, and whether it lost its end.
fn read(tokenizer: &Tokenizer, vocab_size: i64, index: usize, text: &str) -> Result<(Vec<i64>, bool)> {
    let encoding = tokenizer.encode_fast(text, true).context(ErrorKind::Model, || "tokenizing".to_owned())?;
    if text.trim().is_empty() || !encoding.get_special_tokens_mask().contains(&0) {
        return Err(Error::new(ErrorKind::Model, format!("text {index} has no token: {text:?}")));
    }
    let ids: Vec<i64> = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
    if let Some(unknown) = ids.iter().find(|&&id| id >= vocab_size) {
        return Err(Error::new(
            ErrorKind::Model,
            format!(
                "text {index} has the token {unknown}, and the model knows {vocab_size} only: tokenizer.json is of \
                 another model"
            ),
        ));
    }
    Ok((ids, !encoding.get_overflowing().is_empty()))
}

/// Whether the options make sense with this model.
fn check(options: &TranslatorOptions, config: &M2m100Config) -> Result<()> {
    let beams = options.search.beams;
    if beams < 1 || signed(beams) * 2 > config.vocab_size {
        return Err(Error::config(format!("{beams} beams: at least 1, and at most half of the vocabulary's tokens")));
    }
    let most = config.max_tokens();
    if options.max_length < 4 || options.max_length > most {
        return Err(Error::config(format!("max_length is {}; it must be from 4 to {most}", options.max_length)));
    }
    if options.max_source < 3 {
        return Err(Error::config(format!("max_source is {}; it must be 3 or more", options.max_source)));
    }
    if !options.search.length_penalty.is_finite() {
        return Err(Error::config("length_penalty must be a number"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde::Deserialize;

    use super::*;
    use crate::model::torch::batch::Batch;
    use crate::model::torch::generate::Stopping;

    #[derive(Deserialize)]
    struct Golden {
        texts: Vec<Text>,
        forced: Vec<Forced>,
        searches: Vec<Searched>,
    }

    #[derive(Deserialize)]
    struct Text {
        text: String,
        language: String,
        ids: Vec<i64>,
    }

    #[derive(Deserialize)]
    struct Forced {
        source: Vec<i64>,
        target: Vec<i64>,
        /// Of the last token.
        logits: Vec<f32>,
        /// Of all logits of all tokens.
        mean: f64,
    }

    #[derive(Deserialize)]
    struct Searched {
        beams: usize,
        length_penalty: f64,
        early_stopping: serde_json::Value,
        target: String,
        max_length: usize,
        rows: Vec<Vec<i64>>,
        scores: Option<Vec<f32>>,
        texts: Vec<String>,
    }

    impl Searched {
        fn search(&self) -> Search {
            let stopping = match self.early_stopping.as_bool() {
                Some(true) => Stopping::Early,
                Some(false) => Stopping::Heuristic,
                None => Stopping::Never,
            };
            Search { beams: self.beams, length_penalty: self.length_penalty, stopping }
        }
    }

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/m2m100-tiny")
    }

    fn golden() -> Golden {
        serde_json::from_str(&files::read_text(&folder().join("golden.json")).unwrap()).unwrap()
    }

    fn options(source: &str, target: &str) -> TranslatorOptions {
        TranslatorOptions { dtype: Dtype::F32, max_length: 24, ..TranslatorOptions::new(source, target) }
    }

    fn open(options: TranslatorOptions) -> NllbTranslator {
        NllbTranslator::open(&folder(), options).unwrap()
    }

    #[test]
    fn forced_tokens_get_the_scores_of_transformers() {
        let golden = golden();
        let translator = open(options("eng_Latn", "tuk_Latn"));
        let (network, config) = (&translator.network, &translator.config);
        let _no_grad = tch::no_grad_guard();
        let rows: Vec<&[i64]> = golden.forced.iter().map(|forced| forced.source.as_slice()).collect();
        let batch = Batch::padded(&rows, 1, config.numbering(), tch::Device::Cpu).unwrap();
        let encoded = batch.groups[0].of(&network.encoder.forward(&batch).unwrap()).unwrap();
        let targets: Vec<Vec<i64>> = golden.forced.iter().map(|forced| forced.target.clone()).collect();
        let numbers = |tensor: tch::Tensor| Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
        let mut worst = 0.0_f32;

        // All tokens at once, then one after another: the second way is the one with the cache.
        let mut cache = network.decoder.begin(&encoded, batch.groups[0].mask.as_ref()).unwrap();
        let hidden = network.decoder.write(&targets.concat(), &mut cache).unwrap();
        let at_once = network.decoder.scores(&hidden).unwrap();
        let mut cache = network.decoder.begin(&encoded, batch.groups[0].mask.as_ref()).unwrap();
        let mut last = tch::Tensor::new();
        for step in 0..targets[0].len() {
            let tokens: Vec<i64> = targets.iter().map(|target| target[step]).collect();
            last = network.decoder.scores(&network.decoder.write(&tokens, &mut cache).unwrap()).unwrap();
        }
        for (row, forced) in (0..).zip(&golden.forced) {
            let all = numbers(at_once.get(row));
            let mean = all.iter().map(|&x| f64::from(x)).sum::<f64>() / all.len() as f64;
            assert!((mean - forced.mean).abs() < 1e-4, "{mean} {}", forced.mean);
            for scores in [&all[all.len() - forced.logits.len()..], &numbers(last.get(row))] {
                let largest = forced.logits.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                for (ours, theirs) in scores.iter().zip(&forced.logits) {
                    worst = worst.max((ours - theirs).abs() / largest);
                }
            }
        }
        eprintln!("scores: {worst:e} of the largest");
        assert!(worst <= 1e-5, "{worst}");
        assert!(network.decoder.write(&[5; 6], &mut cache).is_err(), "several tokens later");
    }

    #[test]
    fn every_search_finds_the_tokens_that_transformers_finds() {
        let golden = golden();
        let translator = open(options("eng_Latn", "tuk_Latn"));
        let sources: Vec<&[i64]> = golden.texts.iter().map(|text| text.ids.as_slice()).collect();
        let _no_grad = tch::no_grad_guard();
        let mut worst = 0.0_f32;
        for searched in &golden.searches {
            let target = i64::from(languages::id(&translator.tokenizer, &searched.target).unwrap());
            let run = |sources: &[&[i64]]| {
                let limits = vec![searched.max_length; sources.len()];
                generate(&translator.network, &translator.config, sources, target, &limits, &searched.search()).unwrap()
            };
            let found = run(&sources);
            for (number, found) in found.iter().enumerate() {
                let setting = format!("{:?}, {}, text {number}", searched.search(), searched.target);
                assert_eq!(found.tokens, searched.rows[number], "{setting}");
                assert_eq!(found.ended, searched.rows[number].last() == Some(&2), "{setting}");
                assert_eq!(translator.text(found).unwrap(), searched.texts[number], "{setting}");
                if let Some(scores) = &searched.scores {
                    worst = worst.max((found.score - scores[number]).abs());
                }
                if number % 4 == searched.beams % 4 {
                    assert_eq!(run(&[sources[number]])[0].tokens, found.tokens, "alone: {setting}");
                }
            }
        }
        eprintln!("{} searches, scores differ by {worst:e}", golden.searches.len());
        assert!(worst <= 1e-4, "{worst}");
    }

    #[test]
    fn texts_of_several_languages_are_translated_in_their_order() {
        let golden = golden();
        let searched =
            golden.searches.iter().find(|searched| searched.beams == 4 && searched.max_length == 24).unwrap();
        let settings = |batch_tokens| TranslatorOptions {
            batch_tokens,
            memory: batch_tokens << 10,
            search: searched.search(),
            max_source: 64,
            ..options("eng_Latn", &searched.target)
        };
        for batch_tokens in [1, 100, 10_000] {
            let mut translator = open(settings(batch_tokens));
            for (number, text) in golden.texts.iter().enumerate() {
                translator.set_languages(&text.language, &searched.target).unwrap();
                assert_eq!(
                    read(&translator.tokenizer, 228, 0, &text.text).unwrap(),
                    (text.ids.clone(), text.ids.len() == 64)
                );
                let translation = translator.translate(&[&text.text]).unwrap().remove(0);
                assert_eq!(translation.text, searched.texts[number]);
                assert_eq!(translation.source_cut, text.ids.len() == 64);
                assert_eq!(translation.cut, searched.rows[number].last() != Some(&2));
            }
            let numbers: Vec<usize> =
                (0..golden.texts.len()).filter(|&number| golden.texts[number].language == "tuk_Latn").collect();
            translator.set_languages("tuk_Latn", &searched.target).unwrap();
            let texts: Vec<&str> = numbers.iter().map(|&number| golden.texts[number].text.as_str()).collect();
            let translations = translator.translate(&texts).unwrap();
            assert!(translations.iter().zip(&numbers).all(|(ours, &number)| ours.text == searched.texts[number]));
        }
    }

    #[test]
    fn what_cannot_be_translated_is_named() {
        let mut translator = open(options("eng_Latn", "tuk_Latn"));
        let message = translator.translate(&["book", " "]).unwrap_err().to_string();
        assert!(message.contains("text 1 has no token"), "{message}");
        let id = translator.id().clone();
        let message = translator.set_languages("tuk_Latn", "rus").unwrap_err().to_string();
        assert!(message.contains("no language \"rus\": it has rus_Cyrl"), "{message}");
        assert_eq!(*translator.id(), id, "all stays as it was");
        assert!(id.0.starts_with("m2m_100-2+2x32-eng_Latn-tuk_Latn-"), "{id}");
        let other = open(TranslatorOptions { max_length: 20, ..options("eng_Latn", "tuk_Latn") });
        assert_ne!(*other.id(), id);
        for wrong in [
            TranslatorOptions { max_length: 65, ..options("eng_Latn", "tuk_Latn") },
            TranslatorOptions { max_source: 2, ..options("eng_Latn", "tuk_Latn") },
            TranslatorOptions { search: Search { beams: 0, ..Search::default() }, ..options("eng_Latn", "tuk_Latn") },
        ] {
            assert_eq!(NllbTranslator::open(&folder(), wrong).unwrap_err().kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn translations_grow_only_as_far_as_they_may() {
        let mut translator = open(TranslatorOptions {
            growth: Some((2, 1)),
            search: Search { beams: 1, ..Search::default() },
            ..options("eng_Latn", "rus_Cyrl")
        });
        let (ids, _) = read(&translator.tokenizer, 228, 0, "a").unwrap();
        assert_eq!(translator.limit(ids.len()), ids.len() + 2);
        assert!(translator.translate(&["a"]).unwrap()[0].cut);
    }
}
