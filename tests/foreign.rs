//! Classifiers of other makers: directories as transformers saves them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by panicking")]

use std::{fs, path::Path};

use dignity::{
    Classifier, ClassifierBuilder, Decision, EngineKind, OutputActivation, Policy, Precision, Role,
    Roles, Scores, TextView,
};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

fn fixture(family: &str) -> String {
    format!("{}/tests/fixtures/families/{family}", env!("CARGO_MANIFEST_DIR"))
}

/// A copy of a family's tiny model, less its weights if so wished.
fn copy(family: &str, weights: bool) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        if weights || name != "model.safetensors" {
            let from = Path::new(&fixture(family)).join(name);
            fs::copy(from, directory.path().join(name)).unwrap();
        }
    }
    directory
}

/// Changes a JSON file of a model.
fn change(directory: &TempDir, file: &str, change: impl Fn(&mut Value)) {
    let path = directory.path().join(file);
    let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

fn in_f32(model: impl AsRef<Path>) -> ClassifierBuilder {
    Classifier::builder().model(model.as_ref()).precision(Precision::F32).threads(2)
}

fn error(model: &TempDir) -> String {
    in_f32(model).build().unwrap_err().to_string()
}

const TEXTS: [&str; 3] = ["Bread and rain.", "no", "The old man went to the city again and again."];

fn labels(scores: &[Scores]) -> Vec<Vec<f32>> {
    scores.iter().map(|scores| scores.probabilities.labels.to_vec()).collect()
}

#[test]
fn labels_go_by_their_names_and_probabilities_are_those_of_transformers() {
    for family in ["bert", "roberta", "deberta-v3", "modernbert"] {
        let classifier = in_f32(fixture(family)).build().unwrap();
        let softmax = family == "roberta";
        let activation = classifier.labels().activation();
        assert_eq!(activation == OutputActivation::Softmax, softmax);
        assert!(classifier.labels().names().eq(["neutral", "identity_hate", "insult"]));
        assert_eq!(classifier.model_name(), family);
        assert!(classifier.policy().is_none());

        let golden = fs::read(format!("{}/golden.json", fixture(family))).unwrap();
        let golden: Vec<Value> = serde_json::from_slice(&golden).unwrap();
        let texts: Vec<_> = golden.iter().map(|row| row["text"].as_str().unwrap()).collect();
        for (scores, row) in classifier.score(&texts).unwrap().iter().zip(&golden) {
            // A normalized view is not what transformers reads; of a text with an emoji that the
            // vocabulary lacks there is nothing else.
            let [window, ..] = scores.windows.as_slice() else { panic!("{}", row["text"]) };
            if window.view == TextView::Normalized {
                assert!(!row["text"].as_str().unwrap().is_ascii(), "{}", row["text"]);
                continue;
            }
            let raw = &window.probabilities.labels;
            for (ours, theirs) in raw.iter().zip(row["probabilities"].as_array().unwrap()) {
                let apart = (f64::from(*ours) - theirs.as_f64().unwrap()).abs();
                assert!(apart < 1e-4, "{family}: {apart} apart, {}", row["text"]);
            }
            assert_eq!(scores.dehumanization(), 0.0);
        }
    }
}

#[test]
fn engines_agree_and_the_packed_one_tells_what_it_cannot() {
    for family in ["bert", "distilbert", "electra", "roberta", "xlm-roberta"] {
        let packed = in_f32(fixture(family)).build().unwrap();
        assert_eq!(packed.engine(), EngineKind::Packed);
        let candle = in_f32(fixture(family)).engine(EngineKind::Candle).build().unwrap();
        let all = [packed, candle].map(|c| labels(&c.score(&TEXTS).unwrap()));
        for (a, b) in all[0].concat().into_iter().zip(all[1].concat()) {
            assert!((a - b).abs() < 1e-5, "{family}: {a} and {b}");
        }
    }
    for (family, name) in [("deberta-v2", "DeBERTa"), ("modernbert", "ModernBERT")] {
        let builder = || in_f32(fixture(family));
        assert_eq!(builder().build().unwrap().engine(), EngineKind::Candle);
        let error = builder().engine(EngineKind::Packed).build().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("engine candle"), "{error}");
    }
}

#[test]
fn weights_in_shards_and_in_a_pickle_score_alike() {
    let whole = in_f32(fixture("electra")).build().unwrap();
    let wanted = labels(&whole.score(&TEXTS).unwrap());

    let shards = copy("electra", false);
    let bytes = fs::read(format!("{}/model.safetensors", fixture("electra"))).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let mut map = serde_json::Map::new();
    for (index, part) in tensors.chunks(tensors.len().div_ceil(3)).enumerate() {
        let file = format!("model-{:05}-of-00003.safetensors", index + 1);
        let views = part.iter().map(|(name, tensor)| {
            map.insert(name.clone(), json!(file));
            let view = TensorView::new(tensor.dtype(), tensor.shape().to_vec(), tensor.data());
            (name, view.unwrap())
        });
        fs::write(shards.path().join(&file), safetensors::serialize(views, None).unwrap()).unwrap();
    }
    let index = shards.path().join("model.safetensors.index.json");
    fs::write(&index, json!({"metadata": {}, "weight_map": map}).to_string()).unwrap();
    let sharded = in_f32(&shards).build().unwrap();
    assert_eq!(labels(&sharded.score(&TEXTS).unwrap()), wanted);
    fs::remove_file(shards.path().join("model-00002-of-00003.safetensors")).unwrap();
    assert!(error(&shards).contains("model-00002-of-00003.safetensors"));

    let pickled = copy("electra", false);
    let pickle = fs::read(format!("{}/pytorch_model.bin", fixture("electra"))).unwrap();
    fs::write(pickled.path().join("pytorch_model.bin"), &pickle).unwrap();
    let read = in_f32(&pickled).build().unwrap();
    assert_eq!(labels(&read.score(&TEXTS).unwrap()), wanted);
    for end in [0, 10, pickle.len() / 2, pickle.len() - 30] {
        fs::write(pickled.path().join("pytorch_model.bin"), &pickle[..end]).unwrap();
        assert!(error(&pickled).contains("pytorch_model.bin could not be read"), "{end} bytes");
    }
}

#[test]
fn roles_make_policies_apply() {
    let model = copy("bert", true);
    let roles = "[roles]\nidentity_hate = 'hate'\n";
    fs::write(model.path().join("roles.toml"), roles).unwrap();
    let classifier = in_f32(&model).build().unwrap();
    assert!(classifier.labels().has(Role::Hate));
    let scores = classifier.score(&TEXTS).unwrap();
    for scores in &scores {
        assert_eq!(scores.hate(), scores.probabilities.labels[1]);
        assert!(scores.hate() > 0.0);
    }
    let policy = |score: &str, threshold: f32| {
        Policy::from_toml(&format!(
            "format = 1\nname = 'mine'\nversion = '1'\nmodel = 'bert'\n[flag]\n{score} = {threshold}\n\
             [review]\n{score} = 0.0\n[because]\ndefault = 0.5\n"
        ))
        .unwrap()
    };
    let hate = policy("hate", scores[0].hate());
    hate.check_labels(classifier.labels()).unwrap();
    assert_eq!(hate.verdict(&scores[0]).decision, Decision::Flag);
    let above = policy("hate", scores[0].hate().next_up());
    assert_eq!(above.verdict(&scores[0]).decision, Decision::Review);
    let error = policy("dehumanization", 0.5).check_labels(classifier.labels()).unwrap_err();
    assert!(error.to_string().contains("decides by dehumanization"), "{error}");

    // What the caller says counts, and the digest tells the difference.
    let other = Roles::from_toml("[roles]\ninsult = 'dehumanization'").unwrap();
    let told = in_f32(&model).roles(other).build().unwrap();
    assert!(told.labels().has(Role::Dehumanization) && !told.labels().has(Role::Hate));
    assert_ne!(told.model_digest(), classifier.model_digest());

    fs::write(model.path().join("roles.toml"), "[roles]\nhatred = 'hate'\n").unwrap();
    let error = in_f32(&model).build().unwrap_err().to_string();
    assert!(error.contains("\"hatred\"") && error.contains("identity_hate"), "{error}");
}

#[test]
fn roles_for_a_model_of_dignitys_are_refused() {
    let tiny = format!("{}/tests/fixtures/tiny-bert", env!("CARGO_MANIFEST_DIR"));
    let roles = Roles::from_toml("").unwrap();
    let error = in_f32(tiny).roles(roles).build().unwrap_err().to_string();
    assert!(error.contains("dignity.json tells"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused_by_the_name_of_the_field() {
    let changed = |family: &str, field: &str, value: Value| {
        let model = copy(family, true);
        change(&model, "config.json", |config| config[field] = value.clone());
        error(&model)
    };
    let labels = json!({"0": "a", "1": "b", "2": "c", "3": "d"});
    for family in ["bert", "roberta", "deberta-v2", "modernbert"] {
        let extra = changed(family, "id2label", labels.clone());
        assert!(
            extra.contains("has shape [3") && extra.contains("id2label 4"),
            "{family}: {extra}"
        );
        let narrow = changed(family, "intermediate_size", json!(64));
        assert!(narrow.contains("intermediate_size"), "{family}: {narrow}");
        let wide = changed(family, "hidden_size", json!(64));
        let fields = ["hidden_size 64", "embedding_size 64", "pooler_hidden_size is \"32\""];
        assert!(fields.iter().any(|field| wide.contains(field)), "{family}: {wide}");
        let vocabulary = changed(family, "vocab_size", json!(1_000));
        assert!(vocabulary.contains("vocab_size 1000"), "{vocabulary}");
        let small = changed(family, "vocab_size", json!(7));
        assert!(small.contains("vocab_size is 7"), "{small}");
    }
    let positions = changed("bert", "max_position_embeddings", json!(512));
    assert!(positions.contains("max_position_embeddings 512"), "{positions}");
    let buckets = changed("deberta-v3", "position_buckets", json!(16));
    assert!(buckets.contains("2 position_buckets 32"), "{buckets}");
    let layers = changed("bert", "num_hidden_layers", json!(3));
    assert!(layers.contains("no tensor bert.encoder.layer.2."), "{layers}");
    let unknown = changed("bert", "model_type", json!("t5"));
    assert!(unknown.contains("config.json: model_type is \"t5\""), "{unknown}");
}

#[test]
fn missing_files_and_heads_are_named() {
    let model = copy("bert", false);
    assert!(error(&model).contains("model.safetensors"));
    let bytes = fs::read(format!("{}/model.safetensors", fixture("bert"))).unwrap();
    let headless: Vec<_> = SafeTensors::deserialize(&bytes)
        .unwrap()
        .tensors()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("classifier"))
        .collect();
    let file = safetensors::serialize(headless, None).unwrap();
    fs::write(model.path().join("model.safetensors"), file).unwrap();
    assert!(error(&model).contains("no tensor classifier.bias"), "{}", error(&model));
    change(&model, "config.json", |config| config["architectures"] = json!(["BertModel"]));
    assert!(error(&model).contains("architectures is BertModel"));
    fs::remove_file(model.path().join("tokenizer.json")).unwrap();
    change(&model, "config.json", |config| config["architectures"] = Value::Null);
    assert!(error(&model).contains("tokenizer.json"));
}

#[test]
fn long_texts_have_windows_as_long_as_the_model_allows() {
    let text = "The neighbour made bread. ".repeat(60);
    let model = copy("bert", true);
    let longest = |model: &TempDir| {
        let classifier = in_f32(model).build().unwrap();
        let scores = &classifier.score(&[&text]).unwrap()[0];
        assert!(scores.windows.len() > 1);
        let most = |label: usize| {
            let windows = scores.windows.iter();
            windows.map(|window| window.probabilities.labels[label]).fold(0.0, f32::max)
        };
        assert_eq!(scores.probabilities.labels[2], most(2));
        classifier.tokenize(&[&text]).unwrap().lengths().max().unwrap()
    };
    // As many as there are positions, unless the tokenizer says less.
    assert_eq!(longest(&model), 80);
    let config = json!({"model_max_length": 24}).to_string();
    fs::write(model.path().join("tokenizer_config.json"), config).unwrap();
    assert_eq!(longest(&model), 24);
    let config = json!({"model_max_length": 1e30}).to_string();
    fs::write(model.path().join("tokenizer_config.json"), config).unwrap();
    assert_eq!(longest(&model), 80);
}
