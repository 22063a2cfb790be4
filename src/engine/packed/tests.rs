//! A window's logits are its own: bit for bit, whatever is computed beside it.

use proptest::prelude::*;

use super::load_for;
use crate::{
    batch::PackedBatch,
    engine::{Engine, Precision},
    kernels::InstructionSet,
    model::{Model, ModelSource, Pooling},
};

fn tiny(pooling: Pooling) -> Model {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");
    let mut model = Model::load(&ModelSource::from(directory), None).unwrap();
    model.config.head.pooling = pooling;
    model
}

fn logits(engine: &dyn Engine, windows: &[Vec<u32>], threads: usize) -> Vec<Vec<u32>> {
    let mut batch = PackedBatch::default();
    for window in windows {
        batch.push(window.iter().copied());
    }
    let logits = engine.forward(&batch, threads).unwrap();
    logits.rows().map(|row| row.iter().map(|logit| logit.to_bits()).collect()).collect()
}

#[test]
fn a_token_without_embedding_is_an_error() {
    let model = tiny(Pooling::Cls);
    for &set in InstructionSet::available() {
        let engine = load_for(set, &model, Precision::Int8).unwrap();
        let mut batch = PackedBatch::default();
        batch.push([1, 1_000_000]);
        let error = engine.forward(&batch, 1).unwrap_err().to_string();
        assert!(error.contains("token 1000000 is beyond"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn logits_do_not_depend_on_the_batch_or_on_threads(
        windows in prop::collection::vec(prop::collection::vec(0_u32..60, 1..40), 1..8),
        threads in 2_usize..5,
    ) {
        for pooling in [Pooling::Cls, Pooling::Mean] {
            let model = tiny(pooling);
            for &set in InstructionSet::available() {
                for precision in [Precision::Int8, Precision::W8A16, Precision::Bf16, Precision::F32] {
                    let engine = load_for(set, &model, precision).unwrap();
                    let together = logits(&*engine, &windows, 1);
                    prop_assert_eq!(&together, &logits(&*engine, &windows, threads));
                    for (window, row) in windows.iter().zip(&together) {
                        let alone = logits(&*engine, std::slice::from_ref(window), 1);
                        prop_assert_eq!(&alone[0], row);
                    }
                }
            }
        }
    }
}
