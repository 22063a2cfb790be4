//! Token ids, logits and probabilities against those that PyTorch computed; see the fixtures' `make.py`
//! and `golden.py`.

use serde::Deserialize;

use super::{CandleEngine, Device, Engine, EngineKind, Precision, packed};
use crate::{
    batch::PackedBatch,
    kernels::InstructionSet,
    model::{Encoder, Model, ModelSource},
    scores::Probabilities,
    taxonomy::Role,
};

#[derive(Deserialize)]
struct Golden {
    text: String,
    ids: Vec<u32>,
    logits: Vec<f32>,
    /// Of labels that go by names of their own.
    #[serde(default)]
    probabilities: Vec<f32>,
}

/// Computes `golden` in batches of each of the `sizes` and compares every logit, which may differ by
/// `tolerance`.
fn check(model: &Model, golden: &[Golden], engine: &dyn Engine, sizes: &[usize], tolerance: f32) {
    assert!(golden.len() > 10);
    for &size in sizes {
        for texts in golden.chunks(size) {
            let mut batch = PackedBatch::default();
            for Golden { text, ids, .. } in texts {
                let tokens = model.tokenizer.tokenize(text).unwrap();
                let framed: Vec<_> = model.tokenizer.frame(&tokens.ids).collect();
                assert_eq!(&framed, ids, "{text:?}");
                batch.push(framed);
            }
            let logits = engine.forward(&batch, 1).unwrap();
            assert_eq!(logits.rows().len(), texts.len());
            for (row, Golden { text, logits, .. }) in logits.rows().zip(texts) {
                assert_eq!(row.len(), logits.len());
                for (ours, theirs) in row.iter().zip(logits) {
                    assert!((ours - theirs).abs() < tolerance, "{ours} and {theirs}: {text:?}");
                }
            }
        }
    }
    assert_eq!(engine.forward(&PackedBatch::default(), 1).unwrap().rows().len(), 0);
}

/// Every engine, with the largest difference of a logit that it may show; in w8a16, `w8a16`.
fn engines(model: &Model, w8a16: f32) -> Vec<(Box<dyn Engine>, f32)> {
    let candle = EngineKind::Candle.load(model, Device::Cpu, None).unwrap();
    let mut engines = vec![(candle, 1e-4)];
    if !matches!(model.config.encoder, Encoder::Bert(_)) {
        return engines;
    }
    for &set in InstructionSet::available() {
        engines.push((packed::load_for(set, model, Precision::F32).unwrap(), 1e-4));
        engines.push((packed::load_for(set, model, Precision::W8A16).unwrap(), w8a16));
    }
    engines
}

fn fixture(json: &str) -> Vec<Golden> {
    serde_json::from_str(json).unwrap()
}

#[test]
fn tiny_bert_computes_what_transformers_does() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");
    let model = Model::load(&ModelSource::from(directory), None).unwrap();
    let golden = fixture(include_str!("../../tests/fixtures/tiny-bert/golden.json"));
    // Its weights are random numbers in f32, which int8 cannot be near to.
    for (engine, tolerance) in engines(&model, 0.2) {
        check(&model, &golden, &*engine, &[1, 3, golden.len()], tolerance);
    }
}

/// The tiny classifiers of every family.
const FAMILIES: [&str; 8] = [
    "bert",
    "distilbert",
    "electra",
    "roberta",
    "xlm-roberta",
    "deberta-v2",
    "deberta-v3",
    "modernbert",
];

fn family(name: &str) -> (Model, Vec<Golden>) {
    let directory = format!("{}/tests/fixtures/families/{name}", env!("CARGO_MANIFEST_DIR"));
    let golden = std::fs::read_to_string(format!("{directory}/golden.json")).unwrap();
    (Model::load(&ModelSource::from(directory), None).unwrap(), fixture(&golden))
}

#[test]
fn every_family_computes_what_transformers_does() {
    for name in FAMILIES {
        let (model, golden) = family(name);
        for (engine, tolerance) in engines(&model, 0.3) {
            check(&model, &golden, &*engine, &[1, 3, golden.len()], tolerance);
        }
        for Golden { text, logits, probabilities, .. } in &golden {
            let ours = model.labels.probabilities(logits).labels;
            assert_eq!(ours.len(), probabilities.len());
            for (ours, theirs) in ours.iter().zip(probabilities) {
                assert!((ours - theirs).abs() < 1e-5, "{name}: {ours} and {theirs}: {text:?}");
            }
        }
    }
}

/// Compares every probability with that of PyTorch's logits, in one batch with much padding and in one
/// without; they may differ by `tolerance`.
fn check_probabilities(model: &Model, golden: &[Golden], engine: &dyn Engine, tolerance: f32) {
    for texts in [golden, &golden[..1]] {
        let mut batch = PackedBatch::default();
        for Golden { ids, .. } in texts {
            batch.push(ids.iter().copied());
        }
        // Numbers that are none would be an error here.
        let logits = engine.forward(&batch, 1).unwrap();
        for (row, Golden { text, logits, .. }) in logits.rows().zip(texts) {
            let [ours, theirs] = [row, logits].map(|logits| model.labels.probabilities(logits));
            for (ours, theirs) in all(&ours).zip(all(&theirs)) {
                let apart = (ours - theirs).abs();
                assert!(apart < tolerance, "{}: {apart} apart, {text:?}", engine.precision());
            }
        }
    }
}

fn check_half_precision(model: &Model, golden: &[Golden]) {
    for precision in [Precision::Bf16, Precision::F16] {
        let engine = CandleEngine::new(model, Device::Cpu, Some(precision)).unwrap();
        assert_eq!(engine.precision(), precision);
        check_probabilities(model, golden, &engine, 2e-2);
    }
    if matches!(model.config.encoder, Encoder::Bert(_)) {
        for &set in InstructionSet::available() {
            let engine = packed::load_for(set, model, Precision::Bf16).unwrap();
            assert_eq!(engine.precision(), Precision::Bf16);
            check_probabilities(model, golden, &*engine, 2e-2);
        }
    }
}

/// Every probability, by role or by name.
fn all(probabilities: &Probabilities) -> impl Iterator<Item = f32> {
    let roles = Role::all().map(|role| probabilities.of(role));
    roles.chain(probabilities.labels.iter().copied())
}

#[test]
fn half_precision_is_near_and_no_padding_makes_it_nan() {
    for name in FAMILIES {
        let (model, golden) = family(name);
        check_half_precision(&model, &golden);
    }
}

#[cfg(feature = "shipped")]
#[test]
fn the_shipped_model_computes_what_pytorch_does() {
    let model = Model::load(&ModelSource::from("dignity-small-en"), None).unwrap();
    let golden = fixture(include_str!("../../tests/fixtures/shipped_logits.json"));
    for (engine, tolerance) in engines(&model, 0.01) {
        check(&model, &golden, &*engine, &[1, golden.len()], tolerance);
    }
    check_half_precision(&model, &golden);
    check_int8(&model, &golden);
}

/// With activations in eight bits scores move a little.
#[cfg(feature = "shipped")]
fn check_int8(model: &Model, golden: &[Golden]) {
    for &set in InstructionSet::available() {
        let engine = packed::load_for(set, model, Precision::Int8).unwrap();
        assert_eq!(engine.precision(), Precision::Int8);
        check_probabilities(model, golden, &*engine, 0.02);
    }
}
