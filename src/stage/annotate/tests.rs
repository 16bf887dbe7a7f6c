//! Exports as Label Studio 1.23.2 writes them, and what they come to in a store.

use super::*;
use crate::error::ErrorKind;
use crate::record::{PairId, TaskId};
use crate::store::open::Access;

pub(super) fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Access::Write).unwrap();
    (folder, store)
}

pub(super) fn read(store: &mut Store, json: &str) -> Result<Tally> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json).unwrap();
    read_label_studio(store, file.path())
}

fn only(store: &Store) -> Annotation {
    let mut all = store.annotations(PairId(7)).unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

const WHOLE: &str = r#"[{"id":3,"data":{"pair_id":"p0000000000000007","task_id":"q0000000000000009","src_text":"Зелёный.","tgt_text":"Ýaşyl"},
  "new_field":1,"drafts":[{"id":4}],"annotations":[
   {"id":9,"completed_by":{"id":2,"email":"ayna@example.org"},"was_cancelled":false,"ground_truth":true,"lead_time":12.5,
    "updated_at":"2026-11-21T01:07:50.034431Z","unique_id":"u-1","result":[
     {"from_name":"verdict","to_name":"tgt","type":"choices","value":{"choices":["partly"]}},
     {"from_name":"problems","to_name":"tgt","type":"choices","value":{"choices":["omission","addition"]}},
     {"from_name":"sts","to_name":"tgt","type":"rating","value":{"rating":3}},
     {"from_name":"src_fix","to_name":"src","type":"textarea","value":{"text":["Зелёный. "]}},
     {"from_name":"tgt_fix","to_name":"tgt","type":"textarea","value":{"text":["Ýaşyl reňk."]}}]}]}]"#;

#[test]
fn an_annotation_with_everything() {
    let (_folder, mut store) = store();
    let tally = read(&mut store, WHOLE).unwrap();
    assert_eq!((tally.new, tally.drafts, tally.unknown, tally.problems()), (1, 1, 1, 0));
    let annotation = only(&store);
    assert_eq!(
        (annotation.annotator.as_str(), annotation.verdict.as_deref(), annotation.sts),
        ("ayna@example.org", Some("partly"), Some(3))
    );
    assert_eq!((annotation.problems.len(), annotation.ground_truth, annotation.task), (2, true, Some(TaskId(9))));
    assert_eq!(annotation.target_fix.as_deref(), Some("Ýaşyl reňk."));
    assert_eq!(annotation.source_fix, None, "the text as it was is no correction");
}

#[test]
fn the_same_export_changes_nothing_and_a_later_edit_does() {
    let (_folder, mut store) = store();
    read(&mut store, WHOLE).unwrap();
    let again = read(&mut store, WHOLE).unwrap();
    assert_eq!((again.new, again.changed, again.unchanged), (0, 0, 1));
    let edited = read(&mut store, &WHOLE.replace("partly", "yes").replace("01:07:50", "02:00:00")).unwrap();
    assert_eq!((edited.new, edited.changed, edited.unchanged), (0, 1, 0));
    assert_eq!(only(&store).verdict.as_deref(), Some("yes"));
}

#[test]
fn a_number_gets_its_name_and_keeps_it() {
    let (_folder, mut store) = store();
    let numbered = WHOLE.replace(r#"{"id":2,"email":"ayna@example.org"}"#, "2");
    read(&mut store, &numbered).unwrap();
    assert_eq!(only(&store).annotator, "user 2");
    read(&mut store, WHOLE).unwrap();
    assert_eq!(only(&store).annotator, "ayna@example.org");
    let back = read(&mut store, &numbered).unwrap();
    assert_eq!((only(&store).annotator.as_str(), back.changed), ("ayna@example.org", 0));
    let other = WHOLE.replace("ayna@", "maya@").replace("u-1", "u-2");
    let clash = read(&mut store, &other).unwrap();
    assert!(clash.left_out[0].contains("maya@example.org of user 2, who is ayna@example.org"), "{:?}", clash.left_out);
    assert_eq!(clash.new, 1, "the answer itself is kept");
}

#[test]
fn json_min_meets_json() {
    let (_folder, mut store) = store();
    let row = r#"[{"pair_id":"p0000000000000007","task_id":"q0000000000000009","src_text":"Зелёный.","tgt_text":"Ýaşyl","id":3,
      "verdict":"partly","problems":{"choices":["omission","addition"]},"sts":[{"rating":3}],"src_fix":"Зелёный.",
      "tgt_fix":{"text":["Ýaşyl","reňk."]},"annotator":2,"annotation_id":9,"created_at":"2026-11-21T01:07:49Z",
      "updated_at":"2026-11-21T01:07:50.034431Z","lead_time":12.5}]"#;
    read(&mut store, row).unwrap();
    let lone = only(&store);
    assert_eq!(
        (lone.verdict.as_deref(), lone.sts, lone.target_fix.as_deref()),
        (Some("partly"), Some(3), Some("Ýaşyl reňk."))
    );
    assert_eq!((lone.problems.len(), lone.source_fix, lone.ground_truth), (2, None, false));
    // The whole export names the same annotation by an id of its own.
    let tally = read(&mut store, WHOLE).unwrap();
    assert_eq!((tally.new, tally.changed), (0, 1));
    assert!(only(&store).ground_truth);
    assert_eq!(only(&store).external_id, "u-1");
    read(&mut store, row).unwrap();
    assert_eq!(only(&store).external_id, "u-1", "and still is one");
}

#[test]
fn one_wrong_task_does_not_lose_the_others() {
    let (_folder, mut store) = store();
    let tally = read(
        &mut store,
        r#"[{"id":1,"data":{},"annotations":[{"id":1,"completed_by":1}]},
            {"id":2,"data":{"pair_id":"p0000000000000007"},"annotations":[
              {"id":5,"completed_by":1,"result":[{"from_name":"verdict","value":{"choices":["maybe"]}}]},
              {"id":7,"completed_by":null,"result":[]},
              {"id":6,"completed_by":1,"was_cancelled":true,"result":[]}]},
            {"nonsense":true}]"#,
    )
    .unwrap();
    assert_eq!((tally.new, tally.skipped, tally.problems()), (1, 1, 4), "{:?}", tally.left_out);
    let lone = only(&store);
    assert!(lone.skipped && lone.verdict.is_none());
    assert!(tally.left_out[0].contains("task 1: it has no data.pair_id"), "{:?}", tally.left_out);
}

#[test]
fn a_choice_between_two_names_the_pair_that_was_chosen() {
    let (_folder, mut store) = store();
    let chosen = |side: &str| {
        format!(
            r#"[{{"id":1,"data":{{"pair_id":"p0000000000000007","a_id":"p0000000000000008","b_id":"p0000000000000007"}},"annotations":[
                {{"id":5,"completed_by":1,"unique_id":"x","result":[{{"from_name":"better","to_name":"better","type":"pairwise","value":{{"selected":"{side}"}}}},
                 {{"from_name":"tie","value":{{"choices":["both_right"]}}}}]}}]}}]"#
        )
    };
    read(&mut store, &chosen("left")).unwrap();
    assert_eq!((only(&store).preferred, only(&store).problems), (Some(PairId(8)), vec!["both_right".to_owned()]));
    read(&mut store, &chosen("right")).unwrap();
    assert_eq!(only(&store).preferred, Some(PairId(7)));
    assert_eq!(read(&mut store, &chosen("middle")).unwrap().problems(), 1);
}

#[test]
fn gold_that_was_imported_is_an_ordinary_answer() {
    let (_folder, mut store) = store();
    read(&mut store, &WHOLE.replace("\"unique_id\"", "\"import_id\":3,\"unique_id\"")).unwrap();
    assert!(!only(&store).ground_truth);
}

#[test]
fn another_kind_of_file_is_refused_and_a_torn_one_leaves_nothing() {
    let (_folder, mut store) = store();
    let error = read(&mut store, "a,b\n1,2").unwrap_err();
    assert!(error.kind() == ErrorKind::Input && error.to_string().contains("JSON_MIN"), "{error}");
    let torn = &WHOLE[..WHOLE.len() - 1];
    assert!(read(&mut store, torn).is_err());
    assert!(store.annotations(PairId(7)).unwrap().is_empty());
    assert!(read(&mut store, &format!("{WHOLE} []")).is_err(), "something after the array");
}

/// One task with these annotations.
fn tasks(annotations: &[serde_json::Value]) -> String {
    let data = serde_json::json!({ "pair_id": "p0000000000000007", "src_text": "a", "tgt_text": "b" });
    serde_json::json!([{ "id": 3, "data": data, "annotations": annotations }]).to_string()
}

fn annotation(id: i64, results: &[(&str, serde_json::Value)]) -> serde_json::Value {
    let result: Vec<_> = results
        .iter()
        .map(|(name, value)| serde_json::json!({ "from_name": name, "type": "choices", "value": value }))
        .collect();
    serde_json::json!({ "id": id, "completed_by": id, "result": result })
}

#[test]
fn results_in_another_form_are_refused_by_name_and_count_for_nothing() {
    use serde_json::json;
    let cases = [
        (
            vec![("quality", json!({ "choices": ["yes"] }))],
            "'sts' and 'better' are missing; the results are under 'quality'",
        ),
        (vec![("quality", json!({ "choices": ["yes"] })), ("tgt_fix", json!({ "text": ["c"] }))], "under 'quality'"),
        (
            vec![("verdict", json!({ "choices": ["yes", "no"] }))],
            "control 'verdict' holds 2 choices (yes, no), expected one",
        ),
        (
            vec![("verdict", json!({ "choices": ["yes"] })), ("verdict", json!({ "choices": ["no"] }))],
            "2 choices (yes, no)",
        ),
        (vec![("verdict", json!({ "choices": "yes" }))], "the choices of control 'verdict' are the text \"yes\""),
        (vec![("verdict", json!({ "labels": ["yes"] }))], "control 'verdict' has no choices (its value has labels)"),
        (vec![("verdict", json!({ "choices": [] }))], "control 'verdict' holds no choice"),
        (vec![("verdict", json!({ "choices": ["maybe"] }))], "the verdict \"maybe\" is none of"),
        (vec![("sts", json!({ "choices": ["good"] }))], "\"good\" of control 'sts' is not a whole number"),
        (vec![("sts", json!({ "rating": 2.5 }))], "\"2.5\" of control 'sts'"),
        (vec![("better", json!({ "choices": ["left"] }))], "control 'better' selects nothing"),
        (
            vec![("verdict", json!({ "choices": ["yes"] })), ("problems", json!({ "choices": [1] }))],
            "control 'problems' holds 1",
        ),
        (
            vec![("verdict", json!({ "choices": ["yes"] })), ("src_fix", json!({ "text": 7 }))],
            "the text of control 'src_fix' is 7",
        ),
    ];
    for (results, why) in cases {
        let (_folder, mut store) = store();
        let sound = annotation(9, &[("verdict", json!({ "choices": ["no"] })), ("remark", json!({ "text": ["own"] }))]);
        let tally = read(&mut store, &tasks(&[annotation(1, &results), sound])).unwrap();
        assert_eq!((tally.unreadable, tally.problems(), tally.new), (1, 1, 1), "{tally:?}");
        assert!(
            tally.left_out[0].starts_with("task 3, annotation 1: ") && tally.left_out[0].contains(why),
            "{tally:?}"
        );
        assert_eq!(only(&store).verdict.as_deref(), Some("no"));
    }
    // Passed by, or nothing chosen: that is no answer in another form.
    let (_folder, mut store) = store();
    let mut skipped = annotation(1, &[("verdict", json!({ "choices": ["yes", "no"] }))]);
    skipped["was_cancelled"] = json!(true);
    let tally = read(&mut store, &tasks(&[skipped, annotation(2, &[])])).unwrap();
    assert_eq!((tally.unreadable, tally.problems(), tally.new), (0, 0, 2), "{tally:?}");
}

#[test]
fn a_renamed_control_is_found_in_json_min_too() {
    let (_folder, mut store) = store();
    let row = |control: &str, id: i64| {
        format!(
            r#"{{"pair_id":"p0000000000000007","src_text":"a","tgt_text":"b","id":3,{control},"annotator":{id},"annotation_id":{id}}}"#
        )
    };
    let rows = [
        row(r#""quality":"yes""#, 1),
        row(r#""verdict":{"choices":["yes","no"]}"#, 2),
        row(r#""verdict":"yes""#, 3),
        row(r#""verdict":"yes","quality":"good""#, 4),
    ];
    let tally = read(&mut store, &format!("[{}]", rows.join(","))).unwrap();
    assert_eq!((tally.unreadable, tally.new), (2, 2), "{tally:?}");
    assert!(tally.left_out[0].contains("row 1, task 3: the controls") && tally.left_out[0].contains("under 'quality'"));
    assert!(tally.left_out[1].contains("holds 2 choices"), "{tally:?}");
}

#[test]
fn what_programs_write_beside_the_standard_costs_no_answers() {
    for (from, to, replaced) in [
        ("[{\"id\":3", "\u{feff}[{\"id\":3", 0),
        ("Зелёный.\",", "Зелёный\\ud83d.\",", 1),
        ("\"new_field\":1", "\"new_field\":\"\\udc00\\udc00\"", 2),
        ("\"lead_time\":12.5", "\"lead_time\":NaN", 0),
        ("\"new_field\":1", "\"new_field\":[-Infinity,Infinity]", 0),
    ] {
        let (_folder, mut store) = store();
        let tally = read(&mut store, &WHOLE.replacen(from, to, 1)).unwrap();
        assert_eq!((tally.new, tally.problems(), tally.replaced), (1, 0, replaced), "{to}");
        let is_timed = !to.contains("NaN");
        assert_eq!(only(&store).lead_time.is_some(), is_timed, "{to}");
    }
    let (_folder, mut store) = store();
    let line = WHOLE.replace('\n', " ");
    let lines = format!("{}\n{{\"id\":4}}\n", &line[1..line.len() - 1]);
    let tally = read(&mut store, &lines).unwrap();
    assert_eq!((tally.tasks, tally.new, tally.problems()), (2, 1, 0), "JSON lines");
}

#[test]
fn an_error_names_what_is_wrong_with_the_file() {
    let (_folder, mut store) = store();
    let utf16: Vec<u8> = std::iter::once(0xfeff).chain("[]".encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for (bytes, what) in [
        (&b"id,verdict\n1,yes\n"[..], "it is a table (CSV or TSV)"),
        (utf16.as_slice(), "it is UTF-16"),
        (b" <!doctype html>", "HTML or XML"),
        (b"PK\x03\x04", "compressed"),
        (b"", "it is empty"),
        (b"nothing", "it begins with \"nothing\""),
        (b"[{\"id\":1},", "the file breaks off"),
        (b"[{\"id\":1},,]", "at line 1 column 11"),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let error = read_label_studio(&mut store, file.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        let (error, path) = (error.to_string(), file.path().display().to_string());
        assert!(error.contains(what) && error.contains(&path), "{error}");
        assert_eq!(error.contains("CSV"), what.contains("CSV"), "{error}");
    }
}

#[test]
fn one_annotation_with_nulls_does_not_lose_the_others() {
    let (_folder, mut store) = store();
    let json = r#"[{"id":1,"data":{"pair_id":"p0000000000000007"},"drafts":null,"annotations":[
        {"id":5,"completed_by":1,"result":null,"was_cancelled":null,"ground_truth":null},
        {"id":null,"completed_by":1},
        {"id":6,"completed_by":2,"result":[{"from_name":"verdict","value":{"choices":["yes"]}}]}]},
        {"id":2,"data":{},"completions":[{"id":1}]}]"#;
    let tally = read(&mut store, json).unwrap();
    assert_eq!((tally.new, tally.unreadable, tally.problems()), (2, 1, 2), "{tally:?}");
    assert!(tally.left_out[0].starts_with("task 1, annotation number 2: "), "{tally:?}");
    assert!(tally.left_out[1].contains("before 1.0"), "{tally:?}");
}
