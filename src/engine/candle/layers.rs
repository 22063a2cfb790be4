//! The layers that every encoder is made of, and their tensors.

use candle_core::{D, DType, Device, Result, Tensor};

use crate::{
    engine::EngineError,
    model::{Dimension, HiddenAct, OutputNames, Weights},
};

/// Puts a model's tensors onto a device.
pub(super) struct Loader<'a> {
    pub(super) weights: &'a Weights<'a>,
    pub(super) device: Device,
    /// Of the products of hidden states.
    pub(super) dtype: DType,
}

impl Loader<'_> {
    /// The same for products in f32.
    pub(super) fn in_f32(&self) -> Self {
        Self { weights: self.weights, device: self.device.clone(), dtype: DType::F32 }
    }

    /// A tensor of the given shape, in the precision of products.
    pub(super) fn tensor(
        &self,
        name: &str,
        shape: &[Dimension],
    ) -> std::result::Result<Tensor, EngineError> {
        Ok(self.f32(name, shape)?.to_dtype(self.dtype)?)
    }

    /// A table of embeddings, `[rows, columns]`.
    pub(super) fn embedding(
        &self,
        name: &str,
        rows: Dimension,
        columns: Dimension,
    ) -> std::result::Result<Tensor, EngineError> {
        self.tensor(&format!("{name}.weight"), &[rows, columns])
    }

    /// Linear layers `[outputs, inputs]` with the same inputs, as one layer.
    pub(super) fn linear(
        &self,
        names: &[&str],
        outputs: Dimension,
        inputs: Dimension,
        bias: bool,
    ) -> std::result::Result<Linear, EngineError> {
        let all = |part: &str, shape: &[Dimension]| {
            let tensors = names.iter().map(|name| self.tensor(&format!("{name}.{part}"), shape));
            let tensors = tensors.collect::<std::result::Result<Vec<_>, _>>()?;
            Ok::<_, EngineError>(Tensor::cat(&tensors, 0)?)
        };
        Ok(Linear {
            weight: all("weight", &[outputs, inputs])?,
            bias: if bias { Some(all("bias", &[outputs])?) } else { None },
        })
    }

    /// A layer normalization over `columns`.
    pub(super) fn norm(
        &self,
        name: &str,
        columns: Dimension,
        epsilon: f64,
        bias: bool,
    ) -> std::result::Result<LayerNorm, EngineError> {
        let gamma = self.f32(&format!("{name}.weight"), &[columns])?;
        let beta = match bias {
            true => self.f32(&format!("{name}.bias"), &[columns])?,
            false => gamma.zeros_like()?,
        };
        Ok(LayerNorm { gamma, beta, epsilon })
    }

    fn f32(&self, name: &str, shape: &[Dimension]) -> std::result::Result<Tensor, EngineError> {
        let values = self.weights.f32(name, shape)?;
        let sizes: Vec<_> = shape.iter().map(|Dimension(_, size)| *size).collect();
        Ok(Tensor::from_vec(values, sizes, &self.device)?)
    }
}

/// A linear layer.
pub(super) struct Linear {
    /// `[outputs, inputs]`
    pub(super) weight: Tensor,
    /// `[outputs]`
    pub(super) bias: Option<Tensor>,
}

impl Linear {
    /// `[rows, outputs]` of `[rows, inputs]`, in the precision of the weights.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let product = rows.to_dtype(self.weight.dtype())?.matmul(&self.weight.t()?)?;
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }
}

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`, row by row, in f32.
///
/// Ba, Kiros and Hinton, "Layer Normalization", 2016.
pub(super) struct LayerNorm {
    gamma: Tensor,
    beta: Tensor,
    epsilon: f64,
}

impl LayerNorm {
    /// Normalizes rows; the result is in f32.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = rows.to_dtype(DType::F32)?;
        if rows.device().is_cpu() {
            // Candle's own is of one pass, `E[x²] - mean²`, which loses digits where the mean is large.
            let centred = rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)?;
            let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
            let deviation = (variance + self.epsilon)?.sqrt()?;
            let normal = centred.broadcast_div(&deviation)?;
            normal.broadcast_mul(&self.gamma)?.broadcast_add(&self.beta)
        } else {
            let epsilon = self.epsilon as f32;
            candle_nn::ops::layer_norm(&rows.contiguous()?, &self.gamma, &self.beta, epsilon)
        }
    }
}

/// What follows attention in a layer that is normalized after each residual connection.
///
/// Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
/// Understanding", 2019.
pub(super) struct LayerOutput {
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    activation: HiddenAct,
    output: Linear,
    norm: LayerNorm,
}

impl LayerOutput {
    pub(super) fn new(
        loader: &Loader<'_>,
        names: &OutputNames,
        hidden: Dimension,
        intermediate: Dimension,
        activation: HiddenAct,
        epsilon: f64,
    ) -> std::result::Result<Self, EngineError> {
        let linear = |name: &str, outputs, inputs| loader.linear(&[name], outputs, inputs, true);
        Ok(Self {
            attention_output: linear(&names.attention_output, hidden, hidden)?,
            attention_norm: loader.norm(&names.attention_norm, hidden, epsilon, true)?,
            intermediate: linear(&names.intermediate, intermediate, hidden)?,
            activation,
            output: linear(&names.output, hidden, intermediate)?,
            norm: loader.norm(&names.norm, hidden, epsilon, true)?,
        })
    }

    /// The layer's hidden states, of those before it and of what they attend to, all
    /// `[tokens, hidden]`.
    pub(super) fn forward(&self, hidden: &Tensor, context: &Tensor) -> Result<Tensor> {
        let attended = self.attention_output.forward(context)?;
        let hidden = self.attention_norm.forward(&residual(hidden, &attended)?)?;
        let expanded = activate(self.activation, &self.intermediate.forward(&hidden)?)?;
        self.norm.forward(&residual(&hidden, &self.output.forward(&expanded)?)?)
    }
}

/// The sum of hidden states, which are in f32, and what a layer makes of them.
pub(super) fn residual(hidden: &Tensor, added: &Tensor) -> Result<Tensor> {
    hidden + added.to_dtype(DType::F32)?
}

/// An activation function of every number.
pub(super) fn activate(activation: HiddenAct, numbers: &Tensor) -> Result<Tensor> {
    match activation {
        HiddenAct::Gelu => numbers.gelu_erf(),
        HiddenAct::GeluTanh => numbers.gelu(),
        HiddenAct::Relu => numbers.relu(),
        HiddenAct::Silu => numbers.silu(),
        HiddenAct::Tanh => numbers.tanh(),
    }
}
