//! Exports as Label Studio 1.23.2 writes them, and what they come to in a store.

use super::*;
use crate::store::open::Access;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Access::Write).unwrap();
    (folder, store)
}

fn read(store: &mut Store, json: &str) -> Result<Tally> {
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
