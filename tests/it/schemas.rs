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

/// Whoever pastes a configuration into Label Studio must find every interface in the folder.
#[test]
fn every_labelling_configuration_in_the_folder_ships_and_serves() {
    use kopri::record::Interface;
    use kopri::stage::interface::{LabelConfig, config};

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/label-studio");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), Interface::ALL.len());
    for interface in Interface::ALL {
        let xml = std::fs::read_to_string(folder.join(format!("{}.xml", interface.name()))).unwrap();
        assert_eq!(xml, config(interface));
        LabelConfig::parse(&xml).unwrap().serves(interface).unwrap();
    }
}
