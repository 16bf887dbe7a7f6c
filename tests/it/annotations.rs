//! The annotation loop without a server: questions out as a file, three people answer, their export comes back, and the
//! next night decides, corrects, asks again and writes training data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kopri::engine::event::Silent;
use kopri::pipeline::{Pipeline, RunOptions, RunReport};
use kopri::record::{Interface, Origin, PairId};
use kopri::stage::annotate::{self, Tally};
use kopri::stage::export::{File, Which};
use kopri::stage::formats::Format;
use kopri::stage::{Look, export};
use kopri::store::Store;
use kopri::store::open::Access;
use serde_json::{Value, json};

use crate::harness::{House, assert_same};

const SETS: [&str; 4] = ["annotate.budget=12", "annotate.annotators=3", "dataset.write=true", "dataset.dev=0.3"];

fn run(pipeline: &Pipeline) -> RunReport {
    let report = kopri::pipeline::run(pipeline, RunOptions::default(), &mut Silent).unwrap();
    assert_eq!(report.failed(), 0);
    report
}

fn store(pipeline: &Pipeline) -> Store {
    Store::open(&pipeline.workspace_folder(), Access::Write).unwrap()
}

fn tasks(pipeline: &Pipeline) -> Vec<Value> {
    let store = store(pipeline);
    let look = Look { store: &store, languages: pipeline.scopes()[0], key: "" };
    let file = File { format: Format::LabelStudio, path: String::new(), pairs: Which::Asked, limit: None };
    let mut out = Vec::new();
    export::write_to(&look, &file, &pipeline.annotate, &pipeline.folder, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

fn count(report: &RunReport, stage: &str, what: &str) -> f64 {
    let tally = report.stage(stage).unwrap();
    tally.counts.get(what).copied().unwrap_or(0.0)
}

/// What a person answers to a task, as Label Studio exports it.
fn answer(id: i64, person: i64, verdict: &str, fix: Option<&str>, minute: u32) -> Value {
    let mut result =
        vec![json!({ "from_name": "verdict", "to_name": "tgt", "type": "choices", "value": { "choices": [verdict] } })];
    result.extend(fix.map(
        |fix| json!({ "from_name": "tgt_fix", "to_name": "tgt", "type": "textarea", "value": { "text": [fix] } }),
    ));
    let skipped = verdict.is_empty();
    json!({
        "id": id, "completed_by": { "id": person, "email": format!("person{person}@example.org") }, "was_cancelled": skipped,
        "ground_truth": false, "lead_time": 10.0 + person as f64, "unique_id": format!("u-{id}"),
        "updated_at": format!("2026-11-21T01:{minute:02}:00.000000Z"), "result": if skipped { Vec::new() } else { result },
    })
}

fn import(pipeline: &Pipeline, answered: &[(Value, Vec<Value>)]) -> Tally {
    let export: Vec<Value> = answered
        .iter()
        .enumerate()
        .map(|(id, (task, annotations))| json!({ "id": id, "data": task["data"], "annotations": annotations, "drafts": [] }))
        .collect();
    let path = pipeline.workspace_folder().join("answers.json");
    std::fs::write(&path, json!(export).to_string()).unwrap();
    annotate::read_label_studio(&mut store(pipeline), &path).unwrap()
}

fn pair_id(task: &Value) -> PairId {
    task["data"]["pair_id"].as_str().unwrap().parse().unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn answers_decide_correct_and_teach() {
    let house = House::new(14);
    let pipeline = house.pipeline("w", &SETS);
    let first = run(&pipeline);
    assert_eq!(count(&first, "annotate", "questions waiting"), 12.0);
    let asked = tasks(&pipeline);
    assert_eq!(asked.len(), 12);
    let pairs: BTreeSet<PairId> = asked.iter().map(pair_id).collect();
    assert_eq!(pairs.len(), 12, "no pair is asked about twice");
    assert!(run(&pipeline).is_nothing_new(), "nobody answered: nothing more is asked");

    // 0 is right, 1 wrong, 2 corrected by two people, 3 in dispute, 4 passed by; 5 is answered by one person alone.
    let three = |task: usize, verdicts: [&str; 3], fix: Option<&str>| -> (Value, Vec<Value>) {
        let answers = (0..3).map(|person| {
            let fix = fix.filter(|_| person < 2);
            answer((task * 3) as i64 + person, person + 1, verdicts[person as usize], fix, task as u32)
        });
        (asked[task].clone(), answers.collect())
    };
    let mended = "Bu sözlem adam tarapyndan düzedildi.";
    let mut answered = vec![
        three(0, ["yes", "yes", "yes"], None),
        three(1, ["no", "no", "yes"], None),
        three(2, ["partly", "partly", "partly"], Some(mended)),
        three(3, ["yes", "partly", "no"], None),
        three(4, ["", "", ""], None),
    ];
    answered.push((asked[5].clone(), vec![answer(90, 1, "yes", None, 5)]));
    answered.push((json!({ "data": { "pair_id": "p00000000000000aa" } }), vec![answer(99, 1, "no", None, 6)]));
    let tally = import(&pipeline, &answered);
    assert_eq!((tally.new, tally.skipped, tally.unknown, tally.problems()), (17, 3, 1, 0), "{tally:?}");
    assert_eq!(tally.by["person1@example.org"], 7);
    let again = import(&pipeline, &answered);
    assert_eq!((again.new, again.changed, again.unchanged), (0, 0, 17));

    let second = run(&pipeline);
    assert_eq!(count(&second, "adjudicate", "pairs in dispute"), 1.0);
    assert_eq!(count(&second, "adjudicate", "pairs corrected"), 1.0);
    // 0 and 1 were decided, 5 by one person; the same night learns from them.
    assert_eq!(count(&second, "calibrate", "annotated pairs"), 3.0);
    let judged = |id: PairId| store(&pipeline).judged_pair(id).unwrap().unwrap();
    let drop = |task: usize| judged(pair_id(&asked[task])).drop.map(|drop| drop.detail);
    assert_eq!(drop(1).as_deref(), Some("2 of 3 annotators say no"));
    let word = store(&pipeline).adjudication(pair_id(&asked[2])).unwrap().unwrap();
    let corrected = judged(word.corrected.unwrap());
    assert_eq!((corrected.pair.origin, corrected.pair.parent), (Origin::Corrected, Some(pair_id(&asked[2]))));
    assert_eq!((corrected.pair.target.text.as_str(), corrected.drop), (mended, None));
    assert!(drop(2).unwrap().contains("stands for it"));

    // Five questions are answered; the one in dispute is asked once more, as another question.
    let now = tasks(&pipeline);
    assert_eq!(now.len(), 12);
    let once_more: Vec<&Value> = now.iter().filter(|task| pair_id(task) == pair_id(&asked[3])).collect();
    assert_eq!(once_more.len(), 1);
    assert_ne!(once_more[0]["data"]["task_id"], asked[3]["data"]["task_id"]);
    let answered_ones: BTreeSet<PairId> = [0, 1, 2, 4].map(|task| pair_id(&asked[task])).into();
    let again: Vec<PairId> = now.iter().map(pair_id).filter(|pair| answered_ones.contains(pair)).collect();
    // What three people found right without a word against it may serve as a control item.
    assert!(again.iter().all(|pair| *pair == pair_id(&asked[0])), "{again:?}");

    dataset_is_sound(&pipeline, mended);

    // Somebody changes their mind, and the dispute with it.
    answered[3].1[2] = answer(11, 3, "yes", None, 40);
    let edited = import(&pipeline, &answered);
    assert_eq!((edited.new, edited.changed, edited.unchanged), (0, 1, 16));
    let third = run(&pipeline);
    assert_eq!(count(&third, "adjudicate", "pairs in dispute"), 0.0);
    assert!(run(&pipeline).is_nothing_new());
}

/// The version that `LATEST` names: labels as people said, and nothing in two parts.
fn dataset_is_sound(pipeline: &Pipeline, mended: &str) {
    let folder = pipeline.workspace_folder().join("dataset");
    let version = std::fs::read_to_string(folder.join("LATEST")).unwrap();
    let folder = folder.join(version.trim());
    let mut places: BTreeMap<String, &str> = BTreeMap::new();
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for part in ["train", "dev", "test"] {
        for example in lines(&folder.join(format!("{part}.jsonl"))) {
            *kinds.entry(example["kind"].as_str().unwrap().to_owned()).or_default() += 1;
            for key in ["source", "target", "source_location", "target_location"] {
                if let Some(thing) = example[key].as_str() {
                    assert_eq!(*places.entry(thing.to_owned()).or_insert(part), part, "{thing} is in two parts");
                }
            }
            let label = &example["label"];
            match example["kind"].as_str().unwrap() {
                "right" => assert_eq!(label, 1),
                "corrected" => assert_eq!((label, example["target"].as_str()), (&json!(1), Some(mended))),
                "wrong" | "hard-negative" => assert_eq!(label, 0),
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!((kinds["right"], kinds["corrected"], kinds["wrong"]), (2, 1, 1), "{kinds:?}");
    let card = std::fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(card.contains("| right, by people |") && card.contains("| house |"), "{card}");
}

#[test]
fn an_old_dataset_stays_and_the_same_answers_make_the_same_version() {
    let house = House::new(6);
    let versions = |workspace: &str, seed: &str| -> Vec<String> {
        let pipeline = house.pipeline(workspace, &[&SETS[..], &[seed]].concat());
        run(&pipeline);
        let asked = tasks(&pipeline);
        import(&pipeline, &[(asked[0].clone(), vec![answer(1, 1, "yes", None, 1)])]);
        run(&pipeline);
        let folder = pipeline.workspace_folder().join("dataset");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name != "LATEST")
            .collect();
        names.sort();
        names
    };
    let first = versions("a", "dataset.seed=1");
    assert_eq!(first.len(), 1);
    assert_eq!(versions("b", "dataset.seed=1"), first);
    assert_eq!(versions("a", "dataset.seed=2").len(), 2);
}

#[test]
fn what_stands_in_the_place_of_a_version_is_set_aside() {
    let house = House::new(4);
    let pipeline = house.pipeline("w", &SETS);
    run(&pipeline);
    import(&pipeline, &[(tasks(&pipeline)[0].clone(), vec![answer(1, 1, "yes", None, 1)])]);
    run(&pipeline);
    let folder = pipeline.workspace_folder().join("dataset");
    let version = std::fs::read_to_string(folder.join("LATEST")).unwrap().trim().to_owned();
    std::fs::remove_file(folder.join(&version).join("README.md")).unwrap();
    std::fs::write(folder.join(&version).join("own.txt"), "somebody's").unwrap();
    run(&pipeline);
    assert!(folder.join(&version).join("README.md").is_file() && !folder.join(&version).join("own.txt").exists());
    let aside = folder.join(format!("{version}.set-aside-1"));
    assert_eq!(std::fs::read_to_string(aside.join("own.txt")).unwrap(), "somebody's");
    let note = std::fs::read_to_string(folder.join(format!("{version}.set-aside-1.txt"))).unwrap();
    assert!(note.contains("had no README.md"), "{note}");
    // A file of that name, and the first place is taken.
    std::fs::remove_dir_all(folder.join(&version)).unwrap();
    std::fs::write(folder.join(&version), "a file").unwrap();
    run(&pipeline);
    assert_eq!(std::fs::read_to_string(folder.join(format!("{version}.set-aside-2"))).unwrap(), "a file");
    assert!(run(&pipeline).is_nothing_new());
}

#[test]
fn a_night_that_is_killed_anywhere_ends_with_the_same_answers() {
    let house = House::new(4);
    let sets = SETS;
    let prepare = |workspace: &str| {
        let pipeline = house.pipeline(workspace, &sets);
        run(&pipeline);
        let asked = tasks(&pipeline);
        let answered: Vec<(Value, Vec<Value>)> = asked
            .iter()
            .take(4)
            .enumerate()
            .map(|(place, task)| {
                let fix = (place == 1).then_some("Düzedilen sözlem.");
                (task.clone(), vec![answer(place as i64, 1, if place == 2 { "no" } else { "yes" }, fix, place as u32)])
            })
            .collect();
        import(&pipeline, &answered);
        pipeline
    };
    let whole = prepare("whole");
    run(&whole);
    let torn = prepare("torn");
    loop {
        let options = RunOptions { stop_after: Some(1), ..RunOptions::default() };
        match kopri::pipeline::run(&torn, options, &mut Silent) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.kind(), kopri::error::ErrorKind::Interrupted, "{error}"),
        }
    }
    assert_same(&house.dump("whole"), &house.dump("torn"), "a whole night and one that stopped after every unit");
}

#[test]
fn every_interface_asks_and_is_answered() {
    let house = House::new(10);
    for interface in [Interface::Similarity, Interface::Pairwise] {
        let set = format!("annotate.interface={}", interface.name());
        let pipeline = house.pipeline(interface.name(), &[&SETS[..], &[&set, "annotate.annotators=1"]].concat());
        run(&pipeline);
        let asked = tasks(&pipeline);
        assert!(!asked.is_empty(), "{interface:?}");
        let result = match interface {
            Interface::Similarity => json!({ "from_name": "sts", "value": { "choices": ["4"] } }),
            _ => json!({ "from_name": "better", "value": { "selected": "left" } }),
        };
        let mut annotation = answer(1, 1, "yes", None, 1);
        annotation["result"] = json!([result]);
        if interface == Interface::Pairwise {
            // The same choice asked once more, as a control item is: one preference comes of it.
            let database = rusqlite::Connection::open(pipeline.workspace_folder().join("kopri.db")).unwrap();
            let again = "INSERT INTO task (id, scope, interface, pair, other, strategy, control, asked_at, body)
                         SELECT 1, scope, interface, pair, other, strategy, control, asked_at, body FROM task WHERE printf('q%016x', id) = ?1";
            assert_eq!(database.execute(again, [asked[0]["data"]["task_id"].as_str().unwrap()]).unwrap(), 1);
        }
        assert_eq!(import(&pipeline, &[(asked[0].clone(), vec![annotation])]).new, 1);
        run(&pipeline);
        let store = store(&pipeline);
        let kept = &store.annotations(pair_id(&asked[0])).unwrap()[0];
        let folder = pipeline.workspace_folder().join("dataset");
        let folder = folder.join(std::fs::read_to_string(folder.join("LATEST")).unwrap().trim());
        if interface == Interface::Similarity {
            assert_eq!(kept.sts, Some(4));
            let all: Vec<Value> =
                ["train", "dev", "test"].iter().flat_map(|part| lines(&folder.join(format!("{part}.jsonl")))).collect();
            assert_eq!((all.len(), all[0]["similarity"].as_f64()), (1, Some(4.0)));
        } else {
            let left = asked[0]["data"]["a_id"].as_str().unwrap();
            assert_eq!(kept.preferred.unwrap().to_string(), left);
            let chosen = lines(&folder.join("preferences.jsonl"));
            assert_eq!((chosen.len(), &chosen[0]["better"]), (1, &asked[0]["data"]["cand_a"]));
        }
    }
}
