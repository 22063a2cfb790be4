//! Token ids and logits against those that PyTorch computed; see `make.py` and `golden.py`.

use serde::Deserialize;

use super::{CandleEngine, Device, Engine};
use crate::{
    batch::PackedBatch,
    model::{Model, ModelSource},
};

#[derive(Deserialize)]
struct Golden {
    text: String,
    ids: Vec<u32>,
    logits: Vec<f32>,
}

/// Largest difference of a logit that is allowed.
const TOLERANCE: f32 = 1e-4;

/// Computes `golden` in batches of each of the `sizes` and compares every number.
fn check(model: &Model, golden: &[Golden], sizes: &[usize]) {
    let engine = CandleEngine::new(model, Device::Cpu).unwrap();
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
            let logits = engine.forward(&batch).unwrap();
            assert_eq!(logits.rows().len(), texts.len());
            for (row, Golden { text, logits, .. }) in logits.rows().zip(texts) {
                assert_eq!(row.len(), logits.len());
                for (ours, theirs) in row.iter().zip(logits) {
                    assert!((ours - theirs).abs() < TOLERANCE, "{ours} and {theirs}: {text:?}");
                }
            }
        }
    }
}

#[test]
fn tiny_bert_computes_what_transformers_does() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");
    let model = Model::load(&ModelSource::from(directory)).unwrap();
    let golden: Vec<Golden> =
        serde_json::from_str(include_str!("../../tests/fixtures/tiny-bert/golden.json")).unwrap();
    check(&model, &golden, &[1, 3, golden.len()]);
    let batch = PackedBatch::default();
    let engine = CandleEngine::new(&model, Device::Cpu).unwrap();
    assert_eq!(engine.forward(&batch).unwrap().rows().len(), 0);
}

#[cfg(feature = "shipped")]
#[test]
fn the_shipped_model_computes_what_pytorch_does() {
    let model = Model::load(&ModelSource::from("dignity-small-en")).unwrap();
    let golden: Vec<Golden> =
        serde_json::from_str(include_str!("../../tests/fixtures/shipped_logits.json")).unwrap();
    check(&model, &golden, &[1, golden.len()]);
}
