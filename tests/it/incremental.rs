//! What a stop or a change of the web leaves behind: the same store as if nothing had happened, and work for what is
//! new alone.

use kopri::engine::event::Silent;
use kopri::error::ErrorKind;
use kopri::pipeline::RunOptions;

use crate::harness::{House, assert_same};

fn done(report: &kopri::pipeline::RunReport, stage: &str) -> u64 {
    report.stage(stage).map_or(0, |tally| tally.done)
}

fn count(report: &kopri::pipeline::RunReport, stage: &str, name: &str) -> f64 {
    report.stage(stage).and_then(|tally| tally.counts.get(name)).copied().unwrap_or(0.0)
}

#[test]
fn stopped_after_any_unit_and_resumed_the_store_is_the_same() {
    let house = House::new(3);
    house.run("whole");
    let whole = house.dump("whole");
    assert!(whole.lines().count() > 200, "the whole run made hardly anything");
    let mut stops = 0;
    for units in 0.. {
        let workspace = format!("stopped-{units}");
        match house.run_until(&workspace, units) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}"),
        }
        house.run(&workspace);
        assert_same(&whole, &house.dump(&workspace), &format!("stopped after {units} units"));
        stops += 1;
    }
    assert!(stops > 25, "only {stops} places to stop were found");
}

#[test]
fn stopped_again_and_again_it_still_ends() {
    let house = House::new(2);
    house.run("whole");
    for _ in 0..200 {
        if house.run_until("stopping", 3).is_ok() {
            assert_same(&house.dump("whole"), &house.dump("stopping"), "stopped every three units");
            return;
        }
    }
    panic!("200 runs of three units each did not come to an end");
}

#[test]
fn a_second_run_with_nothing_new_does_nothing() {
    let house = House::new(3);
    house.run("w");
    let before = house.dump("w");
    let report = house.run("w");
    assert!(report.is_nothing_new(), "{report:#?}");
    let crawl = report.crawl.unwrap();
    assert_eq!((crawl.changed, crawl.failed), (0, 0));
    assert_eq!(crawl.unchanged, 8, "6 articles and 2 lists are asked for, conditionally");
    assert_same(&before, &house.dump("w"), "a run with nothing new");
}

#[test]
fn one_article_changed_one_new_one_gone_costs_these_alone() {
    let house = House::new(6);
    house.run("w");
    house.write_article(2, true);
    house.write_article(7, false);
    house.remove_article(5);
    house.write_lists(&[1, 2, 3, 4, 6, 7]);
    let report = house.run("w");

    let crawl = report.crawl.clone().unwrap();
    assert_eq!(crawl.changed, 2 + 2 + 2, "both sides of the changed and the new article, and both lists");
    assert_eq!(crawl.gone, 2);
    assert_eq!(crawl.unchanged, 8, "four articles, both sides");
    assert_eq!(done(&report, "extract"), 4);
    assert_eq!(done(&report, "segment"), 4);
    assert_eq!(done(&report, "fit"), 0);
    assert_eq!(done(&report, "match"), 1, "the one site is matched anew");
    assert_eq!(done(&report, "align"), 2);
    // New: the edit's sentence on both sides, and of article 7 title and two numbered sentences a side.
    assert_eq!(count(&report, "embed", "texts"), 8.0);
    assert_eq!(count(&report, "neighbours", "searched"), 8.0);
    assert_eq!(done(&report, "export"), 1);
    // The vanished article stays in the corpus; only its page says that it is gone.
    assert!(house.read("w/export/pairs.tsv").contains("http://house.test/ru/post/5/library"));
}

#[test]
fn a_grown_workspace_has_the_texts_pairs_and_lists_of_a_fresh_one() {
    let house = House::new(4);
    house.run("grown");
    house.write_article(5, false);
    house.write_article(1, true);
    house.write_lists(&[1, 2, 3, 4, 5]);
    house.run("grown");
    house.run("fresh");
    // The fresh workspace fits its encoder on more text, so vectors and scores differ a little; what there is, does not.
    let rows = |dump: &str, table: &str, columns: usize| -> Vec<String> {
        let section = dump.split(&format!("== {table} ")).nth(1).unwrap();
        let section = section.split("\n==").next().unwrap();
        section.lines().skip(1).map(|row| row.split(" | ").take(columns).collect::<Vec<_>>().join(" ")).collect()
    };
    let (grown, fresh) = (house.dump("grown"), house.dump("fresh"));
    for (table, columns) in [("sentence", 9), ("document_pair", 3), ("neighbours", 3)] {
        let (grown, fresh) = (rows(&grown, table, columns), rows(&fresh, table, columns));
        assert!(fresh.len() >= 5, "{table} has {} rows", fresh.len());
        assert_eq!(grown, fresh, "{table}");
    }
}

#[test]
fn lists_mended_night_by_night_are_those_of_a_search_from_scratch_however_often_the_nights_are_stopped() {
    let house = House::new(5);
    // An encoder that is the same every night, and batches that a night has several of.
    let model = format!("embed.model={}/tests/golden/xlmr-mean", env!("CARGO_MANIFEST_DIR"));
    let settings = [model.as_str(), "neighbours.k=6", "neighbours.limits.batch=3"];
    let run = |workspace: &str, stop_after: Option<u64>| {
        let options = RunOptions { stop_after, ..RunOptions::default() };
        kopri::pipeline::run(&house.pipeline(workspace, &settings), options, &mut Silent)
    };
    let lists = |workspace: &str, columns: &str| -> Vec<String> {
        let database = rusqlite::Connection::open(house.path(&format!("{workspace}/kopri.db"))).unwrap();
        let sql =
            format!("SELECT direction || quote(text_id) || {columns} FROM neighbours ORDER BY direction, text_id");
        let mut rows = database.prepare(&sql).unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    };
    let mut articles = 5;
    for night in 0..4 {
        // An article comes and a sentence of another; the sentence goes; an article comes and the sentence again.
        if night > 0 {
            if night != 2 {
                articles += 1;
                house.write_article(articles, false);
            }
            house.write_article(1, night != 2);
            house.write_lists(&(1..=articles).collect::<Vec<_>>());
        }
        let report = run("grown", None).unwrap();
        let fresh = format!("fresh-{night}");
        run(&fresh, None).unwrap();
        assert_eq!(lists("grown", "quote(list)"), lists(&fresh, "quote(list)"), "night {night}");
        // What vanishes costs no search, since spare neighbours take its place; what returns has its vector still.
        let returned = if night == 3 { 2.0 } else { 0.0 };
        let (texts, searched) = (count(&report, "embed", "texts"), count(&report, "neighbours", "searched"));
        assert!(
            (texts > 4.0) == (night != 2) && (texts + returned - searched).abs() < f64::EPSILON,
            "{texts} embedded, {searched} searched"
        );
        let shortened = lists("grown", "':' || length(spare)").iter().filter(|row| !row.ends_with(":48")).count();
        assert!(
            night == 3 || (shortened > 0) == (night == 2),
            "night {night}: {shortened} lists have lost a neighbour"
        );
        for attempt in 0.. {
            assert!(attempt < 200, "it does not come to an end");
            if run("stopped", Some(2)).is_ok() {
                break;
            }
        }
        let all = "quote(list) || quote(spare)";
        assert_eq!(lists("grown", all), lists("stopped", all), "night {night}");
    }
    assert!(lists("grown", "quote(list)").len() > 30);
}

#[test]
fn a_graph_is_kept_from_night_to_night_and_what_is_new_is_inserted() {
    let house = House::new(6);
    let night = |index: &str| {
        let pipeline = house.pipeline(index, &[&format!("neighbours.index={index:?}")]);
        kopri::pipeline::run(&pipeline, RunOptions::default(), &mut Silent).unwrap()
    };
    let lists = |workspace: &str| -> Vec<String> {
        let database = rusqlite::Connection::open(house.path(&format!("{workspace}/kopri.db"))).unwrap();
        let sql = "SELECT direction || quote(text_id) || quote(list) FROM neighbours ORDER BY direction, text_id";
        let mut rows = database.prepare(sql).unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    };
    let nodes =
        |report| ["kept", "inserted", "gone"].map(|what| count(report, "neighbours", &format!("graph nodes {what}")));
    house.write_article(2, true);
    let first = night("hnsw");
    night("exact");
    let [kept, texts, gone] = nodes(&first);
    assert!([kept, gone] == [0.0, 0.0] && texts >= count(&first, "embed", "texts"), "all texts, some in both graphs");

    // A sentence goes on both sides, and of the new article three texts come a side.
    house.write_article(2, false);
    house.write_article(7, false);
    house.write_lists(&[1, 2, 3, 4, 5, 6, 7]);
    let second = night("hnsw");
    night("exact");
    assert_eq!(nodes(&second), [texts - 2.0, 6.0, 2.0]);
    assert_eq!(count(&second, "neighbours", "recall sum"), count(&second, "neighbours", "recall sample"));
    assert_eq!(lists("hnsw"), lists("exact"));
    assert!(lists("hnsw").len() > 20);

    // A damaged graph is built anew.
    std::fs::write(house.path("hnsw/graphs/ru-tk-forward.hnsw"), b"kopri-hnsw-1\n and nothing more").unwrap();
    house.write_article(8, false);
    house.write_lists(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let third = night("hnsw");
    assert_eq!(count(&third, "neighbours", "graphs damaged"), 1.0);
    assert!(count(&third, "neighbours", "graph nodes inserted") > 8.0);
}

#[test]
fn a_night_on_which_the_server_is_down_loses_nothing() {
    let house = House::new(3);
    house.run("w");
    let before = house.dump("w");
    house.set_broken(true);
    // robots.txt is a day old by then; here it is made so.
    let database = rusqlite::Connection::open(house.path("w/kopri.db")).unwrap();
    database.execute("UPDATE host SET robots_fetched_at = '2020-01-01T00:00:00.000000Z'", []).unwrap();
    drop(database);
    let crawl = house.run("w").crawl.unwrap();
    assert_eq!((crawl.requests, crawl.failed, crawl.forbidden), (1, 1, 0), "robots.txt is asked for, and nothing else");
    let pairs = house.read("w/export/pairs.tsv");
    assert!(pairs.contains("http://house.test/ru/post/3/library"));
    house.set_broken(false);
    assert!(house.run("w").is_nothing_new());
    assert_same(&before, &house.dump("w"), "a night without the server");
}

#[test]
fn a_changed_threshold_runs_the_filter_and_what_follows_alone() {
    let house = House::new(3);
    house.run("w");
    let pipeline = house.pipeline("w", &["filter.min-chars=20"]);
    let report =
        kopri::pipeline::run(&pipeline, kopri::pipeline::RunOptions::default(), &mut kopri::engine::event::Silent)
            .unwrap();
    for kopri::engine::StageReport { stage, tally, .. } in &report.stages {
        let expected = matches!(*stage, "filter" | "dedup" | "export");
        assert_eq!(tally.done > 0, expected, "{stage:?}: {tally:?}");
    }
    let store = kopri::store::Store::open(&pipeline.workspace_folder(), kopri::store::open::Access::Read).unwrap();
    let original = house.pipeline("w", &[]).plan(&store).unwrap();
    let filter = original.iter().find(|plan| plan.stage == "filter").unwrap();
    assert_eq!(filter.because, ["filter.min-chars 20 → 5"]);
    assert!(filter.pending > 0);
}

#[test]
fn changed_and_changed_back_the_store_is_the_same() {
    let house = House::new(3);
    house.run("w");
    let before = house.dump("w");
    let other = house.pipeline("w", &["align.weights.skip=-4.0", "mine.min-score=0.0"]);
    kopri::pipeline::run(&other, kopri::pipeline::RunOptions::default(), &mut kopri::engine::event::Silent).unwrap();
    assert_ne!(before, house.dump("w"), "the other settings changed nothing");
    house.run("w");
    assert_same(&before, &house.dump("w"), "there and back");
}

#[test]
fn a_bert_folder_on_libtorch_takes_the_place_of_the_lexical_encoder() {
    let house = House::new(2);
    let model = format!("embed.model={}/tests/golden/bert-cls-dense", env!("CARGO_MANIFEST_DIR"));
    let pipeline = house.pipeline("w", &[model.as_str()]);
    let run = || {
        kopri::pipeline::run(&pipeline, kopri::pipeline::RunOptions::default(), &mut kopri::engine::event::Silent)
            .unwrap()
    };
    let report = run();
    assert_eq!(report.failed(), 0);
    assert_eq!(done(&report, "fit"), 0, "such a model is not fitted");
    let (texts, searched) = (count(&report, "embed", "texts"), count(&report, "neighbours", "searched"));
    assert!(texts > 20.0 && (texts - searched).abs() < f64::EPSILON, "{texts} embedded, {searched} searched");
    assert_eq!(done(&report, "align"), 2);
    assert!(house.dump("w").contains("bert-"), "vectors are kept under the model's id");
    assert!(run().is_nothing_new());
}
