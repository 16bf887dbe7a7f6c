//! Pruning after each of many runs: the workspace does not grow with their number, and what it holds is the same.

use std::path::Path;

use kopri::engine::event::Silent;
use kopri::pipeline::prune::{Params, PruneOptions, prune};
use kopri::pipeline::{Pipeline, RunOptions};
use kopri::store::Store;
use kopri::store::open::Access;

use crate::harness::{House, assert_same};

const KEEP: [&str; 3] = ["extract.keep-vanished=false", "prune.keep-runs=5", "embed.limits.batch=64"];

fn pipeline(house: &House, workspace: &str, nightly: bool) -> Pipeline {
    let nightly = format!("prune.nightly={nightly}");
    house.pipeline(workspace, &[KEEP[0], KEEP[1], KEEP[2], &nightly])
}

fn run(house: &House, workspace: &str, nightly: bool) {
    let report =
        kopri::pipeline::run(&pipeline(house, workspace, nightly), RunOptions::default(), &mut Silent).unwrap();
    assert_eq!((report.failed(), report.attention.len()), (0, 0), "{:?}", report.attention);
}

/// Another price in both sides of article 1.
fn edit(house: &House, price: u32) {
    house.write_article(1, false);
    for (path, old, new) in [
        ("site/ru/post/1/library.html", "стоит 10 манатов", format!("стоит {price} манатов")),
        ("site/tm/post/1/library.html", "petek 10 manat", format!("petek {price} manat")),
    ] {
        let text = house.read(path);
        assert!(text.contains(old), "{path}");
        std::fs::write(house.path(path), text.replace(old, &new)).unwrap();
    }
}

/// What is in use: texts, pairs that occur and what was decided on them, vectors of texts that are there.
fn in_use(house: &House, workspace: &str) -> String {
    [
        "SELECT group_concat(location || ' ' || fingerprint, char(10)) FROM (SELECT * FROM document ORDER BY location)",
        "SELECT group_concat(id || ' ' || text, char(10)) FROM (SELECT * FROM sentence ORDER BY id)",
        "SELECT group_concat(id || source_text || target_text || best || stale, char(10))
         FROM (SELECT * FROM text_pair WHERE best IS NOT NULL ORDER BY id)",
        "SELECT group_concat(id || ' ' || pair || ' ' || score, char(10)) FROM (SELECT * FROM occurrence ORDER BY id)",
        "SELECT group_concat(pair || ' ' || rank || coalesce(reason, '-') || detail, char(10))
         FROM (SELECT * FROM judgement ORDER BY pair)",
        "SELECT group_concat(pair || ' ' || annotator || ' ' || verdict, char(10)) FROM annotation",
        "SELECT group_concat(pair || ' ' || verdict, char(10)) FROM adjudication",
        "SELECT count(DISTINCT text_id) || ' vectors' FROM vector WHERE text_id IN (SELECT text_id FROM sentence)
         AND model = (SELECT model FROM shard ORDER BY id DESC LIMIT 1)",
    ]
    .map(|sql| house.ask(workspace, sql))
    .join("\n\n")
}

/// Rows of all tables.
fn rows(workspace: &Path) -> i64 {
    let database = rusqlite::Connection::open(workspace.join("kopri.db")).unwrap();
    let mut tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count = |name: &String| -> i64 {
        database.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0)).unwrap()
    };
    // What profiles took from pages is a history of its own, cut at 1,200 rows a site.
    names.iter().filter(|name| *name != "extraction").map(count).sum()
}

/// Files below a folder with their sizes, but those of SQLite's log.
fn files(folder: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !["kopri.db-wal", "kopri.db-shm", "lock"].iter().any(|name| path.ends_with(name)) {
            found.push((path.display().to_string(), std::fs::metadata(&path).unwrap().len()));
        }
    }
    found.sort();
    found
}

/// Bytes of vectors and of the database, the page archive apart.
fn bytes(workspace: &Path) -> u64 {
    files(workspace).iter().filter(|(name, _)| !name.contains("/pages/")).map(|(_, bytes)| bytes).sum()
}

#[test]
fn thirty_pruned_runs_leave_no_more_than_ten_and_all_that_is_in_use() {
    let house = House::new(3);
    let (mut early, mut answered) = ((0, 0), String::new());
    for number in 1..=30 {
        edit(&house, 10 + number);
        if number == 5 {
            house.remove_article(3);
            house.write_lists(&[1, 2]);
        }
        for (workspace, nightly) in [("pruned", true), ("whole", false)] {
            run(&house, workspace, nightly);
        }
        if number == 3 {
            // Somebody judges a pair of the article that vanishes.
            answered = house.ask(
                "whole",
                "SELECT cast(pair AS TEXT) FROM occurrence JOIN document ON document.id = source_document
                 WHERE location LIKE '%/ru/post/3/%' AND pair IN (SELECT pair FROM judgement WHERE reason IS NULL)
                 AND pair NOT IN (SELECT o.pair FROM occurrence AS o JOIN document AS d ON d.id = o.source_document
                                  WHERE d.location NOT LIKE '%/ru/post/3/%') LIMIT 1",
            );
            assert!(!answered.is_empty());
            for workspace in ["pruned", "whole"] {
                let database = rusqlite::Connection::open(house.path(workspace).join("kopri.db")).unwrap();
                let sql = "INSERT INTO annotation (external_id, pair, annotator, verdict, problems, ground_truth)
                           VALUES ('x', ?1, 'ann', 'yes', '[]', 0)";
                assert_eq!(database.execute(sql, [answered.parse::<i64>().unwrap()]).unwrap(), 1);
            }
        }
        if number == 10 {
            early = (rows(&house.path("pruned")), bytes(&house.path("pruned")));
        }
        if number % 10 == 0 {
            assert_same(&in_use(&house, "whole"), &in_use(&house, "pruned"), &format!("after run {number}"));
            assert_eq!(house.read("whole/export/pairs.tsv"), house.read("pruned/export/pairs.tsv"), "run {number}");
        }
    }
    let late = (rows(&house.path("pruned")), bytes(&house.path("pruned")));
    assert!(late.0 <= early.0 * 11 / 10 && late.1 <= early.1 * 12 / 10, "after 10 runs {early:?}, after 30 {late:?}");
    let whole = (rows(&house.path("whole")), bytes(&house.path("whole")));
    assert!(whole.0 > late.0 * 12 / 10, "without pruning {whole:?}, with {late:?}");
    let ask = |sql: &str| house.ask("pruned", sql);
    assert_eq!(ask("SELECT cast(count(*) AS TEXT) FROM run"), "5");
    assert_eq!(
        ask(&format!("SELECT cast(count(*) AS TEXT) FROM text_pair WHERE id = {answered} AND best IS NULL")),
        "1"
    );
    assert_eq!(ask("SELECT cast(count(*) AS TEXT) FROM text_pair WHERE best IS NULL"), "1", "and no other");

    // The same at once, by hand; first without changing anything.
    let (before, listed) = (house.dump("whole"), files(&house.path("whole")));
    let mut store = Store::open(&house.path("whole"), Access::Write).unwrap();
    let pipeline = pipeline(&house, "whole", false);
    let params = Params { keep_runs: 5, ..Params::default() };
    let dry = PruneOptions { params, dry_run: true, scope: None };
    let would = prune(&pipeline, &mut store, &dry).unwrap();
    assert_same(&before, &house.dump("whole"), "a dry run");
    let without_database = |files: Vec<(String, u64)>| -> Vec<(String, u64)> {
        files.into_iter().filter(|(name, _)| !name.ends_with("kopri.db")).collect()
    };
    assert_eq!(without_database(listed), without_database(files(&house.path("whole"))));
    let report = prune(&pipeline, &mut store, &PruneOptions { dry_run: false, ..dry.clone() }).unwrap();
    assert_eq!(would, report);
    assert!(report.count() > 100 && report.freed() > 0 && report.failures.is_empty(), "{report:?}");
    let again = prune(&pipeline, &mut store, &dry).unwrap();
    assert_eq!(again.count(), 0, "{again:?}");
    drop(store);
    assert_same(&in_use(&house, "whole"), &in_use(&house, "pruned"), "pruned at once and after each run");
    edit(&house, 99);
    for workspace in ["pruned", "whole"] {
        run(&house, workspace, false);
    }
    assert_same(&in_use(&house, "whole"), &in_use(&house, "pruned"), "the run after");
    assert_eq!(house.read("whole/export/pairs.tsv"), house.read("pruned/export/pairs.tsv"), "the run after");
    assert!(house.read("pruned/export/pairs.tsv").contains("стоит 99 манатов"));
}
