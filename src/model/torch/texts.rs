//! Texts to token ids, as the model's folder wants them read: its tokenizer, a prompt before each, a limit.

use std::sync::atomic::{AtomicU64, Ordering};

use tokenizers::{PostProcessor as _, Tokenizer, TruncationDirection, TruncationParams};

use super::languages;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;
use crate::model::sentence_transformers::ModelFolder;

/// What a model is told of a text's language. `end` is the token that ends a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Speech {
    /// Nothing: it knows no languages.
    Untold,
    /// That all are in one language, by the model's name for it.
    One { name: String, end: i64 },
    /// The language of each, which comes with the texts.
    Each { end: i64 },
}

/// Reads texts for one model.
#[derive(Debug)]
pub(super) struct TextReader {
    tokenizer: Tokenizer,
    /// Hash of tokenizer.json.
    pub(super) hash: blake3::Hash,
    pub(super) prompt: String,
    pub(super) speech: Speech,
    /// The language that texts are read in at present.
    present: Option<String>,
    /// How many tokens the prompt alone has, special tokens not counted.
    prompt_tokens: usize,
    /// How many tokens at the start of each row the pooling leaves out: none, or the prompt's, the special ones before
    /// it included.
    pub(super) skipped: usize,
    pub(super) lower_case: bool,
    pub(super) max_tokens: usize,
    vocab_size: i64,
    /// Texts that were cut since it was last asked.
    truncated: AtomicU64,
}

impl TextReader {
    pub(super) fn open(
        model: &ModelFolder,
        prompt: String,
        mut speech: Speech,
        max_tokens: usize,
        vocab_size: i64,
    ) -> Result<Self> {
        let path = model.tokenizer.join("tokenizer.json");
        let doing = || format!("reading the tokenizer {}", path.display());
        let bytes = files::read(&path).context(ErrorKind::Model, doing)?;
        let mut tokenizer = Tokenizer::from_bytes(&bytes).context(ErrorKind::Model, doing)?;
        // Files carry the padding and truncation of their last use; ours is by batch and by the model's limit.
        tokenizer.with_padding(None);
        let mut present = None;
        if let Speech::One { name, end } = &mut speech {
            *name = languages::name(&tokenizer, name)?;
            languages::read_as(&mut tokenizer, name, *end)?;
            present = Some(name.clone());
        }
        let special = tokenizer.get_post_processor().map_or(0, |template| template.added_tokens(false));
        if max_tokens <= special {
            return Err(Error::new(
                ErrorKind::Model,
                format!("its limit of {max_tokens} tokens leaves no room beside {special} special tokens"),
            ));
        }
        let direction = if model.truncate_left { TruncationDirection::Left } else { TruncationDirection::Right };
        let limit = TruncationParams { max_length: max_tokens, direction, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(limit)).context(ErrorKind::Model, doing)?;

        let hash = blake3::hash(&bytes);
        let lower_case = model.lower_case;
        let mut texts = Self {
            tokenizer,
            hash,
            prompt,
            speech,
            present,
            prompt_tokens: 0,
            skipped: 0,
            lower_case,
            max_tokens,
            vocab_size,
            truncated: AtomicU64::new(0),
        };
        // Without the space at its end, which may be a token of its own or go into the text's first.
        texts.prompt_tokens = texts.tokenize(texts.prompt.trim_end())?.1;
        if !model.pooling.include_prompt && !texts.prompt.is_empty() {
            texts.skipped = texts.prompt_length()?;
        }
        Ok(texts)
    }

    /// Reads the texts that follow in this language, where the model is told the language of each.
    pub(super) fn read_as(&mut self, language: &str) -> Result<()> {
        let Speech::Each { end } = self.speech else { return Ok(()) };
        let name = languages::name(&self.tokenizer, language)?;
        if self.present.as_ref() != Some(&name) {
            languages::read_as(&mut self.tokenizer, &name, end)?;
            self.present = Some(name);
        }
        Ok(())
    }

    /// Whether it is known in which language to read.
    ///
    /// # Errors
    /// Kind `Config`: the model must be told a language and was told none.
    pub(super) fn check(&self) -> Result<()> {
        if matches!(self.speech, Speech::Each { .. }) && self.present.is_none() {
            return Err(Error::config(
                "this model must know the language of its texts: set lang to it, such as \"tk\" or \"tuk_Latn\"",
            ));
        }
        Ok(())
    }

    /// Whether texts of this language can be read.
    pub(super) fn has(&self, language: &str) -> bool {
        !matches!(self.speech, Speech::Each { .. }) || languages::name(&self.tokenizer, language).is_ok()
    }

    /// How many texts were cut since this was last asked.
    pub(super) fn take_truncated(&self) -> u64 {
        self.truncated.swap(0, Ordering::Relaxed)
    }

    /// The ids of a text, special tokens included, and how many others there are. The prompt is not added.
    fn tokenize(&self, text: &str) -> Result<(Vec<i64>, usize)> {
        let lower: String;
        let text = if self.lower_case {
            lower = text.chars().flat_map(char::to_lowercase).collect();
            &lower
        } else {
            text
        };
        let encoding = self.tokenizer.encode_fast(text, true).context(ErrorKind::Model, || "tokenizing".to_owned())?;
        // What was cut off comes back as further pieces.
        self.truncated.fetch_add(u64::from(!encoding.get_overflowing().is_empty()), Ordering::Relaxed);
        let own = encoding.get_special_tokens_mask().iter().filter(|&&special| special == 0).count();
        Ok((encoding.get_ids().iter().map(|&id| i64::from(id)).collect(), own))
    }

    /// As sentence-transformers counts it: the prompt's tokens with its special ones, less the one at the end.
    fn prompt_length(&self) -> Result<usize> {
        let encoding = self
            .tokenizer
            .encode_fast(self.prompt.as_str(), true)
            .context(ErrorKind::Model, || "tokenizing".to_owned())?;
        let ends_special = encoding.get_special_tokens_mask().last() == Some(&1);
        Ok(encoding.len() - usize::from(ends_special))
    }

    /// The ids of the text with this index, after the prompt. `None` for a text without a token of its own that counts:
    /// its vector would be that of the special tokens, the same for all such texts.
    pub(super) fn read(&self, index: usize, text: &str) -> Result<Option<Vec<i64>>> {
        let (ids, own) = if self.prompt.is_empty() {
            self.tokenize(text)?
        } else {
            self.tokenize(&format!("{}{text}", self.prompt))?
        };
        // Some tokenizers make a token of white space. Behind a prompt, tokens may merge: when there are no more than
        // the prompt's, the text is looked at alone.
        let none = own <= self.prompt_tokens && (self.prompt_tokens == 0 || self.tokenize(text)?.1 == 0);
        if none || text.trim().is_empty() || ids.len() <= self.skipped {
            return Ok(None);
        }
        if let Some(unknown) = ids.iter().find(|&&id| id >= self.vocab_size) {
            return Err(Error::new(
                ErrorKind::Model,
                format!(
                    "text {index} has the token {unknown}, and the model knows {} only: tokenizer.json is of another \
                     model",
                    self.vocab_size
                ),
            ));
        }
        Ok(Some(ids))
    }
}
