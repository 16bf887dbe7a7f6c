//! The bundled demo, as its user runs it: through the binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn kopri(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_kopri"))
            .args(arguments)
            .env("KOPRI_WORKSPACE", self.folder.path())
            .env("NO_COLOR", "1")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Both streams, for messages of failed tests.
fn told(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", told(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

const DEMO: &str = "pipelines/demo.toml";

#[test]
fn the_demo_keeps_its_promises() {
    let workspace = Workspace::new();
    let first = workspace.kopri(&["run", DEMO]);
    // The gates of the pipeline file (precision 0.95, recall 0.80 against gold) are the exit code.
    assert!(first.status.success(), "{}", told(&first));
    let summary = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(
        ["ru-tk", "en-tk"].iter().all(|pair| {
            summary.contains(&format!("{pair}: document pairs, precision        1.000"))
                && summary.contains(&format!("{pair}: document pairs, recall           1.000"))
                && summary.contains(&format!("{pair}: index exact: no neighbour is missed"))
        }),
        "{summary}"
    );
    assert!(summary.contains("Russian – Turkmen, English – Turkmen"), "{summary}");

    let second = workspace.kopri(&["run", DEMO]);
    assert!(String::from_utf8_lossy(&second.stderr).contains("nothing new"), "{}", told(&second));

    what_robots_forbid_was_never_asked_for(&workspace);
    untranslated_pages_make_no_pairs(&workspace);
    exports_are_well_formed(&workspace);
    the_report_stands_alone(&workspace);
    everything_can_be_shown(&workspace);
    annotations_come_back(&workspace);
    a_probability_can_be_the_threshold(&workspace);
}

#[test]
fn a_graph_as_the_index_says_what_it_misses() {
    let workspace = Workspace::new();
    let output = workspace.kopri(&["run", DEMO, "--set", "neighbours.index=\"hnsw\""]);
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    let recall = summary.split_once("ru-tk: index hnsw: recall at 8 ").map(|(_, rest)| rest.split(' ').next().unwrap());
    assert!(output.status.success() && recall.unwrap().parse::<f64>().unwrap() >= 0.995, "{summary}");
}

fn what_robots_forbid_was_never_asked_for(workspace: &Workspace) {
    let shown = stdout(&workspace.kopri(&["show", DEMO, "http://bossan.test/ru/preview/990-chernovik"]));
    assert!(shown.contains("forbidden"), "{shown}");
    let secret = "бирюзовая скумбрия".as_bytes();
    for file in std::fs::read_dir(workspace.path("pages")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(bytes.as_slice()), &mut text).unwrap();
        assert!(!text.windows(secret.len()).any(|window| window == secret));
        // A page that was asked for is there: the search itself works.
        let known = "Turkmen".as_bytes();
        assert!(text.windows(known.len()).any(|window| window.eq_ignore_ascii_case(known)));
    }
}

fn untranslated_pages_make_no_pairs(workspace: &Workspace) {
    let pairs = std::fs::read_to_string(workspace.path("export/ru-tk/pairs.tsv")).unwrap();
    assert!(pairs.lines().count() > 600);
    assert!(!pairs.contains("/tm/post/70107/"), "the untranslated page is in the corpus");
    let english = std::fs::read_to_string(workspace.path("export/en-tk/pairs.tsv")).unwrap();
    assert!(english.lines().count() > 110, "{english}");
    assert!(english.lines().skip(1).all(|row| row.contains("http://bossan.test/en/news/")), "{english}");
}

fn exports_are_well_formed(workspace: &Workspace) {
    let rows = stdout(&workspace.kopri(&["export", DEMO, "--pair", "ru-tk", "tsv"])).lines().count() - 1;
    let jsonl = stdout(&workspace.kopri(&["export", DEMO, "--pair", "ru-tk", "jsonl"]));
    assert_eq!(jsonl.lines().count(), rows);
    for line in jsonl.lines() {
        let pair: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(pair["source_location"].as_str().is_some_and(|location| !location.is_empty()), "{line}");
    }
    let tmx = stdout(&workspace.kopri(&["export", DEMO, "--pair", "ru-tk", "tmx"]));
    assert_eq!(tmx.matches("<tu ").count(), rows);
    // Out and in again: the same texts.
    let file = workspace.path("memory.tmx");
    std::fs::write(&file, &tmx).unwrap();
    let memory =
        kopri::extract::tmx::read(tmx.as_bytes(), kopri::record::Language::RUSSIAN, kopri::record::Language::TURKMEN)
            .unwrap();
    assert_eq!((memory.pairs.len(), memory.problems.len()), (rows, 0));
    let first: serde_json::Value = serde_json::from_str(jsonl.lines().next().unwrap()).unwrap();
    assert_eq!(
        (memory.pairs[0].0.as_str(), memory.pairs[0].1.as_str()),
        (first["source"].as_str().unwrap(), first["target"].as_str().unwrap())
    );
    let tasks: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(workspace.path("export/ru-tk/tasks.json")).unwrap()).unwrap();
    assert_eq!(tasks.as_array().unwrap().len(), 200);
}

fn the_report_stands_alone(workspace: &Workspace) {
    let html = std::fs::read_to_string(workspace.path("report/latest.html")).unwrap();
    for outside in ["<script src", "<link ", "@import", "url(http", "<img src=\"http"] {
        assert!(!html.contains(outside), "the report reaches out: {outside}");
    }
    assert!(html.contains("<svg") && html.contains("Borderline") && html.contains("chart reliability"));
}

fn everything_can_be_shown(workspace: &Workspace) {
    let pairs = stdout(&workspace.kopri(&["export", DEMO, "--pair", "ru-tk", "jsonl", "--limit", "1"]));
    let pair: serde_json::Value = serde_json::from_str(pairs.trim()).unwrap();
    let shown = stdout(&workspace.kopri(&["show", DEMO, pair["id"].as_str().unwrap()]));
    assert!(shown.contains(pair["source"].as_str().unwrap()) && shown.contains("verdict        kept"), "{shown}");
    a_pair_is_explained(workspace, &pair);
    let sentence = pair["source_sentences"][0].as_str().unwrap();
    assert!(stdout(&workspace.kopri(&["show", DEMO, sentence])).contains("bytes"));
    let unknown = workspace.kopri(&["show", DEMO, "p0000000000000001"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", told(&unknown));
    let status = stdout(&workspace.kopri(&["status", DEMO]));
    assert!(status.contains("pairs kept"), "{status}");
    let plan = stdout(&workspace.kopri(&["plan", DEMO, "--set", "mine.min-margin=3.0"]));
    assert!(plan.contains("stale because mine.min-margin"), "{plan}");
}

/// All that is known of a kept pair, and of one that was dropped.
fn a_pair_is_explained(workspace: &Workspace, kept: &serde_json::Value) {
    let explained = |id: &str| stdout(&workspace.kopri(&["explain", DEMO, id]));
    let shown = explained(kept["id"].as_str().unwrap());
    for needed in [kept["source"].as_str().unwrap(), "Kept: no rule objects", "  ✓ numbers", "pairs.tmx     holds it"]
    {
        assert!(shown.contains(needed), "{needed} is missing:\n{shown}");
    }
    let lines = stdout(&workspace.kopri(&["export", DEMO, "--pair", "ru-tk", "jsonl", "--pairs", "dropped"]));
    let dropped = |reason: &str| -> serde_json::Value {
        let mut pairs = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        pairs.find(|pair| pair["dropped"] == reason).unwrap()
    };
    let numbers = dropped("numbers");
    let shown = explained(numbers["id"].as_str().unwrap());
    assert!(shown.contains("Dropped by the rule numbers") && shown.contains("✗ numbers"), "{shown}");
    assert!(shown.contains("pairs.tsv     does not hold it"), "{shown}");
    // A sentence that two articles end with is one text pair with two occurrences, and one row.
    let rows = stdout(&workspace.kopri(&["export", DEMO, "--pair", "ru-tk", "jsonl"]));
    let rows = rows.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let repeated: Vec<_> = rows.filter(|pair| pair["source"] == "Фотографии предоставлены организаторами.").collect();
    assert_eq!(repeated.len(), 1, "{repeated:?}");
    let json = stdout(&workspace.kopri(&["explain", DEMO, repeated[0]["id"].as_str().unwrap(), "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["occurrences"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(json["checks"].as_array().unwrap().len(), 14);
    let mined = stdout(&workspace.kopri(&["export", DEMO, "--pair", "ru-tk", "jsonl", "--pairs", "all"]));
    let mined = mined.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    for pair in mined.filter(|pair| pair["origin"] == "mined") {
        let json = stdout(&workspace.kopri(&["explain", DEMO, pair["id"].as_str().unwrap(), "--json"]));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let (ratio, margin) = (&json["neighbours"]["margins"]["ratio"], &json["pair"]["scores"]["margin"]);
        assert!((ratio.as_f64().unwrap() - margin.as_f64().unwrap()).abs() < 1e-5, "{json}");
    }
    let wrong = workspace.kopri(&["explain", DEMO, "s0000000000000001"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", told(&wrong));
}

/// A person says no to a kept pair and yes to a dropped one: the next run follows, and a second import changes nothing.
fn annotations_come_back(workspace: &Workspace) {
    let one = |which: &str, wanted: Option<&str>| -> String {
        let lines = stdout(&workspace.kopri(&["export", DEMO, "--pair", "ru-tk", "jsonl", "--pairs", which]));
        let pairs = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let found = pairs.into_iter().find(|pair| pair["dropped"].as_str() == wanted).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let (kept, dropped) = (one("kept", None), one("dropped", Some("score")));
    let task = |id: u32, pair: &str, verdict: &str| {
        serde_json::json!({
            "id": id, "data": { "pair_id": pair }, "annotations": [{
                "id": id, "completed_by": 1, "unique_id": format!("u-{id}"), "updated_at": "2026-11-21T01:07:50.034431Z",
                "result": [{ "from_name": "verdict", "to_name": "tgt", "type": "choices", "value": { "choices": [verdict] } }]
            }]
        })
    };
    let file = workspace.path("annotations.json");
    std::fs::write(&file, serde_json::json!([task(1, &kept, "no"), task(2, &dropped, "yes")]).to_string()).unwrap();
    let import = || workspace.kopri(&["import", DEMO, "label-studio", file.to_str().unwrap()]);
    let first = import();
    assert!(
        String::from_utf8_lossy(&first.stderr).contains("2 annotations of 2 tasks: 2 new, 0 changed"),
        "{}",
        told(&first)
    );
    assert!(String::from_utf8_lossy(&import().stderr).contains("0 new, 0 changed, 2 as they were"));

    let run = workspace.kopri(&["run", DEMO, "--no-crawl", "--quiet"]);
    assert!(run.status.success(), "{}", told(&run));
    let verdict = |id: &str| stdout(&workspace.kopri(&["show", DEMO, id]));
    assert!(verdict(&kept).contains("dropped, annotator: 1 of 1 annotators say no"), "{}", verdict(&kept));
    assert!(verdict(&dropped).contains("verdict        kept"), "{}", verdict(&dropped));
}

/// Only decisions are made anew: what was measured of the pairs is in the store.
fn a_probability_can_be_the_threshold(workspace: &Workspace) {
    let sets = [
        "--set",
        "filter.min-probability=0.7",
        "--set",
        "scope.ru-tk.evaluate.min-recall=0.1",
        "--set",
        "scope.en-tk.evaluate.min-recall=0.1",
    ];
    let run = workspace.kopri(&[&["run", DEMO, "--no-crawl"], &sets[..]].concat());
    assert!(run.status.success() && !told(&run).contains("pairs measured"), "{}", told(&run));
    let lines = stdout(&workspace.kopri(&["export", DEMO, "--pair", "ru-tk", "jsonl", "--pairs", "dropped"]));
    let improbable = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|pair| pair["dropped"] == "probability")
        .unwrap();
    assert!(improbable["detail"].as_str().unwrap().ends_with("< 0.700"), "{improbable}");

    // The threshold can be left to the calibration.
    let sets = [
        "--set",
        "filter.min-precision=0.9",
        "--set",
        "scope.ru-tk.evaluate.min-recall=0.1",
        "--set",
        "scope.en-tk.evaluate.min-recall=0.1",
        "--set",
        "scope.ru-tk.evaluate.min-precision=0.1",
        "--set",
        "scope.en-tk.evaluate.min-precision=0.1",
    ];
    let run = workspace.kopri(&[&["run", DEMO, "--no-crawl"], &sets[..]].concat());
    assert!(run.status.success(), "{}", told(&run));
    let id = improbable["id"].as_str().unwrap();
    let explained = stdout(&workspace.kopri(&[&["explain", DEMO, id], &sets[..2]].concat()));
    assert!(explained.contains(", for a precision of 0.900"), "{explained}");
}

#[test]
fn every_shipped_pipeline_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let mut loaded = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        // The real job waits for its user's contact.
        let sets = ["crawl.contact=https://example.org/crawler".to_owned()];
        kopri::pipeline::Pipeline::load(&path, &sets).unwrap_or_else(|error| panic!("{error}"));
        loaded += 1;
    }
    assert!(loaded >= 2);
}

#[test]
fn a_mistake_in_the_file_ends_with_two_and_says_where() {
    let workspace = Workspace::new();
    let file = workspace.path("wrong.toml");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(DEMO)).unwrap();
    std::fs::write(&file, text.replace("same-id = true", "same-ids = true")).unwrap();
    let output = workspace.kopri(&["run", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("wrong.toml") && error.contains("line ") && error.contains("did you mean `same-id`?"),
        "{error}"
    );
}
