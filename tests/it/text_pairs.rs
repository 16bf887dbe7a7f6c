//! Text pairs over several runs: two texts are one pair wherever they occur, and what people said of them holds, whatever
//! pages come, go and come back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use kopri::engine::event::Silent;
use kopri::error::ErrorKind;
use kopri::pipeline::{Pipeline, RunOptions, RunReport};
use kopri::record::{DropReason, Language, Origin, PairId};
use kopri::stage::annotate;
use kopri::store::Store;
use kopri::store::open::Access;
use kopri::store::text_pairs::Occurrence;
use kopri::text::dedup::text_pair_id;
use serde_json::{Value, json};

use crate::harness::{House, assert_same};

/// In every article of the house.
const FREE: [&str; 2] = ["Для школьников вход бесплатный.", "Okuwçylar üçin giriş mugt."];
/// In every article of the house.
const TICKET: [&str; 2] = ["Билет для взрослых стоит 10 манатов.", "Ulular üçin petek 10 manat durýar."];
/// In every article of the house, with a name and a number that mining pairs it by.
const DIRECTOR: [&str; 2] = [
    "Директор библиотеки Мая Аннаева рассказала о планах на 2026 год.",
    "Kitaphananyň müdiri Maýa Annaýewa 2026-njy ýylyň meýilnamalary barada gürrüň berdi.",
];
/// In no article of the house: what names and numbers alone can pair.
const PLANT: [&str; 2] =
    ["Завод «Бахар» из Туркменбаши выпустил 4571 телевизор.", "Türkmenbaşynyň «Bahar» zawody 4571 telewizor öndürdi."];

const SETS: [&str; 6] = [
    "annotate.budget=12",
    "annotate.annotators=1",
    "dataset.write=true",
    "dataset.dev=0.3",
    "dataset.test=0.3",
    "extract.keep-vanished=false",
];

/// The sentences of an article of the house that has numbers of its own.
fn computers(article: u32) -> [String; 2] {
    let number = 20 + article * 3;
    [format!("В читальном зале стоят {number} компьютеров."), format!("Okalga zalynda {number} kompýuter goýuldy.")]
}

fn id(pair: [&str; 2]) -> PairId {
    text_pair_id((Language::RUSSIAN, pair[0]), (Language::TURKMEN, pair[1]))
}

fn run(pipeline: &Pipeline) -> RunReport {
    let report = kopri::pipeline::run(pipeline, RunOptions::default(), &mut Silent).unwrap();
    assert_eq!(report.failed(), 0);
    report
}

fn store(pipeline: &Pipeline) -> Store {
    Store::open(&pipeline.workspace_folder(), Access::Write).unwrap()
}

fn occurrences(pipeline: &Pipeline, pair: PairId) -> Vec<Occurrence> {
    store(pipeline).occurrences(pair).unwrap()
}

/// One person answers a question about a pair, and the answer is imported from a Label Studio export.
fn answer(pipeline: &Pipeline, number: i64, pair: PairId, verdict: &str, fix: [Option<&str>; 2]) {
    let mut result = vec![json!({ "from_name": "verdict", "type": "choices", "value": { "choices": [verdict] } })];
    for (fix, control) in fix.iter().zip(["src_fix", "tgt_fix"]) {
        let Some(fix) = fix else { continue };
        result.push(json!({ "from_name": control, "type": "textarea", "value": { "text": [fix] } }));
    }
    let export = json!([{
        "id": number, "data": { "pair_id": pair.to_string() }, "annotations": [{
            "id": number, "completed_by": { "id": 1, "email": "person@example.org" }, "was_cancelled": false,
            "ground_truth": false, "lead_time": 10.0, "unique_id": format!("u-{number}"),
            "updated_at": format!("2026-11-21T01:{:02}:00.000000Z", number % 60), "result": result,
        }],
    }]);
    let path = pipeline.workspace_folder().join(format!("answers-{number}.json"));
    std::fs::write(&path, export.to_string()).unwrap();
    let tally = annotate::read_label_studio(&mut store(pipeline), &path).unwrap();
    assert_eq!((tally.new, tally.unknown, tally.problems()), (1, 0, 0), "{tally:?}");
}

/// Targets exported with a source.
fn exported(file: &Path, source: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let place = |name: &str| names.iter().position(|own| *own == name).unwrap();
    let (from, to) = (place("source"), place("target"));
    let rows = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter(|row| row[from] == source).map(|row| row[to].to_owned()).collect()
}

/// How often a pair was asked about, but as a control item.
fn asked(house: &House, workspace: &str, pair: PairId) -> String {
    house.ask(workspace, &format!("SELECT count(*) || '' FROM task WHERE pair = {} AND control IS NULL", pair.0))
}

fn drop_of(pipeline: &Pipeline, pair: PairId) -> Option<DropReason> {
    store(pipeline).judged_pair(pair).unwrap().unwrap().drop.map(|drop| drop.reason)
}

/// The article of an occurrence: `http://house.test/ru/post/3/library` is of article 3.
fn article_of(occurrence: &Occurrence) -> u32 {
    occurrence.source_location.as_deref().unwrap().split('/').nth(5).unwrap().parse().unwrap()
}

/// Adds a paragraph to a page of an article.
fn add(house: &House, language: &str, article: u32, text: &str) {
    let path = house.path(&format!("site/{language}/post/{article}/library.html"));
    let page = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, page.replace("</article>", &format!("<p>{text}</p></article>"))).unwrap();
}

#[test]
fn an_answer_holds_wherever_its_two_texts_occur_and_while_they_are_gone() {
    let house = House::new(3);
    // No sentence is taken, so that mining finds what alignment found.
    let sets = [&SETS[..], &["mine.taken-score=2.0", "mine.min-score=0.0", "mine.min-margin=0.0"]].concat();
    let pipeline = house.pipeline("w", &sets);
    let file = house.path("w/export/pairs.tsv");
    run(&pipeline);
    let origins = |pair: PairId| -> Vec<Origin> { occurrences(&pipeline, pair).iter().map(|one| one.origin).collect() };
    let mut found = origins(id(DIRECTOR));
    found.sort();
    assert_eq!(found, [Origin::Aligned, Origin::Aligned, Origin::Aligned, Origin::Mined]);
    for pair in [DIRECTOR, TICKET] {
        assert_eq!(exported(&file, pair[0]), [pair[1]], "one text pair is one row");
    }

    let mended = "Ulular üçin petegiň bahasy 10 manat.";
    answer(&pipeline, 1, id(DIRECTOR), "no", [None, None]);
    answer(&pipeline, 2, id(TICKET), "partly", [None, Some(mended)]);
    let own = computers(2);
    let own = [own[0].as_str(), own[1].as_str()];
    answer(&pipeline, 3, id(own), "no", [None, None]);
    run(&pipeline);
    let holds = |when: &str| {
        assert!(exported(&file, DIRECTOR[0]).is_empty(), "{when}");
        assert_eq!(drop_of(&pipeline, id(DIRECTOR)), Some(DropReason::Annotator), "{when}");
        assert_eq!(exported(&file, TICKET[0]), [mended], "{when}");
        assert!(!std::fs::read_to_string(&file).unwrap().contains(TICKET[1]), "{when}");
        assert!(exported(&file, own[0]).is_empty(), "{when}");
    };
    holds("after the answers");
    let before: Vec<String> = [DIRECTOR, TICKET, own].map(|pair| asked(&house, "w", id(pair))).into();

    // The page of the best occurrence vanishes, and with it the only page of one of the pairs.
    for (article, gone) in [(article_of(&occurrences(&pipeline, id(DIRECTOR))[0]), false), (2, true)] {
        house.remove_article(article);
        house.write_lists(&(1..=3).filter(|other| *other != article).collect::<Vec<_>>());
        run(&pipeline);
        holds(&format!("article {article} is gone"));
        let left = origins(id(DIRECTOR)).iter().filter(|origin| **origin == Origin::Aligned).count();
        assert_eq!(left, 2, "article {article}");
        let there = store(&pipeline).pair(id(own)).unwrap();
        assert!(!gone || there.is_none(), "{there:?}");
        assert_eq!(store(&pipeline).annotations(id(own)).unwrap().len(), 1);

        house.write_article(article, false);
        house.write_lists(&[1, 2, 3]);
        run(&pipeline);
        holds(&format!("article {article} is back"));
        assert_eq!(drop_of(&pipeline, id(own)), Some(DropReason::Annotator));
        let after: Vec<String> = [DIRECTOR, TICKET, own].map(|pair| asked(&house, "w", id(pair))).into();
        assert_eq!(before, after, "nothing is asked again");
    }
    assert!(run(&pipeline).is_nothing_new());
}

#[test]
fn a_pair_that_is_quoted_or_aligned_later_keeps_its_id_its_answers_and_its_split() {
    let house = House::new(4);
    // The two texts stand in articles that do not translate each other.
    add(&house, "ru", 1, PLANT[0]);
    add(&house, "tm", 2, PLANT[1]);
    let pipeline = house.pipeline("w", &[&SETS[..], &["mine.min-score=0.0", "filter.min-mined-score=0.0"]].concat());
    let file = house.path("w/export/pairs.tsv");
    run(&pipeline);
    let origins = |pair: PairId| -> Vec<Origin> { occurrences(&pipeline, pair).iter().map(|one| one.origin).collect() };
    assert_eq!(origins(id(PLANT)), [Origin::Mined]);
    let own = computers(1);
    let own = [own[0].as_str(), own[1].as_str()];
    answer(&pipeline, 1, id(PLANT), "yes", [None, None]);
    answer(&pipeline, 2, id(own), "no", [None, None]);
    run(&pipeline);
    let split = store(&pipeline).split(id(PLANT)).unwrap();
    assert!(split.is_some());
    let known = |when: &str| {
        assert_eq!(exported(&file, PLANT[0]), [PLANT[1]], "{when}");
        assert_eq!(store(&pipeline).split(id(PLANT)).unwrap(), split, "{when}");
        assert_eq!(store(&pipeline).annotations(id(PLANT)).unwrap().len(), 1, "{when}");
        assert_eq!(drop_of(&pipeline, id(own)), Some(DropReason::Annotator), "{when}");
        // An answer is an orphan when its pair occurs nowhere.
        let orphans = "SELECT count(*) || '' FROM annotation WHERE pair NOT IN (SELECT pair FROM occurrence)";
        assert_eq!(house.ask("w", orphans), "0", "{when}");
        let again = "SELECT count(*) || '' FROM task JOIN annotation ON annotation.pair = task.pair
                     WHERE control IS NULL AND task.asked_at > (SELECT max(started_at) FROM run)";
        assert_eq!(house.ask("w", again), "0", "{when}");
    };
    known("answered");

    // Pages quote one side of a mined and of an aligned pair: one of them surely comes before the page of the pair.
    for article in 5..=8 {
        house.write_article(article, false);
        // Not both on one page, which would pair them with each other.
        if article % 2 == 0 {
            add(&house, "ru", article, PLANT[0]);
        } else {
            add(&house, "tm", article, own[1]);
        }
        house.write_lists(&(1..=article).collect::<Vec<_>>());
        run(&pipeline);
        assert!(store(&pipeline).pair(id(own)).unwrap().is_some(), "article {article}");
        known(&format!("article {article} quotes them"));
    }

    // An article has both texts side by side.
    house.write_article(9, false);
    add(&house, "ru", 9, PLANT[0]);
    add(&house, "tm", 9, PLANT[1]);
    house.write_lists(&(1..=9).collect::<Vec<_>>());
    run(&pipeline);
    assert_eq!(occurrences(&pipeline, id(PLANT))[0].origin, Origin::Aligned);
    known("aligned");
    assert!(run(&pipeline).is_nothing_new());
}

#[test]
fn a_split_never_changes_and_near_duplicates_have_the_same() {
    let house = House::new(4);
    let long = [
        "Старый сторож каждое утро открывает ворота парка и подметает широкие дорожки между старыми деревьями",
        "Garry garawul her gün irden seýilgähiň derwezesini açýar we köne agaçlaryň arasyndaky giň ýodalary süpürýär",
    ];
    // The same but for a short addition.
    let near = [format!("{}, да.", long[0]), format!("{}, hawa.", long[1])];
    let long = [format!("{}.", long[0]), format!("{}.", long[1])];
    for (article, pair) in [(1, &long), (3, &near)] {
        add(&house, "ru", article, &pair[0]);
        add(&house, "tm", article, &pair[1]);
    }
    let pipeline = house.pipeline("w", &[&SETS[..], &["dedup.near=0.7"]].concat());
    run(&pipeline);
    let mut number = 0;
    let mut yes = |pair: [&str; 2]| {
        number += 1;
        answer(&pipeline, number, id(pair), "yes", [None, None]);
        id(pair)
    };
    let mut judged = Vec::new();
    for article in 1..=4 {
        let own = computers(article);
        judged.push(yes([&own[0], &own[1]]));
    }
    judged.push(yes([&long[0], &long[1]]));
    judged.push(yes([&near[0], &near[1]]));
    run(&pipeline);
    let splits = |pairs: &[PairId]| -> Vec<Option<String>> {
        pairs.iter().map(|pair| store(&pipeline).split(*pair).unwrap()).collect()
    };
    let first = splits(&judged);
    assert!(first.iter().all(Option::is_some), "{first:?}");
    let marked = "SELECT count(*) || '' FROM near_duplicate WHERE of IS NOT NULL";
    assert_ne!(house.ask("w", marked), "0", "the two long pairs are near duplicates");
    assert_eq!(first[4], first[5], "near duplicates have one split");

    // Documents come that quote what was judged: they join its group, and may have lower ids.
    for article in 5..=10 {
        house.write_article(article, false);
        let own = computers(article % 4 + 1);
        add(&house, "ru", article, &own[0]);
        add(&house, "tm", article, &own[1]);
        house.write_lists(&(1..=article).collect::<Vec<_>>());
        let new = computers(article);
        run(&pipeline);
        judged.push(id([&new[0], &new[1]]));
        answer(&pipeline, 100 + i64::from(article), id([&new[0], &new[1]]), "yes", [None, None]);
        run(&pipeline);
        assert_eq!(splits(&judged)[..6], first[..], "article {article}");
    }
    // What the files say is what the store says, and no pair stands in two of them.
    let splits: BTreeMap<String, String> =
        judged.iter().zip(splits(&judged)).filter_map(|(pair, split)| Some((pair.to_string(), split?))).collect();
    let folder = pipeline.workspace_folder().join("dataset");
    let folder = folder.join(std::fs::read_to_string(folder.join("LATEST")).unwrap().trim());
    let mut written = BTreeMap::new();
    for split in ["train", "dev", "test"] {
        for line in std::fs::read_to_string(folder.join(format!("{split}.jsonl"))).unwrap().lines() {
            let example: Value = serde_json::from_str(line).unwrap();
            if example["kind"] == "right" {
                let pair = example["id"].as_str().unwrap().to_owned();
                assert_eq!(written.insert(pair, split.to_owned()), None, "{line}");
            }
        }
    }
    assert_eq!(written, splits);
}

#[test]
fn a_correction_of_punctuation_and_case_alone_is_one_row_as_corrected() {
    let house = House::new(3);
    let pipeline = house.pipeline("w", &SETS);
    let file = house.path("w/export/pairs.tsv");
    run(&pipeline);
    let (source, target) = ("Для Школьников вход бесплатный!", "Okuwçylar üçin giriş mugt!");
    let before = std::fs::read_to_string(&file).unwrap().lines().count();
    answer(&pipeline, 1, id(FREE), "partly", [Some(source), Some(target)]);
    let mut dumps = Vec::new();
    for _ in 0..3 {
        run(&pipeline);
        assert_eq!(exported(&file, source), [target]);
        assert!(exported(&file, FREE[0]).is_empty());
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), before);
        let best = &occurrences(&pipeline, id(FREE))[0];
        assert_eq!((best.origin, occurrences(&pipeline, id(FREE)).len()), (Origin::Corrected, 4));
        dumps.push(house.dump("w"));
    }
    assert_same(&dumps[0], &dumps[1], "the second run after a correction");
    assert_same(&dumps[1], &dumps[2], "the third run after a correction");
    assert!(run(&pipeline).is_nothing_new());

    // The pages go: the correction is still there, since a person wrote it. They come back, and it stands for them again.
    for article in 1..=3 {
        house.remove_article(article);
    }
    house.write_article(4, false);
    house.write_lists(&[4]);
    run(&pipeline);
    assert_eq!(exported(&file, source), [target]);
    for article in 1..=3 {
        house.write_article(article, false);
    }
    house.write_lists(&[1, 2, 3, 4]);
    run(&pipeline);
    assert_eq!(exported(&file, source), [target]);
    assert!(exported(&file, FREE[0]).is_empty());
}

const ENGLISH: [&str; 8] = [
    "A new library with 120 seats has been opened in Ashgabat.",
    "The company Gurlushyk built it in eight months.",
    "There are 35 computers in the reading room.",
    "The director of the library, Maya Annayeva, spoke about the plans for the year 2026.",
    "An exhibition of children's drawings will be held here in the summer.",
    "A ticket for adults costs 10 manats.",
    "Admission is free of charge for pupils.",
    "The library is open every day from 9:00 to 18:00.",
];

/// A house whose articles are in English too.
fn house_of_three(articles: u32) -> House {
    let house = House::new(articles);
    for article in 1..=articles {
        let mut page = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Library number {article}</title></head>\
             <body><ul class=\"lang\"><li><a href=\"/tm/post/{article}/library\">tm</a></li></ul>\
             <h1>Library number {article}</h1><article>"
        );
        for text in ENGLISH {
            let text = text.replace("120", &(100 + article * 7).to_string());
            let _ = write!(page, "<p>{}</p>", text.replace("35", &(20 + article * 3).to_string()));
        }
        let path = house.path(&format!("site/en/post/{article}/library.html"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, page + "</article></body></html>").unwrap();
    }
    // The Russian list links them.
    let path = house.path("site/ru/index.html");
    let links: String = (1..=articles)
        .map(|article| format!("<li><a href=\"/en/post/{article}/library\">{article}</a></li>"))
        .collect();
    let list = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, list.replace("</ul>", &format!("{links}</ul>"))).unwrap();
    house
}

const TWO: &str = "pairs = [[\"ru\", \"tk\"], [\"en\", \"tk\"]]";

/// Rows of a dump that belong to a scope by themselves or by their text pair.
fn rows_of(house: &House, workspace: &str, scope: &str) -> Vec<String> {
    let database = rusqlite::Connection::open(house.path(workspace).join("kopri.db")).unwrap();
    let mut all = Vec::new();
    for (table, columns) in [
        ("text_pair", "id, source_text, target_text, best, split"),
        ("verdict", "pair, reason, detail, origin, score, source"),
        ("document_pair", "source, target, score"),
        ("task", "id, pair, strategy"),
        ("adjudication", "pair, verdict, confidence"),
    ] {
        let columns: Vec<String> = columns.split(", ").map(|column| format!("quote({column})")).collect();
        let sql = format!("SELECT '{table} ' || {} FROM {table} WHERE scope = ?1", columns.join(" || ' ' || "));
        let mut statement = database.prepare(&sql).unwrap();
        let rows = statement.query_map([scope], |row| row.get::<_, String>(0)).unwrap();
        all.extend(rows.map(Result::unwrap));
    }
    all.sort();
    all
}

#[test]
fn two_language_pairs_stay_apart_in_answers_exports_and_when_one_is_taken_out() {
    let house = house_of_three(3);
    let pipeline = house.pipeline_of("w", TWO, &SETS);
    run(&pipeline);
    let [russian, english] = ["ru-tk", "en-tk"].map(|scope| house.path(&format!("w/export/{scope}/pairs.tsv")));
    let admission = [ENGLISH[6], FREE[1]];
    assert_eq!(exported(&russian, FREE[0]), [FREE[1]]);
    assert_eq!(exported(&english, admission[0]), [admission[1]]);
    assert!(exported(&russian, admission[0]).is_empty() && exported(&english, FREE[0]).is_empty());

    let (rows, bytes) = (rows_of(&house, "w", "en-tk"), std::fs::read(&english).unwrap());
    assert!(rows.len() > 40, "{rows:#?}");
    answer(&pipeline, 1, id(FREE), "no", [None, None]);
    answer(&pipeline, 2, id(TICKET), "partly", [None, Some("Ulular üçin petegiň bahasy 10 manat.")]);
    run(&pipeline);
    assert!(exported(&russian, FREE[0]).is_empty());
    assert_eq!(rows_of(&house, "w", "en-tk"), rows, "answers of the other pair");
    assert_eq!(std::fs::read(&english).unwrap(), bytes);
    // The same Turkmen text in the other pair is another pair: it has an answer of its own.
    let admission = text_pair_id((Language::ENGLISH, admission[0]), (Language::TURKMEN, admission[1]));
    answer(&pipeline, 3, admission, "yes", [None, None]);
    run(&pipeline);
    let answered = rows_of(&house, "w", "en-tk");
    assert_ne!(answered, rows);
    assert_eq!(drop_of(&pipeline, id(FREE)), Some(DropReason::Annotator));
    assert_eq!(drop_of(&pipeline, admission), None);

    // Without a pair in the pipeline its rows stay, and count again when it is back.
    run(&house.pipeline_of("w", "pairs = [[\"ru\", \"tk\"]]", &SETS));
    assert_eq!(rows_of(&house, "w", "en-tk"), answered);
    run(&pipeline);
    assert_eq!(rows_of(&house, "w", "en-tk"), answered);
}

#[test]
fn two_language_pairs_end_alike_wherever_a_run_is_killed() {
    let house = house_of_three(2);
    let run_until = |workspace: &str, stop_after: Option<u64>| {
        let options = RunOptions { stop_after, ..RunOptions::default() };
        kopri::pipeline::run(&house.pipeline_of(workspace, TWO, &SETS), options, &mut Silent)
    };
    run_until("whole", None).unwrap();
    let whole = house.dump("whole");
    let mut stops = 0;
    for units in (0..).step_by(5) {
        let workspace = format!("killed-{units}");
        match run_until(&workspace, Some(units)) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}"),
        }
        run_until(&workspace, None).unwrap();
        assert_same(&whole, &house.dump(&workspace), &format!("killed after {units} units"));
        stops += 1;
    }
    assert!(stops > 6, "only {stops} places to stop were found");
}
