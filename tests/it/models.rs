//! `kopri models` and `kopri embed`: downloads that break off, lie or are refused, and vectors in files.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use kopri::model::cache::Cache;
use kopri::stage::hub::{Got, Hub, HubSettings, Step, Token};
use sha1::{Digest as _, Sha1};

use crate::server::{Hit, Server, missing, respond};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A file's checksum as git has it.
fn git(bytes: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files of a golden model, by their paths.
fn files() -> Vec<(String, Vec<u8>)> {
    let names = ["config.json", "modules.json", "tokenizer.json", "1_Pooling/config.json", "2_Dense/config.json"];
    let weights = ["model.safetensors", "2_Dense/model.safetensors", "sentence_bert_config.json"];
    let names = names.iter().chain(&weights);
    names.map(|name| ((*name).to_owned(), std::fs::read(golden("bert-cls-dense").join(name)).unwrap())).collect()
}

/// What the Hub says of a model of these files.
fn description(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let siblings: Vec<_> = files
        .iter()
        .map(|(path, bytes)| serde_json::json!({"rfilename": path, "size": bytes.len(), "blobId": git(bytes)}))
        .collect();
    serde_json::json!({"sha": COMMIT, "siblings": siblings}).to_string().into_bytes()
}

/// A Hub with one model, `org/tiny`; `answer` may take a request over by answering true.
fn hub(answer: impl Fn(&Hit, &mut std::net::TcpStream, &[u8]) -> bool + Send + Sync + 'static) -> Server {
    Server::start(move |hit, stream| {
        let path = hit.path.split('?').next().unwrap();
        if path == "/api/models/org/tiny/revision/main" {
            if !answer(hit, stream, b"") {
                respond(stream, "200 OK", &[], &description(&files()));
            }
            return;
        }
        let file = path.strip_prefix(&format!("/org/tiny/resolve/{COMMIT}/"));
        let Some((_, bytes)) = file.and_then(|file| files().into_iter().find(|(name, _)| name == file)) else {
            return missing(stream);
        };
        if !answer(hit, stream, &bytes) {
            send(hit, stream, &bytes);
        }
    })
}

/// A file, from where it was asked for.
fn send(hit: &Hit, stream: &mut std::net::TcpStream, bytes: &[u8]) {
    let from = hit.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match from {
        None => respond(stream, "200 OK", &[], bytes),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            respond(stream, "206 Partial Content", &[("Content-Range", &range)], &bytes[from..]);
        }
    }
}

fn settings(server: &Server, cache: &Path) -> HubSettings {
    HubSettings {
        endpoint: format!("http://{}", server.host()).parse().unwrap(),
        offline: false,
        token: None,
        cache: Cache { root: cache.to_path_buf() },
        trusted: true,
        retry_after: Duration::from_millis(1),
    }
}

fn get(settings: HubSettings) -> kopri::error::Result<Got> {
    Hub::new(settings).unwrap().get("org/tiny", "main", &mut |_: Step<'_>| {})
}

#[test]
fn a_model_is_fetched_once_and_lies_as_python_expects_it() {
    let (server, cache) = (hub(|_, _, _| false), tempfile::tempdir().unwrap());
    let got = get(settings(&server, cache.path())).unwrap();
    let model = cache.path().join("models--org--tiny");
    assert_eq!(got.folder, model.join("snapshots").join(COMMIT));
    assert_eq!(std::fs::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
    for (name, bytes) in files() {
        assert_eq!(std::fs::read(got.folder.join(&name)).unwrap(), bytes, "{name}");
        assert!(got.folder.join(&name).is_symlink() && model.join("blobs").join(git(&bytes)).is_file());
    }
    assert_eq!(got.fetched, files().iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
    server.forget();
    assert_eq!(get(settings(&server, cache.path())).unwrap().fetched, 0);
    assert_eq!(server.paths().len(), 1, "only what the commit is was asked for");
    let offline = HubSettings { offline: true, ..settings(&server, cache.path()) };
    assert_eq!(get(offline).unwrap().folder, got.folder);
    assert_eq!(server.paths().len(), 1);
}

#[test]
fn what_breaks_off_is_taken_up_where_it_stopped() {
    let server = hub(|hit, stream, bytes| {
        if !hit.path.ends_with("/model.safetensors") || hit.path.contains("2_Dense") || hit.earlier >= 2 {
            return false;
        }
        // Half of what is left, under a head that promises all of it.
        let range =
            hit.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let from: usize = range.unwrap_or(0);
        let left = &bytes[from..];
        let head = if from == 0 {
            "HTTP/1.1 200 OK".to_owned()
        } else {
            format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}", bytes.len() - 1, bytes.len())
        };
        let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n", left.len());
        let _ = stream.write_all(&left[..left.len() / 2]);
        true
    });
    let cache = tempfile::tempdir().unwrap();
    let got = get(settings(&server, cache.path())).unwrap();
    let weights = std::fs::read(golden("bert-cls-dense").join("model.safetensors")).unwrap();
    assert_eq!(std::fs::read(got.folder.join("model.safetensors")).unwrap(), weights);
    let asked: Vec<_> =
        server.hits().into_iter().filter(|hit| hit.path.ends_with(&format!("{COMMIT}/model.safetensors"))).collect();
    let ranges: Vec<_> = asked.iter().map(|hit| hit.headers.get("range").cloned()).collect();
    let (half, more) = (weights.len() / 2, weights.len() / 2 + (weights.len() - weights.len() / 2) / 2);
    assert_eq!(ranges, [None, Some(format!("bytes={half}-")), Some(format!("bytes={more}-"))]);
}

#[test]
fn a_wrong_checksum_is_thrown_away_and_a_later_try_is_right() {
    let server = hub(|hit, stream, bytes| {
        let lie = hit.path.ends_with("2_Dense/model.safetensors") && hit.earlier == 0;
        if lie {
            respond(stream, "200 OK", &[], &vec![b'x'; bytes.len()]);
        }
        lie
    });
    let cache = tempfile::tempdir().unwrap();
    let error = get(settings(&server, cache.path())).unwrap_err().to_string();
    assert!(error.contains("2_Dense/model.safetensors") && error.contains("wrong checksum"), "{error}");
    assert!(Cache { root: cache.path().to_path_buf() }.find("org/tiny").is_err(), "not visible before it is whole");
    get(settings(&server, cache.path())).unwrap();
}

#[test]
fn refusals_say_what_to_do() {
    for (status, with_token, part) in [
        ("404 Not Found", false, "check the id and --revision"),
        ("401 Unauthorized", false, "set HF_TOKEN"),
        ("403 Forbidden", true, "does not let the token in HF_TOKEN read org/tiny"),
    ] {
        let server = hub(move |_, stream, _| {
            respond(stream, status, &[], b"");
            true
        });
        let cache = tempfile::tempdir().unwrap();
        let token = with_token.then(|| Token::new("hf_secret"));
        let error = get(HubSettings { token, ..settings(&server, cache.path()) }).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("hf_secret"), "{error}");
        assert_eq!(server.hits()[0].headers.contains_key("authorization"), with_token);
    }
    let cache = tempfile::tempdir().unwrap();
    let server = hub(|_, _, _| false);
    let error = get(HubSettings { offline: true, ..settings(&server, cache.path()) }).unwrap_err().to_string();
    assert!(error.contains("HF_HUB_OFFLINE") && server.paths().is_empty(), "{error}");
    let distrusted = HubSettings { trusted: false, ..settings(&server, cache.path()) };
    assert!(get(distrusted).unwrap_err().to_string().contains("loopback"));
}

#[test]
fn the_token_does_not_follow_a_redirect() {
    let elsewhere = Server::start(|hit, stream| {
        let name = hit.path.trim_start_matches('/');
        let bytes = files().into_iter().find(|(file, _)| file == name).unwrap().1;
        send(hit, stream, &bytes);
    });
    let host = elsewhere.host();
    let server = hub(move |hit, stream, bytes| {
        let file = hit.path.split(&format!("{COMMIT}/")).nth(1).unwrap_or_default().to_owned();
        if !bytes.is_empty() {
            respond(stream, "302 Found", &[("Location", &format!("http://{host}/{file}"))], b"");
        }
        !bytes.is_empty()
    });
    let cache = tempfile::tempdir().unwrap();
    get(HubSettings { token: Some(Token::new("hf_secret")), ..settings(&server, cache.path()) }).unwrap();
    assert!(server.hits().iter().all(|hit| hit.headers["authorization"] == "Bearer hf_secret"));
    assert!(elsewhere.hits().len() == files().len());
    assert!(elsewhere.hits().iter().all(|hit| !hit.headers.contains_key("authorization")));
}

fn kopri(cache: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopri"));
    for name in ["HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_CACHE"] {
        command.env_remove(name);
    }
    command.args(arguments).env("NO_COLOR", "1").env("HF_HOME", cache).env("KOPRI_CACHE", cache.join("ours"));
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn vectors_are_written_line_by_line_and_bad_lines_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (model, texts) = (golden("bert-cls-dense"), folder.path().join("texts.txt"));
    let model = model.to_str().unwrap();
    std::fs::write(&texts, "köpri\n\nМост!\n").unwrap();
    let texts = texts.to_str().unwrap();
    let out = folder.path().join("vectors.npy");
    let run = |more: &[&str]| {
        kopri(
            folder.path(),
            &[&["embed", "--model", model, "--input", texts, "--out", out.to_str().unwrap()], more].concat(),
        )
    };
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("line 2: it is empty") && !out.exists(), "{}", said(&output));
    let output = run(&["--on-bad-line", "zero"]);
    assert!(said(&output).contains("1 bad line got a row of zeros"), "{}", said(&output));
    let bytes = std::fs::read(&out).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..128]).contains("'shape': (3, 24)"));
    assert_eq!(bytes.len(), 128 + 3 * 24 * 4);
    assert!(bytes[128 + 96..128 + 192].iter().all(|byte| *byte == 0));
    let output = run(&["--on-bad-line", "skip"]);
    assert!(said(&output).contains("1 bad line left out"), "{}", said(&output));
    assert_eq!(std::fs::read(&out).unwrap().len(), 128 + 2 * 24 * 4);
}

#[test]
fn commands_on_models_say_what_is_and_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let output = kopri(home.path(), &["embed", "--model", "org/none", "--input", file!(), "--out", "x.npy"]);
    assert!(said(&output).contains("kopri models get org/none"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(6));
    let output = kopri(home.path(), &["models", "list"]);
    assert!(said(&output).contains("no models in"), "{}", said(&output));
    let output = kopri(home.path(), &["models", "check", golden("bert-lora").to_str().unwrap()]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in
        ["architecture  bert", "adapter ", "pooling       cls, Dense 32 → 24 Tanh, Normalize", "tokenizer     tk:"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = kopri(home.path(), &["doctor"]);
    let text = said(&output);
    assert!(text.contains("libtorch") && text.contains("2.11.0") && text.contains("cuda"), "{text}");
}

#[test]
fn a_check_reads_each_sample_in_its_language() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/m2m100-tiny");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kopri"));
    let output = command.args(["models", "check"]).arg(folder).env("NO_COLOR", "1").output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        ["ru", "tk", "en"].iter().all(|language| told.contains(&format!("sense         {language}: itself"))),
        "{told}"
    );
}
