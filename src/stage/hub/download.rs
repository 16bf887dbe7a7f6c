//! One file, by pieces: what broke off is taken up where it stopped, and counts only when its checksum is right.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::select::Listed;
use super::{HubSettings, Step, checksum_of, size_of};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::model::cache::Place;
use crate::net::{Client, GetRequest, Stream};

/// Attempts without a byte of progress after the first.
pub(super) const ATTEMPTS: u32 = 4;
/// Redirects and attempts for one answer.
pub(super) const MAX_HOPS: u32 = 12;
const PIECE: usize = 1 << 16;

/// A file to fetch.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client,
    pub(super) settings: &'a HubSettings,
    pub(super) place: &'a Place,
    pub(super) file: &'a Listed,
}

impl Download<'_> {
    /// Fetches it into `blobs`. Answers how many bytes came over the network.
    ///
    /// # Errors
    /// Kind `Network`: no answer, another size or an error status; kind `Model`: a wrong checksum; kind `Store`: the
    /// cache cannot be written.
    pub(super) fn run(&self, url: &Url, tell: &mut dyn FnMut(Step<'_>)) -> Result<u64> {
        let (size, checksum) = (size_of(self.file)?, checksum_of(self.file)?);
        let blob = self.place.blob(checksum);
        if fs::metadata(&blob).is_ok_and(|data| data.len() == size) {
            tell(Step::Bytes(size));
            return Ok(0);
        }
        let partial = self.place.blob(&format!("{checksum}.incomplete"));
        let doing = || format!("writing {}", partial.display());
        files::create_folder(partial.parent().unwrap_or(&self.place.folder))?;
        let mut out = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&partial)
            .context(ErrorKind::Store, doing)?;
        // Two programs that fetch the same file would write over each other.
        match out.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::Store,
                    format!("{} is being fetched by another program: wait for it", partial.display()),
                ));
            }
            Err(fs::TryLockError::Error(error)) => {
                return Err(Error::with_source(ErrorKind::Store, format!("locking {}", partial.display()), error));
            }
        }
        let mut done = out.seek(SeekFrom::End(0)).context(ErrorKind::Store, doing)?;
        if done > size {
            out.set_len(0).context(ErrorKind::Store, doing)?;
            done = 0;
        }
        tell(Step::Bytes(done));
        let (mut fetched, mut attempt) = (0, 0);
        while done < size {
            let before = done;
            match self.piece(url, &mut out, &mut done, size, tell) {
                Ok(()) => {}
                Err(Trouble::Lasting(error)) => return Err(error),
                Err(Trouble::ForNow(error)) => {
                    attempt = if done > before { 0 } else { attempt + 1 };
                    if attempt > ATTEMPTS {
                        return Err(error);
                    }
                    tell(Step::Note(&format!("{}: {error}; going on from byte {done}", self.file.path)));
                    std::thread::sleep(self.settings.retry_after * 2_u32.pow(attempt));
                }
            }
            fetched += done.saturating_sub(before);
        }
        out.sync_all().context(ErrorKind::Store, doing)?;
        if !is_right(&mut out, size, checksum).context(ErrorKind::Store, doing)? {
            // What is wrong somewhere cannot be taken up: the next attempt begins anew.
            drop(out);
            fs::remove_file(&partial).context(ErrorKind::Store, doing)?;
            return Err(Error::new(
                ErrorKind::Model,
                format!("{url} came with a wrong checksum (not {checksum}) and was thrown away: try again"),
            ));
        }
        publish(&partial, &blob)?;
        Ok(fetched)
    }

    /// One connection: as many bytes as come.
    fn piece(
        &self,
        url: &Url,
        out: &mut File,
        done: &mut u64,
        size: u64,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), Trouble> {
        let mut stream = self.open(url, *done)?;
        let doing = || format!("writing {} bytes of {}", size, self.file.path);
        if stream.status == 200 && *done > 0 {
            // The server does not know ranges.
            out.set_len(0).context(ErrorKind::Store, doing).map_err(Trouble::Lasting)?;
            *done = 0;
        }
        if stream.status == 206 && !stream.header("content-range").is_some_and(|range| begins_at(range, *done)) {
            return Err(Trouble::Lasting(network(format!("{url}: the server sent another part than was asked for"))));
        }
        out.seek(SeekFrom::Start(*done)).context(ErrorKind::Store, doing).map_err(Trouble::Lasting)?;
        let mut buffer = vec![0; PIECE];
        loop {
            let count = stream.read(&mut buffer).map_err(|error| Trouble::ForNow(error.into()))?;
            if count == 0 {
                break;
            }
            if *done + count as u64 > size {
                return Err(Trouble::Lasting(network(format!("{url} is longer than the {size} bytes it should have"))));
            }
            out.write_all(&buffer[..count]).context(ErrorKind::Store, doing).map_err(Trouble::Lasting)?;
            *done += count as u64;
            tell(Step::Bytes(count as u64));
        }
        if *done < size {
            return Err(Trouble::ForNow(network(format!("{url} ended after {done} of {size} bytes"))));
        }
        Ok(())
    }

    /// The answer with the file's bytes from `from` on, through redirects.
    fn open(&self, url: &Url, from: u64) -> Result<Stream, Trouble> {
        let mut url = url.clone();
        for _ in 0..MAX_HOPS {
            let bearer = bearer(self.settings, &url);
            let headers: Vec<(&str, &str)> = bearer.iter().map(|value| ("authorization", value.as_str())).collect();
            let stream = self.client.stream(&GetRequest { headers: &headers, ..GetRequest::new(&url) }, from);
            let stream = stream.map_err(|error| match error.is_transient() {
                true => Trouble::ForNow(error.into()),
                false => Trouble::Lasting(error.into()),
            })?;
            match stream.status {
                200 | 206 => return Ok(stream),
                300..400 => {
                    let Some(target) = stream.location() else {
                        return Err(Trouble::Lasting(network(format!("{url} leads nowhere"))));
                    };
                    url = target;
                }
                status if is_for_now(status) => {
                    return Err(Trouble::ForNow(network(format!(
                        "{} answered {status}",
                        url.host_str().unwrap_or("")
                    ))));
                }
                status => {
                    let host = url.host_str().unwrap_or_default();
                    return Err(Trouble::Lasting(network(format!("{host} answered {status} for {}", url.path()))));
                }
            }
        }
        Err(Trouble::Lasting(network(format!("{url}: too many redirects"))))
    }
}

/// Whether the same request may be answered otherwise soon.
pub(super) fn is_for_now(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// The `Authorization` for a URL: only for the endpoint itself, and never in clear over a network.
pub(super) fn bearer(settings: &HubSettings, url: &Url) -> Option<String> {
    let secret = settings.token.as_ref()?.reveal();
    let private = url.scheme() == "https" || matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    (url.origin() == settings.endpoint.origin() && private).then(|| format!("Bearer {secret}"))
}

/// Why a connection ended.
enum Trouble {
    /// Another attempt may do.
    ForNow(Error),
    /// None will.
    Lasting(Error),
}

/// `bytes 100-199/200` begins at 100.
fn begins_at(range: &str, from: u64) -> bool {
    let first = range.trim().strip_prefix("bytes ").and_then(|rest| rest.split('-').next());
    first.and_then(|first| first.trim().parse().ok()) == Some(from)
}

/// Whether the whole file has the checksum: SHA-256, or git's SHA-1 of a small file with its length before it.
fn is_right(file: &mut File, size: u64, checksum: &str) -> std::io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let (mut large, mut small) = (Sha256::new(), Sha1::new());
    small.update(format!("blob {size}\0"));
    let mut buffer = vec![0; PIECE];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        if checksum.len() == 64 {
            large.update(&buffer[..count]);
        } else {
            small.update(&buffer[..count]);
        }
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let found = if checksum.len() == 64 { hex(&large.finalize()) } else { hex(&small.finalize()) };
    Ok(found.eq_ignore_ascii_case(checksum))
}

fn publish(partial: &Path, blob: &Path) -> Result<()> {
    fs::rename(partial, blob).context(ErrorKind::Store, || format!("naming {}", blob.display()))
}

fn network(message: String) -> Error {
    Error::new(ErrorKind::Network, message)
}
