//! Tests of folders read and written.

use super::*;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn the_form_of_older_releases() {
    let folder = golden("bert-cls-dense");
    let model = ModelFolder::read(&folder).unwrap();
    assert_eq!(model.pooling, Pooling { modes: vec![PoolingMode::Cls], include_prompt: true });
    assert_eq!(model.max_seq_length, Some(24));
    let dense = HeadModule::Dense(Dense {
        folder: folder.join("2_Dense"),
        in_features: 32,
        out_features: 24,
        bias: true,
        activation: "Tanh".to_owned(),
    });
    assert_eq!(model.head, [dense, HeadModule::Normalize]);
    assert_eq!(model.default_prompt().unwrap(), "");
}

#[test]
fn the_form_of_release_6() {
    let model = ModelFolder::read(&golden("xlmr-mean")).unwrap();
    assert_eq!(model.pooling, Pooling { modes: vec![PoolingMode::Mean], include_prompt: true });
    assert_eq!(model.max_seq_length, Some(40), "from tokenizer_config.json");
    assert_eq!(model.head, []);
    assert_eq!(model.prompts["passage"], "passage: ");
    assert_eq!(model.default_prompt().unwrap(), "query: ");
}

/// A folder of the files that decide, for tests of what they say.
fn folder(modules: &[&str], pooling: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let entries: Vec<_> = modules
        .iter()
        .map(|name| {
            let path = if *name == "Pooling" { "1_Pooling" } else { "" };
            serde_json::json!({"path": path, "type": format!("x.y.{name}")})
        })
        .collect();
    std::fs::write(folder.path().join("modules.json"), Value::Array(entries).to_string()).unwrap();
    std::fs::create_dir(folder.path().join("1_Pooling")).unwrap();
    std::fs::write(folder.path().join("1_Pooling/config.json"), pooling).unwrap();
    folder
}

#[test]
fn several_poolings_join_in_the_order_of_the_list_or_of_the_library() {
    let new =
        folder(&["Transformer", "Pooling"], r#"{"pooling_mode": ["mean", "lasttoken"], "include_prompt": false}"#);
    let pooling = ModelFolder::read(new.path()).unwrap().pooling;
    assert_eq!(pooling, Pooling { modes: vec![PoolingMode::Mean, PoolingMode::LastToken], include_prompt: false });
    let old =
        folder(&["Transformer", "Pooling"], r#"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}"#);
    assert_eq!(ModelFolder::read(old.path()).unwrap().pooling.modes, [PoolingMode::Cls, PoolingMode::Mean]);
}

#[test]
fn what_cannot_be_followed_is_named() {
    let error = |modules: &[&str], pooling: &str| {
        let error = ModelFolder::read(folder(modules, pooling).path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        error.to_string()
    };
    let message = error(&["Transformer", "Pooling", "LSTM"], r#"{"pooling_mode": "mean"}"#);
    assert!(message.contains("Transformer, Pooling, LSTM; supported are"), "{message}");
    assert!(error(&["StaticEmbedding"], "{}").contains("lists the modules StaticEmbedding"));
    assert!(error(&["Transformer", "Pooling"], r#"{"pooling_mode": "median"}"#).contains("median"));
    assert!(error(&["Transformer", "Pooling"], "{}").contains("names no way of pooling"));
    assert!(error(&["Transformer", "Pooling"], "{").contains("1_Pooling/config.json"));
    let empty = tempfile::tempdir().unwrap();
    assert!(ModelFolder::read(empty.path()).unwrap_err().to_string().contains("has no modules.json"));
}

#[test]
fn a_huge_tokenizer_limit_is_none() {
    assert_eq!(token_limit(Some(&serde_json::from_str("1000000000000000019884624838656").unwrap())), None);
    assert_eq!(token_limit(Some(&Value::from(512))), Some(512));
    assert_eq!(token_limit(None), None);
}

#[test]
fn a_plain_folder_needs_a_pooling() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"model_max_length": 512}"#).unwrap();
    let message = ModelFolder::read(folder.path()).unwrap_err().to_string();
    assert!(message.contains("embed.pooling = \"mean\"") && message.contains("a model of transformers"), "{message}");
    let opening = Opening { pooling: Some(PoolingMode::Mean), normalize: true, base: None };
    let model = ModelFolder::open(folder.path(), &opening).unwrap();
    assert_eq!((model.pooling.modes.as_slice(), model.max_seq_length), (&[PoolingMode::Mean][..], Some(512)));
    assert_eq!(model.head, [HeadModule::Normalize]);
    let message = ModelFolder::open(&golden("bert-cls-dense"), &opening).unwrap_err().to_string();
    assert!(message.contains("the pooling is cls, and mean is asked for"), "{message}");
    assert!("median".parse::<PoolingMode>().unwrap_err().contains("cls, max, mean"));
}

#[test]
fn an_adapter_has_the_form_of_its_base() {
    let model = ModelFolder::read(&golden("bert-lora")).unwrap();
    let base = ModelFolder::read(&golden("bert-cls-dense")).unwrap();
    assert_eq!(model.adapter, Some(golden("bert-lora")));
    assert_eq!(model.transformer.canonicalize().unwrap(), base.transformer.canonicalize().unwrap());
    assert_eq!((model.pooling, model.max_seq_length, model.prompts), (base.pooling, base.max_seq_length, base.prompts));
}

#[test]
fn what_is_written_is_read_again() {
    for name in ["bert-cls-dense", "xlmr-mean"] {
        let target = tempfile::tempdir().unwrap();
        let before = ModelFolder::read(&golden(name)).unwrap();
        let written = before.write(target.path(), 32).unwrap();
        let after = ModelFolder::read(target.path()).unwrap();
        assert_eq!(after.transformer, written.transformer.join(""));
        let (before_head, after_head) = (before.head.iter(), after.head.iter());
        for (before, after) in before_head.zip(after_head) {
            if let (HeadModule::Dense(before), HeadModule::Dense(after)) = (before, after) {
                assert_eq!(after.folder, written.dense[0]);
                let moved = Dense { folder: before.folder.clone(), ..after.clone() };
                assert_eq!(*before, moved);
            }
        }
        let same = |model: &ModelFolder| {
            let head: Vec<bool> = model.head.iter().map(|module| *module == HeadModule::Normalize).collect();
            let length = model.max_seq_length;
            (head, length, model.pooling.clone(), model.prompts.clone(), model.default_prompt_name.clone())
        };
        assert_eq!(same(&after), same(&before), "{name}");
        let types = std::fs::read_to_string(target.path().join("modules.json")).unwrap();
        assert!(types.contains("sentence_transformers.models.Pooling"), "{types}");
        assert!(target.path().join("tokenizer.json").is_file());
    }
}
