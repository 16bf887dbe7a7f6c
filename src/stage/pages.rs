//! Pages of strangers, read by the processes that read books: within limits on memory and processor time.
//!
//! ```text
//! bytes as fetched ─▶ Reader ─▶ a worker: charset, HTML, profile ─▶ what the page says, or where it leads
//! ```
//!
//! A library that names no worker reads pages in its own process; the parser's limits hold there too.

use serde::{Deserialize, Serialize};
use url::Url;

use super::books::Limits;
use crate::error::{Context as _, ErrorKind, Result};
use crate::extract::agreement::agreement;
use crate::extract::charset;
use crate::extract::html::{self, Extracted};
use crate::extract::links::{self, Link};
use crate::extract::profile::{CompiledProfile, Profile};

/// What is to be read of a page, and what it may cost. Its bytes travel beside this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageJob {
    /// Where it was fetched from.
    pub url: Url,
    /// What its server says that it is.
    pub content_type: Option<String>,
    /// What is wanted.
    pub wanted: Wanted,
    /// What it may cost.
    pub cost: Cost,
}

/// What is wanted of a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// What it says, by its site's profile if there is one; and then how far the generic extractor agrees.
    Text(Option<Profile>),
    /// Where it leads.
    Links,
}

/// What a page may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Bytes of memory.
    pub memory: u64,
    /// Processor time.
    pub time: std::time::Duration,
}

impl From<&Limits> for Cost {
    fn from(limits: &Limits) -> Self {
        Self { memory: limits.page_memory.0, time: limits.page_time.0 }
    }
}

/// What was read of a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadPage {
    /// What it says.
    Text {
        /// By the profile, if there is one.
        extracted: Box<Extracted>,
        /// The agreement of profile and generic extractor, 0 to 1; `None` without a profile or without text.
        agreement: Option<f64>,
    },
    /// Where it leads.
    Links {
        /// By its links.
        links: Vec<Link>,
        /// By `<meta http-equiv=refresh>`.
        refresh: Option<Url>,
    },
}

/// Reads pages in this process, without limits on memory and time.
#[derive(Debug, Default)]
pub(super) struct PageReader {
    /// The last profile: pages of one site come one after another.
    profile: Option<(Profile, CompiledProfile)>,
}

impl PageReader {
    /// Reads a page.
    ///
    /// # Errors
    /// Kind `Config` for a profile whose selectors are wrong.
    pub(super) fn read(&mut self, job: &PageJob, body: &[u8]) -> Result<ReadPage> {
        let text = charset::decode(body, job.content_type.as_deref()).text;
        let profile = match &job.wanted {
            Wanted::Links => {
                let refresh = links::refresh(&text, &job.url);
                return Ok(ReadPage::Links { links: links::links(&text, &job.url), refresh });
            }
            Wanted::Text(profile) => profile.as_ref().map(|profile| self.compiled(profile)).transpose()?,
        };
        let extracted = Box::new(html::extract(&text, &job.url, profile));
        let generic = profile.map(|_| html::extract(&text, &job.url, None));
        let agreement = generic.and_then(|generic| agreement(&extracted, &generic));
        Ok(ReadPage::Text { extracted, agreement })
    }

    fn compiled(&mut self, profile: &Profile) -> Result<&CompiledProfile> {
        let known = match self.profile.take() {
            Some((known, compiled)) if known == *profile => (known, compiled),
            _ => (profile.clone(), profile.compile()?),
        };
        Ok(&self.profile.insert(known).1)
    }
}

impl PageJob {
    /// What a page says.
    ///
    /// # Errors
    /// Kind `Bug` when `url` is none.
    pub fn text(url: &str, content_type: Option<&str>, profile: Option<Profile>, cost: Cost) -> Result<Self> {
        let url = Url::parse(url).context(ErrorKind::Bug, || format!("the archive names {url:?}"))?;
        Ok(Self { url, content_type: content_type.map(str::to_owned), wanted: Wanted::Text(profile), cost })
    }

    /// Where a page leads.
    pub fn links(url: &Url, content_type: Option<&str>, cost: Cost) -> Self {
        let (url, content_type) = (url.clone(), content_type.map(str::to_owned));
        Self { url, content_type, wanted: Wanted::Links, cost }
    }
}
