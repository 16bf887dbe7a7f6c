//! How far annotators agree, from a Label Studio export to the command, the summary and the report.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{House, text};

/// The house's pipeline, run through the binary.
struct Annotated {
    house: House,
    file: std::path::PathBuf,
    pairs: Vec<String>,
}

const OWNER: &str = "owner@example.org";
const AYNA: &str = "ayna@example.org";
const MAYA: &str = "maya@example.org";
const BATYR: &str = "batyr@example.org";

impl Annotated {
    /// Runs the pipeline and takes these tasks in; each is made of the pairs' ids, best first.
    fn new(tasks: impl FnOnce(&[String]) -> Vec<Value>) -> Self {
        let house = House::new(3);
        house.run("w");
        let file = house.write_pipeline("w");
        let mut annotated = Self { house, file, pairs: Vec::new() };
        let lines = annotated.told(&["export", "jsonl"]);
        let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
        annotated.pairs = lines.lines().map(id).collect();
        annotated.import(&tasks(&annotated.pairs));
        annotated
    }

    fn import(&self, tasks: &[Value]) {
        let export = self.house.path("annotations.json");
        std::fs::write(&export, json!(tasks).to_string()).unwrap();
        self.told(&["import", "label-studio", export.to_str().unwrap()]);
    }

    /// The tasks that a run asks with these settings.
    fn asked(&self, sets: &[&str]) -> Vec<Value> {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
        self.told(&[&["run", "--no-crawl", "--quiet"], &sets[..]].concat());
        serde_json::from_str(&self.told(&[&["export", "label-studio"], &sets[..]].concat())).unwrap()
    }

    fn agreement(&self) -> Value {
        serde_json::from_str(&self.told(&["agreement", "--json"])).unwrap()
    }

    fn kopri(&self, arguments: &[&str]) -> Output {
        let (command, rest) = arguments.split_first().unwrap();
        let mut kopri = Command::new(env!("CARGO_BIN_EXE_kopri"));
        kopri.arg(command).arg(&self.file).args(rest).env("NO_COLOR", "1").output().unwrap()
    }

    /// What it writes to standard output.
    fn told(&self, arguments: &[&str]) -> String {
        let output = self.kopri(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

/// A task as Label Studio exports it, with who said what after how many seconds.
fn task(number: usize, pair: &str, said: &[(&str, &str, Option<f64>)]) -> Value {
    let people = [OWNER, AYNA, MAYA, BATYR];
    let annotation = |(who, word, seconds): &(&str, &str, Option<f64>)| {
        let person = people.iter().position(|name| name == who).unwrap();
        let is_number = word.parse::<u8>().is_ok();
        let name = if is_number { "sts" } else { "verdict" };
        let mut result =
            json!([{ "from_name": name, "to_name": "tgt", "type": "choices", "value": { "choices": [word] } }]);
        if word.is_empty() {
            result = json!([]);
        }
        json!({
            "id": number * 10 + person, "completed_by": { "id": person + 1, "email": who }, "lead_time": seconds,
            "unique_id": format!("{number} {who} {word}"), "updated_at": "2026-11-21T01:07:50.034431Z",
            "was_cancelled": word.is_empty(), "ground_truth": *who == OWNER, "result": result
        })
    };
    let annotations: Vec<Value> = said.iter().map(annotation).collect();
    json!({ "id": number, "data": { "pair_id": pair, "src_text": "", "tgt_text": "" }, "annotations": annotations })
}

/// Twelve pairs that two people judged: six times both say yes, four times no, twice one says yes and the other no. A
/// gold answer on four of them is Ayna's every time, and Maya's twice.
fn tasks(pairs: &[String]) -> Vec<Value> {
    let mut tasks: Vec<Value> = (0..12)
        .map(|place| {
            let ayna = if place < 8 { "yes" } else { "no" };
            let maya = if place < 6 { "yes" } else { "no" };
            let mut said = vec![(AYNA, ayna, Some(10.0 + place as f64)), (MAYA, maya, None)];
            if (4..8).contains(&place) {
                said.push((OWNER, ayna, Some(1.0)));
            }
            task(place, &pairs[place], &said)
        })
        .collect();
    tasks.push(task(50, &pairs[0], &[(AYNA, "5", Some(9.0)), (MAYA, "4", None)]));
    tasks.push(task(51, &pairs[1], &[(AYNA, "2", Some(9.0)), (MAYA, "2", None)]));
    tasks.push(task(52, &pairs[13], &[(MAYA, "", Some(3.0))]));
    tasks
}

fn person<'a>(found: &'a Value, name: &str) -> &'a Value {
    found["people"].as_array().unwrap().iter().find(|person| person["name"] == name).unwrap()
}

#[test]
fn people_are_told_apart_and_compared() {
    let annotated = Annotated::new(tasks);
    let found = annotated.agreement();
    let (ayna, maya, owner) = (person(&found, AYNA), person(&found, MAYA), person(&found, OWNER));
    // 10 to 21 seconds, and twice 9.
    assert_eq!((&ayna["answers"], &ayna["skipped"], &ayna["untimed"]), (&json!(14), &json!(0), &json!(0)));
    assert_eq!((&ayna["median_seconds"], &ayna["mean_seconds"]), (&json!(14.5), &json!(204.0 / 14.0)));
    assert_eq!((&maya["answers"], &maya["skipped"], &maya["untimed"]), (&json!(14), &json!(1), &json!(14)));
    assert_eq!((&maya["median_seconds"], &owner["answers"]), (&Value::Null, &json!(4)));
    let right = |person: &Value| (person["controls"]["right"].clone(), person["controls"]["of"].clone());
    assert_eq!((right(ayna), right(maya)), ((json!(4), json!(4)), (json!(2), json!(4))));
    assert!(owner["controls"].is_null() && owner["estimated"].is_null());
    assert!(ayna["estimated"].as_f64().unwrap() > maya["estimated"].as_f64().unwrap());

    // Of 24 ratings 14 are yes and 10 no; 4 of 24 coincidences differ; chance gives 2·14·10 / 23.
    let verdicts = &found["questions"][0];
    let alpha = 1.0 - 4.0 * 23.0 / 280.0;
    assert!((verdicts["alpha"].as_f64().unwrap() - alpha).abs() < 1e-12, "{verdicts}");
    assert!(verdicts["low"].as_f64().unwrap() < alpha && alpha < verdicts["high"].as_f64().unwrap(), "{verdicts}");
    assert_eq!((&verdicts["items"], &verdicts["ratings"]), (&json!(12), &json!(24)));
    // 5 and 4, 2 and 2: squares 2 · 1 against all ratings' differences 2 · (1 + 9 + 9 + 4 + 4 + 0) / 3.
    let similarity = found["questions"][1]["alpha"].as_f64().unwrap();
    assert!((similarity - (1.0 - 3.0 * 2.0 / 54.0)).abs() < 1e-12, "{similarity}");
    // Both say yes 8 and 6 of 12 times: by chance one half is equal.
    let couple = &found["couples"][0];
    assert_eq!(
        (&couple["one"], &couple["items"], found["couples"].as_array().unwrap().len()),
        (&json!(AYNA), &json!(12), 1)
    );
    assert!((couple["kappa"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-12, "{couple}");

    let conflicts = found["conflicts"].as_array().unwrap();
    assert_eq!((conflicts.len(), &found["all_conflicts"]), (3, &json!(3)));
    let worst: Vec<&str> = conflicts[..2].iter().map(|conflict| conflict["pair"].as_str().unwrap()).collect();
    assert!(worst.contains(&annotated.pairs[6].as_str()) && worst.contains(&annotated.pairs[7].as_str()), "{worst:?}");
    assert_eq!(conflicts[0]["answers"][0], json!({ "who": AYNA, "answer": "yes", "gold": false }));
    assert_eq!(conflicts[0]["answers"][1], json!({ "who": OWNER, "answer": "yes", "gold": true }));
    assert_eq!(conflicts[2]["interface"], "similarity");
}

#[test]
fn the_command_the_summary_and_the_report_tell_it() {
    let annotated = Annotated::new(tasks);
    let shown = annotated.told(&["agreement", "--conflicts", "1"]);
    for needed in
        [AYNA, "1.000 [0.510, 1.000], 4 of 4", "0.671 [", "3 conflicts; the 1 worst", "owner@example.org (gold)"]
    {
        assert!(shown.contains(needed), "{needed} is missing:\n{shown}");
    }
    let wide: Vec<&str> = shown.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");

    let run = annotated.kopri(&["run", "--no-crawl"]);
    let summary = text(&run.stderr);
    assert!(
        summary.contains("32 answers of 3 annotators, 3 conflicts: kopri agreement\nyes, partly or no: alpha 0.671 ["),
        "{summary}"
    );
    let html = annotated.house.read("w/report/latest.html");
    assert!(html.contains("<h2 id=\"annotators-title\">Annotators</h2>") && html.contains("<b>0.671</b>"));
    assert!(html.contains(">maya<") && html.contains("owner (gold)"));
    assert!(!html.contains("@example.org"), "a page that is passed on names no addresses");
}

#[test]
fn questions_of_the_workspace_are_told_as_people_saw_them() {
    let three = [(AYNA, "yes", None), (MAYA, "yes", None), (BATYR, "yes", None)];
    let annotated = Annotated::new(|pairs| {
        let mut first = task(1, &pairs[0], &three);
        first["data"]["task_id"] = json!("q0000000000000001");
        vec![first]
    });
    // All three are of one mind, so the pair becomes a control item; Batyr answers otherwise now.
    let mix = "annotate.mix={uncertain=0,random=0,stratified=0,disagreement=0,gold=1}";
    let [control] = annotated.asked(&["annotate.budget=1", mix]).try_into().unwrap();
    assert_eq!(control["data"]["pair_id"], annotated.pairs[0]);
    let mut answer = task(2, "", &[(BATYR, "no", None), (AYNA, "yes", None)]);
    answer["data"] = control["data"].clone();
    annotated.import(&[answer]);
    let found = annotated.agreement();
    let right =
        |name: &str| (person(&found, name)["controls"]["right"].clone(), person(&found, name)["answers"].clone());
    assert_eq!((right(BATYR), right(AYNA)), ((json!(0), json!(2)), (json!(1), json!(2))));
    assert!(person(&found, MAYA)["controls"].is_null());
    assert_eq!((&found["questions"][0]["items"], &found["questions"][0]["ratings"]), (&json!(1), &json!(3)));

    // A choice between two: the other candidate is in the question alone.
    let choices = annotated.asked(&["annotate.budget=2", "annotate.interface=\"pairwise\""]);
    let mut answer = task(3, "", &[(AYNA, "yes", None), (MAYA, "yes", None)]);
    for (place, side) in ["left", "right"].into_iter().enumerate() {
        let result = json!([{ "from_name": "better", "type": "pairwise", "value": { "selected": side } }]);
        answer["annotations"][place]["result"] = result;
    }
    let data = &choices[0]["data"];
    answer["data"] = data.clone();
    annotated.import(&[answer]);
    let found = annotated.agreement();
    let conflict = &found["conflicts"][0];
    let own_is_left = data["a_id"] == data["pair_id"];
    let (own, other, who) = if own_is_left { ("cand_a", "cand_b", AYNA) } else { ("cand_b", "cand_a", MAYA) };
    assert_eq!((&conflict["interface"], &conflict["apart"]), (&json!("pairwise"), &json!(1.0)));
    assert_eq!((&conflict["source"], &conflict["target"]), (&data["src_text"], &data[own]));
    assert_eq!(conflict["other"], data[other]);
    assert_eq!(conflict["answers"][0], json!({ "who": who, "answer": "first", "gold": false }));
    let shown = annotated.told(&["agreement"]);
    assert!(shown.contains("  tk second") && !shown.contains("not kept"), "{shown}");
}

#[test]
fn without_annotations_it_says_so() {
    let annotated = Annotated::new(|_| Vec::new());
    let output = annotated.kopri(&["agreement"]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(text(&output.stderr).contains("no annotations yet"), "{}", text(&output.stderr));
    assert_eq!(annotated.told(&["agreement", "--json"]), "null\n");
    annotated.told(&["report"]);
    assert!(!annotated.house.read("w/report/latest.html").contains("annotators-title"));
}
