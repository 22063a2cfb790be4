//! Token ids and logits against those that PyTorch computed; see `make.py` and `golden.py`.

use serde::Deserialize;

use super::{Device, Engine, EngineKind, Precision, packed};
use crate::{
    batch::PackedBatch,
    kernels::InstructionSet,
    model::{Model, ModelSource},
};

#[derive(Deserialize)]
struct Golden {
    text: String,
    ids: Vec<u32>,
    logits: Vec<f32>,
}

/// Computes `golden` in batches of each of the `sizes` and compares every logit, which may differ by
/// `tolerance`.
fn check(model: &Model, golden: &[Golden], engine: &dyn Engine, sizes: &[usize], tolerance: f32) {
    assert!(golden.len() >= 20);
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

/// Every engine, with the largest difference of a logit that it may show; in int8, `int8`.
fn engines(model: &Model, int8: f32) -> Vec<(Box<dyn Engine>, f32)> {
    let load = |kind: EngineKind, precision| kind.load(model, Device::Cpu, precision).unwrap();
    let mut engines = vec![(load(EngineKind::Candle, None), 1e-4)];
    for &set in InstructionSet::available() {
        engines.push((packed::load_for(set, model, Precision::F32).unwrap(), 1e-4));
        engines.push((packed::load_for(set, model, Precision::Int8).unwrap(), int8));
    }
    engines
}

fn fixture(json: &str) -> Vec<Golden> {
    serde_json::from_str(json).unwrap()
}

#[test]
fn tiny_bert_computes_what_transformers_does() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");
    let model = Model::load(&ModelSource::from(directory)).unwrap();
    let golden = fixture(include_str!("../../tests/fixtures/tiny-bert/golden.json"));
    // Its weights are random numbers in f32, which int8 cannot be near to.
    for (engine, tolerance) in engines(&model, 0.2) {
        check(&model, &golden, &*engine, &[1, 3, golden.len()], tolerance);
    }
}

#[cfg(feature = "shipped")]
#[test]
fn the_shipped_model_computes_what_pytorch_does() {
    let model = Model::load(&ModelSource::from("dignity-small-en")).unwrap();
    let golden = fixture(include_str!("../../tests/fixtures/shipped_logits.json"));
    for (engine, tolerance) in engines(&model, 0.01) {
        check(&model, &golden, &*engine, &[1, golden.len()], tolerance);
    }
}
