//! Models of the Hugging Face Hub, fetched into the cache that its own tools use (`model::cache`).
//!
//! ```text
//! GET /api/models/ID/revision/REV?blobs=true ─▶ commit, files with sizes and checksums
//!   each wanted file: GET /ID/resolve/COMMIT/FILE ─▶ blobs/SHA.incomplete ─ checksum ─▶ blobs/SHA ─▶ snapshots/COMMIT/FILE
//! refs/REV is written last
//! ```
//!
//! A download that breaks off is taken up where it stopped, in this run and in the next. Nothing becomes visible to a
//! reader before its checksum is right, and a model not before all its files are there. The token goes to the endpoint
//! alone: not where a redirect leads, and not over plain http.

mod download;
pub mod select;

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use self::download::Download;
use self::select::{Listed, wanted};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::model::adapter::AdapterConfig;
use crate::model::cache::{self, Cache, Place};
pub use crate::net::Token;
use crate::net::{Client, GetRequest, Response, Settings};

/// The Hub itself.
const ENDPOINT: &str = "https://huggingface.co";
/// The largest list of files that is read.
const MAX_LIST: u64 = 20_000_000;
/// No single file is larger than this: libtorch models of one machine are not.
const MAX_FILE: u64 = 100_000_000_000;

/// Where models come from.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// The server.
    pub endpoint: Url,
    /// Whether the network must not be used.
    pub offline: bool,
    /// Who asks, for models that not everybody may have. Never written anywhere.
    pub token: Option<Token>,
    /// Where they are kept.
    pub cache: Cache,
    /// Whether the endpoint was chosen by a person, who may mean a host of a private network.
    pub trusted: bool,
    /// How long to wait before the second attempt; doubled for each further one.
    pub retry_after: Duration,
}

impl HubSettings {
    /// What the environment says: `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_TOKEN`, and the cache's variables.
    ///
    /// # Errors
    /// Kind `Usage`: `HF_ENDPOINT` is no URL.
    pub fn from_environment() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let chosen = variable("HF_ENDPOINT");
        let text = chosen.clone().unwrap_or_else(|| ENDPOINT.to_owned());
        let endpoint = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(endpoint) = endpoint else {
            return Err(Error::new(ErrorKind::Usage, format!("HF_ENDPOINT is {text:?}, no http(s) URL")));
        };
        let yes = |value: String| matches!(value.trim().to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "true");
        Ok(Self {
            endpoint,
            offline: variable("HF_HUB_OFFLINE").is_some_and(yes),
            token: variable("HF_TOKEN").map(|secret| Token::new(secret.trim())),
            cache: Cache::from_environment(),
            trusted: chosen.is_some(),
            retry_after: Duration::from_secs(1),
        })
    }
}

/// What a download tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step<'a> {
    /// A model's files are known.
    Begin {
        /// The model.
        id: &'a str,
        /// How many files are wanted.
        files: usize,
        /// Their bytes.
        bytes: u64,
        /// Bytes of them that are here already.
        here: u64,
    },
    /// So many more bytes are here.
    Bytes(u64),
    /// Something that a person should know: a connection broke off, a base is fetched as well.
    Note(&'a str),
}

/// A model that is in the cache now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// Its commit.
    pub commit: String,
    /// The folder of its files.
    pub folder: PathBuf,
    /// How many files it has here.
    pub files: usize,
    /// Bytes that came over the network.
    pub fetched: u64,
}

/// Fetches models.
#[derive(Debug)]
pub struct Hub {
    settings: HubSettings,
    client: Client,
}

/// The answer about a model.
#[derive(Debug, Deserialize)]
struct Model {
    sha: String,
    #[serde(default)]
    siblings: Vec<Listed>,
}

impl Hub {
    /// A hub of these settings.
    ///
    /// # Errors
    /// Kind `Network`: no HTTP client can be built.
    pub fn new(settings: HubSettings) -> Result<Self> {
        let mut http = Settings::new(concat!("kopri/", env!("CARGO_PKG_VERSION")));
        http.max_body_bytes = MAX_LIST;
        if settings.trusted
            && let Some(host) = settings.endpoint.host_str()
        {
            http.allow_private_hosts.insert(host.trim_matches(['[', ']']).to_owned());
        }
        Ok(Self { client: Client::new(&http)?, settings })
    }

    /// Fetches a model (`org/name`) at a branch, tag or commit, as far as it is not here yet. An adapter's base is
    /// fetched as well, when it is named by its id.
    ///
    /// # Errors
    /// Kind `Usage`: the name is no id. Kind `Network`: the server cannot be reached, does not have it or does not give
    /// it. Kind `Model`: it has no weights that can be read, or a file comes with a wrong checksum. Kind `Store`: the
    /// cache cannot be written.
    pub fn get(&self, id: &str, revision: &str, tell: &mut dyn FnMut(Step<'_>)) -> Result<Got> {
        let got = self.one(id, revision, tell)?;
        if got.folder.join(crate::model::adapter::CONFIG).is_file() {
            let base = AdapterConfig::read(&got.folder)?.base.filter(|base| cache::is_id(base));
            if let Some(base) = base.filter(|base| self.settings.cache.find(base).is_err()) {
                tell(Step::Note(&format!("{id} is an adapter of {base}, which is fetched as well")));
                let (base, revision) = cache::split(&base);
                self.one(base, revision, tell)?;
            }
        }
        Ok(got)
    }

    fn one(&self, id: &str, revision: &str, tell: &mut dyn FnMut(Step<'_>)) -> Result<Got> {
        if !cache::is_id(&format!("{id}@{revision}")) || id.contains('@') {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("{id} at {revision} is no model of the Hub: its id has the form org/name"),
            ));
        }
        let place = self.settings.cache.place(id);
        if self.settings.offline {
            let folder = place.snapshot(revision).ok_or_else(|| {
                Error::new(
                    ErrorKind::Network,
                    format!(
                        "{id} is not in {}, and HF_HUB_OFFLINE forbids the network: unset it, then kopri models get {id}",
                        self.settings.cache.root.display()
                    ),
                )
            })?;
            let commit = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            return Ok(Got { commit, files: 0, fetched: 0, folder });
        }
        let model = self.describe(id, revision)?;
        let wanted = wanted(&model.siblings).map_err(|error| error.while_doing(format!("looking at {id}")))?;
        let mut total = 0_u64;
        for file in &wanted {
            total = total.saturating_add(size_of(file)?);
        }
        let missing: Vec<&Listed> = wanted.iter().filter(|file| !is_here(&place, &model.sha, file)).collect();
        let left: u64 = missing.iter().filter_map(|file| size_of(file).ok()).sum();
        tell(Step::Begin { id, files: wanted.len(), bytes: total, here: total - left });
        let mut fetched = 0;
        for file in missing {
            let url = self.url(&format!("{id}/resolve/{}/{}", model.sha, file.path))?;
            let download = Download { client: &self.client, settings: &self.settings, place: &place, file };
            let got = download
                .run(&url, tell)
                .map_err(|error| error.while_doing(format!("fetching {} of {id}", file.path)))?;
            fetched += got;
            link(&place, &model.sha, file)?;
        }
        files::write_atomically(&place.of_ref(revision), |out| out.write_all(model.sha.as_bytes()))?;
        let folder = place.of_commit(&model.sha);
        Ok(Got { folder, files: wanted.len(), fetched, commit: model.sha })
    }

    /// The commit and files of a model.
    fn describe(&self, id: &str, revision: &str) -> Result<Model> {
        let mut url = self.url(&format!("api/models/{id}/revision/{}", revision.replace('/', "%2F")))?;
        url.set_query(Some("blobs=true"));
        let response = self.ask(&url)?;
        if response.status != 200 {
            return Err(refused(response.status, id, revision, self.settings.token.is_some()));
        }
        let model: Model = serde_json::from_slice(&response.body)
            .context(ErrorKind::Network, || format!("reading what {url} says of {id}"))?;
        let is_commit = (7..=64).contains(&model.sha.len()) && model.sha.chars().all(|c| c.is_ascii_hexdigit());
        if !is_commit {
            return Err(Error::new(ErrorKind::Network, format!("{url} names {:?}, no commit", model.sha)));
        }
        Ok(model)
    }

    /// Asks for a small answer, through redirects on the same host (renamed models) and again when it fails for now.
    fn ask(&self, url: &Url) -> Result<Response> {
        let mut url = url.clone();
        let mut attempt = 0;
        for _ in 0..download::MAX_HOPS {
            let bearer = download::bearer(&self.settings, &url);
            let headers: Vec<(&str, &str)> = bearer.iter().map(|value| ("authorization", value.as_str())).collect();
            let answer = self.client.get(&GetRequest { headers: &headers, ..GetRequest::new(&url) });
            let again = match &answer {
                Ok(response) => download::is_for_now(response.status),
                Err(error) => error.is_transient(),
            };
            if again && attempt < download::ATTEMPTS {
                std::thread::sleep(self.settings.retry_after * 2_u32.pow(attempt));
                attempt += 1;
                continue;
            }
            let response = answer?;
            match response.location().filter(|_| (300..400).contains(&response.status)) {
                Some(target) => url = target,
                None => return Ok(response),
            }
        }
        Err(Error::new(ErrorKind::Network, format!("{url}: no answer after several attempts; try later")))
    }

    fn url(&self, path: &str) -> Result<Url> {
        let base = self.settings.endpoint.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/{path}")).context(ErrorKind::Usage, || format!("making the URL of {path}"))
    }
}

/// Why the server does not give a model, and what to do.
fn refused(status: u16, id: &str, revision: &str, with_token: bool) -> Error {
    let message = match status {
        401 | 403 if with_token => format!(
            "the Hub does not let the token in HF_TOKEN read {id} ({status}): check its name, ask for access on its page, \
             or use another token"
        ),
        // The Hub answers so for models that do not exist as well.
        401 | 403 => format!(
            "the Hub does not give {id} to everybody ({status}): check its name; if it is private or gated, set HF_TOKEN"
        ),
        404 => format!("the Hub has no {id} at revision {revision} (404): check the id and --revision"),
        other => format!("the Hub answered {other} when asked for {id}: try later"),
    };
    Error::new(ErrorKind::Network, message)
}

/// A file's size, which the server must name and keep.
fn size_of(file: &Listed) -> Result<u64> {
    let size = file.lfs.as_ref().and_then(|lfs| lfs.size).or(file.size);
    match size {
        Some(size) if size <= MAX_FILE => Ok(size),
        Some(size) => Err(Error::new(ErrorKind::Model, format!("{} has {size} bytes: too large", file.path))),
        None => Err(Error::new(ErrorKind::Network, format!("the Hub does not say how large {} is", file.path))),
    }
}

/// The name of a file's bytes: the checksum that they must have.
fn checksum_of(file: &Listed) -> Result<&str> {
    let name = file.lfs.as_ref().map(|lfs| lfs.sha256.as_str()).or(file.object.as_deref());
    name.filter(|name| matches!(name.len(), 40 | 64) && name.chars().all(|c| c.is_ascii_hexdigit()))
        .ok_or_else(|| Error::new(ErrorKind::Network, format!("the Hub gives no checksum for {}", file.path)))
}

fn is_here(place: &Place, commit: &str, file: &Listed) -> bool {
    // Through the link; whose blob is gone is not here.
    let path = place.of_commit(commit).join(&file.path);
    std::fs::metadata(&path).is_ok_and(|data| size_of(file).is_ok_and(|size| data.len() == size))
}

/// Makes the snapshot's name of a blob: a link, as Python's tools make it, or a copy where there are none.
fn link(place: &Place, commit: &str, file: &Listed) -> Result<()> {
    let path = place.of_commit(commit).join(&file.path);
    let folder = path.parent().unwrap_or(&place.folder);
    files::create_folder(folder)?;
    let checksum = checksum_of(file)?;
    let doing = || format!("linking {}", path.display());
    let up = "../".repeat(2 + file.path.matches('/').count());
    if path.symlink_metadata().is_ok() {
        std::fs::remove_file(&path).context(ErrorKind::Store, doing)?;
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(format!("{up}blobs/{checksum}"), &path).context(ErrorKind::Store, doing)?;
    #[cfg(not(unix))]
    {
        let _ = up;
        std::fs::copy(place.blob(checksum), &path).context(ErrorKind::Store, doing)?;
    }
    Ok(())
}
