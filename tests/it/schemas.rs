//! What lies in `schemas/` is what the types say.

use std::path::Path;

fn is_up_to_date(schema: &schemars::Schema, name: &str) {
    let generated = serde_json::to_string_pretty(schema).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    if std::env::var_os("KOPRI_WRITE_SCHEMAS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "schemas/{name} is stale: run the tests once with KOPRI_WRITE_SCHEMAS=1");
}

#[test]
fn the_schemas_of_what_we_write_are_up_to_date() {
    is_up_to_date(&schemars::schema_for!(kopri::stage::formats::PairLine), "pair.schema.json");
    is_up_to_date(&schemars::schema_for!(kopri::stage::dataset::Example), "example.schema.json");
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
