//! What lies in `schemas/` is what the types say.

use std::path::Path;

#[test]
fn the_schema_of_exported_pairs_is_up_to_date() {
    let schema = schemars::schema_for!(kopri::stage::formats::PairLine);
    let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/pair.schema.json");
    if std::env::var_os("KOPRI_WRITE_SCHEMAS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "schemas/pair.schema.json is stale: run the tests once with KOPRI_WRITE_SCHEMAS=1");
}

/// Label Studio shows a prediction only where the labelling interface has its control.
#[test]
fn the_labelling_interface_has_what_tasks_and_annotations_name() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/label-studio-pairs.xml");
    let xml = std::fs::read_to_string(path).unwrap();
    for needed in [
        "name=\"verdict\" toName=\"tgt\"",
        "name=\"problems\" toName=\"tgt\"",
        "name=\"src_fix\" toName=\"src\"",
        "name=\"tgt_fix\" toName=\"tgt\"",
        "value=\"$src_text\"",
        "value=\"$tgt_text\"",
        "value=\"yes\"",
        "value=\"partly\"",
        "value=\"no\"",
    ] {
        assert!(xml.contains(needed), "{needed} is missing");
    }
}
