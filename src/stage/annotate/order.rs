//! Exports of one project in any order, backups among them, come to what the project holds in the end.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{read, store};
use super::*;
use crate::record::{PairId, Strategy as Choice, Task, TaskId};

/// An annotation on the server.
#[derive(Debug, Clone, PartialEq)]
struct There {
    number: i64,
    answer: &'static str,
    gold: bool,
    minute: usize,
}

/// What the server holds: annotations by person and task.
type State = BTreeMap<(usize, usize), There>;

/// Who does what to which task.
type Step = (usize, usize, usize);

const ANSWERS: [&str; 4] = ["yes", "partly", "no", ""];

/// The states after each step.
fn states(steps: &[Step]) -> Vec<State> {
    let (mut state, mut states, mut next) = (State::new(), Vec::new(), 100);
    for (minute, (who, task, action)) in steps.iter().enumerate() {
        match (*action, state.get_mut(&(*who, *task))) {
            (4, _) => drop(state.remove(&(*who, *task))),
            (5, Some(there)) => {
                there.gold = !there.gold;
                there.minute = minute;
            }
            (5, None) => {}
            (answer, Some(there)) => (there.answer, there.minute) = (ANSWERS[answer], minute),
            (answer, None) => {
                next += 1;
                state.insert((*who, *task), There { number: next, answer: ANSWERS[answer], gold: false, minute });
            }
        }
        states.push(state.clone());
    }
    states
}

fn time(minute: usize) -> String {
    format!("2026-11-21T01:{minute:02}:00.000000Z")
}

fn data(task: usize) -> Value {
    let pair = PairId(70 + i64::try_from(task).unwrap());
    let id = TaskId(50 + i64::try_from(task).unwrap());
    json!({ "pair_id": pair, "task_id": id, "src_text": "a", "tgt_text": "b", "batch": "b0" })
}

/// The project as a file: whole, as a listing has it (people by number, no ids), or JSON_MIN.
fn export(state: &State, format: usize) -> Value {
    if format == 2 {
        let rows = state.iter().filter(|(_, there)| !there.answer.is_empty()).map(|((who, task), there)| {
            let mut row = data(*task);
            let more = json!({ "id": 10 + task, "annotation_id": there.number, "annotator": 1 + who,
                "verdict": there.answer, "updated_at": time(there.minute), "created_at": time(0) });
            row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            row
        });
        return rows.collect();
    }
    let tasks = (0..3).map(|task| {
        let of = state.iter().filter(|((_, own), _)| *own == task);
        let annotations: Vec<Value> = of
            .map(|((who, _), there)| {
                let result =
                    json!([{ "from_name": "verdict", "type": "choices", "value": { "choices": [there.answer] } }]);
                let mut annotation = json!({
                    "id": there.number, "completed_by": 1 + who, "was_cancelled": there.answer.is_empty(),
                    "ground_truth": there.gold, "updated_at": time(there.minute), "result": result,
                });
                if format == 0 {
                    annotation["unique_id"] = json!(format!("u-{}", there.number));
                    annotation["completed_by"] = json!({ "id": 1 + who, "email": format!("person{who}@example.org") });
                }
                annotation
            })
            .collect();
        json!({ "id": 10 + task, "data": data(task), "annotations": annotations })
    });
    tasks.collect()
}

/// What the store says: person, pair, answer, gold, time and id of each annotation.
fn kept(store: &Store) -> Vec<(String, i64, String, bool, String, String)> {
    let mut kept = Vec::new();
    store
        .for_each_annotation(None, |one| {
            let at = one.updated_at.map(|at| format!("{at:.6}")).unwrap_or_default();
            kept.push((
                one.annotator,
                one.pair.0,
                one.verdict.unwrap_or_default(),
                one.ground_truth,
                at,
                one.external_id,
            ));
            Ok(())
        })
        .unwrap();
    kept.sort();
    kept
}

fn expected(state: &State) -> Vec<(String, i64, String, bool, String, String)> {
    let mut expected: Vec<_> = state
        .iter()
        .map(|((who, task), there)| {
            let pair = 70 + i64::try_from(*task).unwrap();
            let id = format!("u-{}", there.number);
            (format!("person{who}@example.org"), pair, there.answer.to_owned(), there.gold, time(there.minute), id)
        })
        .collect();
    expected.sort();
    expected
}

/// The tasks, and the project that they were pushed to.
fn push(store: &mut Store) -> i64 {
    let tasks: Vec<Task> = (0..3)
        .map(|task| Task {
            id: TaskId(50 + task),
            interface: Interface::Translation,
            pair: PairId(70 + task),
            other: None,
            strategy: Choice::Random,
            control: None,
            body: json!({}),
        })
        .collect();
    let writer = store.writer().unwrap();
    writer.put_tasks("ru-tk", &tasks, jiff::Timestamp::UNIX_EPOCH).unwrap();
    let project = writer.put_project("http://a.test", 1, "title", "translation").unwrap();
    for task in 0..3 {
        writer.set_placed(project, TaskId(50 + task), "b0", 10 + task).unwrap();
    }
    writer.commit().unwrap();
    project
}

/// A pull of the project as it is in the end.
fn pull(store: &mut Store, project: i64, state: &State) {
    let writer = store.writer().unwrap();
    for task in 0..3 {
        let of = state.iter().filter(|((_, own), _)| *own == task);
        let numbers: Vec<i64> = of.map(|(_, there)| there.number).collect();
        let id = TaskId(50 + i64::try_from(task).unwrap());
        writer.put_listing(project, id, time(59).parse().ok(), &numbers).unwrap();
    }
    let mut intake = Intake::of_project(&writer, project).unwrap();
    for task in export(state, 1).as_array().unwrap() {
        intake.task(task.clone()).unwrap();
    }
    intake.finish(Repairs::default());
    writer.commit().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn files_in_any_order_come_to_the_same(
        steps in proptest::collection::vec((0_usize..2, 0_usize..3, 0_usize..6), 1..12),
        order in Just((0..13_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let states = states(&steps);
        let last = states.last().unwrap();
        let (_folder, mut store) = store();
        let project = push(&mut store);
        // Everything that was ever there is exported once as a whole, so that ids and names are known in the end.
        let files = states.iter().flat_map(|state| [export(state, 0), export(state, 1), export(state, 2)]);
        let files: Vec<Value> = files.collect();
        let mut at: Vec<(usize, Option<&Value>)> =
            files.iter().enumerate().map(|(place, file)| (order[place % 13] * 100 + place % 7, Some(file))).collect();
        at.push((order[12] * 100 + 50, None));
        at.sort_by_key(|(key, _)| *key);
        for (_, file) in at {
            match file {
                Some(file) => prop_assert_eq!(read(&mut store, &file.to_string()).unwrap().problems(), 0),
                None => pull(&mut store, project, last),
            }
        }
        prop_assert_eq!(kept(&store), expected(last));
    }
}

#[test]
fn the_later_of_two_versions_stays() {
    let (_folder, mut store) = store();
    let version = |minute: Option<usize>, answer: &str| {
        let mut task = json!({ "id": 1, "data": data(0), "annotations": [{
            "id": 5, "completed_by": 1, "unique_id": "u",
            "result": [{ "from_name": "verdict", "type": "choices", "value": { "choices": [answer] } }],
        }] });
        if let Some(minute) = minute {
            task["annotations"][0]["updated_at"] = json!(time(minute));
        }
        json!([task]).to_string()
    };
    let mut verdict = |minute, answer| {
        let tally = read(&mut store, &version(minute, answer)).unwrap();
        (store.annotations(PairId(70)).unwrap()[0].verdict.clone().unwrap(), tally.changed, tally.older)
    };
    assert_eq!(verdict(None, "no"), ("no".into(), 0, 0));
    assert_eq!(verdict(Some(5), "yes"), ("yes".into(), 1, 0));
    assert_eq!(verdict(Some(4), "no"), ("yes".into(), 0, 1));
    assert_eq!(verdict(None, "partly"), ("yes".into(), 0, 1));
    assert_eq!(verdict(Some(6), "partly"), ("partly".into(), 1, 0));
    // Of the same moment: the same one, whichever was read first.
    assert_eq!(verdict(Some(6), "no"), ("partly".into(), 0, 0));
    assert_eq!(verdict(Some(6), "yes"), ("yes".into(), 1, 0));
}

#[test]
fn servers_that_number_alike_keep_their_own_answers() {
    let (_folder, mut store) = store();
    let writer = store.writer().unwrap();
    let projects =
        ["http://a.test", "http://b.test"].map(|server| writer.put_project(server, 1, "title", "translation").unwrap());
    for (project, answer) in projects.into_iter().zip(["yes", "no"]) {
        let mut intake = Intake::of_project(&writer, project).unwrap();
        let state = State::from([((0, 0), There { number: 9, answer, gold: false, minute: 1 })]);
        for task in export(&state, 1).as_array().unwrap() {
            intake.task(task.clone()).unwrap();
        }
        assert_eq!(intake.finish(Repairs::default()).new, 1);
    }
    writer.commit().unwrap();
    let verdicts: Vec<_> = store.annotations(PairId(70)).unwrap().into_iter().map(|one| one.verdict.unwrap()).collect();
    assert_eq!(verdicts.len(), 2, "{verdicts:?}");
}
