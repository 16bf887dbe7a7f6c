//! Web pages in processes of their own: what hostile pages cost, and that others do not pay for them.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use kopri::stage::books::Reader;
use kopri::stage::pages::{Cost, PageJob, ReadPage};
use url::Url;

const KOPRI: &str = env!("CARGO_BIN_EXE_kopri");
const COST: Cost = Cost { memory: 1_000_000_000, time: Duration::from_secs(20) };
const PAGE: &[u8] =
    "<html lang=ru><h1>Мост</h1><article><p>Мост открыт, и по нему уже едут машины.</p><a href=/ru/2>дальше</a>"
        .as_bytes();

fn text(cost: Cost) -> PageJob {
    let profile = toml::from_str("body = ['article p']").unwrap();
    PageJob::text("https://a.test/ru/1", Some("text/html; charset=utf-8"), Some(profile), cost).unwrap()
}

fn links(cost: Cost) -> PageJob {
    PageJob::links(&Url::parse("https://a.test/ru/1").unwrap(), Some("text/html; charset=utf-8"), cost)
}

#[test]
fn a_process_reads_what_this_one_does() {
    let reader = Reader::worker(KOPRI);
    for job in [text(COST), links(COST), text(COST)] {
        for body in [PAGE, b"", &PAGE.repeat(1_000), b"\xff\xfe<\0p\0"] {
            assert_eq!(reader.page(&job, body).unwrap(), Reader::InProcess.page(&job, body).unwrap());
        }
    }
    let ReadPage::Text { extracted, agreement } = reader.page(&text(COST), PAGE).unwrap() else { panic!("no text") };
    assert_eq!(extracted.title.as_deref(), Some("Мост"));
    assert_eq!((extracted.blocks.len(), agreement), (1, Some(1.0)));
    let ReadPage::Links { links, .. } = reader.page(&links(COST), PAGE).unwrap() else { panic!("no links") };
    assert_eq!((links[0].url.as_str(), links[0].text.as_str()), ("https://a.test/ru/2", "дальше"));
}

#[test]
fn a_page_over_its_limits_fails_alone_and_for_good() {
    let reader = Reader::worker(KOPRI);
    // A million nodes.
    let large = "<i>a</i>".repeat(1_000_000);
    // Attributes that are compared with each other by the million.
    let slow = format!("<svg><title><b {}>", (0..1_000_000).map(|n| format!("a{n} ")).collect::<String>());
    let cost = Cost { memory: 100_000_000, time: Duration::from_secs(1) };
    for (job, body, reason) in [
        (
            text(Cost { memory: cost.memory, ..COST }),
            &large,
            "more than the 100MB of memory allowed (extract.limits.page-memory)",
        ),
        (
            text(Cost { time: cost.time, ..COST }),
            &slow,
            "longer than the 1s of processor time allowed (extract.limits.page-time)",
        ),
        (
            links(Cost { time: cost.time, ..COST }),
            &slow,
            "longer than the 1s of processor time allowed (extract.limits.page-time)",
        ),
    ] {
        let good = reader.page(&job, PAGE).unwrap();
        let error = reader.page(&job, body.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.is_lasting(), "{error}");
        assert_eq!(reader.page(&job, PAGE).unwrap(), good);
    }
}

#[test]
fn processes_are_kept_by_their_limits_and_replaced_when_they_fail() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("worker");
    let starts = folder.path().join("starts");
    let lines = format!("#!/bin/sh\necho started >> '{}'\nexec '{KOPRI}' \"$@\"\n", starts.display());
    std::fs::write(&script, lines).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let reader = Reader::worker(&script);
    let started = || std::fs::read_to_string(&starts).unwrap().lines().count();
    for _ in 0..50 {
        reader.page(&text(COST), PAGE).unwrap();
        reader.page(&links(COST), PAGE).unwrap();
    }
    assert_eq!(started(), 1, "one process serves both");
    let less = Cost { memory: 500_000_000, ..COST };
    reader.page(&text(less), PAGE).unwrap();
    assert_eq!(started(), 2, "other limits need another process");
    reader.rest();
    reader.page(&text(less), PAGE).unwrap();
    assert_eq!(started(), 3);
}
