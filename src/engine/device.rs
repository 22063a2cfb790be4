//! Where the forward pass runs.

use std::{fmt, str::FromStr};

use super::EngineError;

/// A device for the forward pass; written `auto`, `cpu`, `cuda`, `cuda:1`, `metal`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Device {
    /// Every CUDA GPU if there is one, else a Metal GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// Every CUDA GPU; needs the feature `cuda`.
    AllCuda,
    /// A CUDA GPU by its number; needs the feature `cuda`.
    Cuda(usize),
    /// A Metal GPU by its number; needs the feature `metal`.
    Metal(usize),
}

impl Device {
    /// The device that [`Device::Auto`] stands for on this machine; of others, itself.
    pub(crate) fn resolve(self) -> Self {
        match self {
            Self::Auto if cuda_gpus() > 0 => Self::AllCuda,
            Self::Auto if cfg!(feature = "metal") => Self::Metal(0),
            Self::Auto => Self::Cpu,
            device => device,
        }
    }

    /// The single devices that this one is of.
    pub(crate) fn each(self) -> Vec<Self> {
        match self.resolve() {
            // Without a GPU, opening the first says why.
            Self::AllCuda => (0..cuda_gpus().max(1)).map(Self::Cuda).collect(),
            device => vec![device],
        }
    }

    /// Candle's handle of a single device.
    pub(super) fn open(self) -> Result<candle_core::Device, EngineError> {
        let cuda = "it needs an NVIDIA GPU with its driver, and a build with --features cuda";
        let metal = "it needs an Apple GPU, and a build with --features metal";
        let (opened, hint) = match self {
            Self::Auto | Self::Cpu => return Ok(candle_core::Device::Cpu),
            // One stream for all threads: what one puts on the GPU, another computes with.
            Self::AllCuda => (candle_core::Device::new_cuda_with_stream(0), cuda),
            Self::Cuda(number) => (candle_core::Device::new_cuda_with_stream(number), cuda),
            Self::Metal(number) => (candle_core::Device::new_metal(number), metal),
        };
        opened.map_err(|source| EngineError::Device {
            device: self,
            source: Box::new(source),
            hint,
        })
    }
}

/// How many GPUs CUDA sees; none where it is not there.
#[cfg(feature = "cuda")]
fn cuda_gpus() -> usize {
    use candle_core::cuda_backend::cudarc::driver::CudaContext;
    CudaContext::device_count().ok().and_then(|count| count.try_into().ok()).unwrap_or(0)
}

/// A build without CUDA sees none.
#[cfg(not(feature = "cuda"))]
fn cuda_gpus() -> usize {
    0
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::AllCuda => f.write_str("cuda"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal(number) => write!(f, "metal:{number}"),
        }
    }
}

/// The text names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no device; write auto, cpu, cuda, cuda:N or metal")]
pub struct ParseDeviceError(String);

impl FromStr for Device {
    type Err = ParseDeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDeviceError(text.to_owned());
        let (kind, number) = match text.split_once(':') {
            Some((kind, number)) => (kind, Some(number.parse().map_err(|_| error())?)),
            None => (text, None),
        };
        match (kind, number) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("cuda", None) => Ok(Self::AllCuda),
            ("cuda", Some(number)) => Ok(Self::Cuda(number)),
            ("metal", number) => Ok(Self::Metal(number.unwrap_or(0))),
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_print() {
        for (text, device) in
            [("cpu", Device::Cpu), ("cuda:2", Device::Cuda(2)), ("metal:0", Device::Metal(0))]
        {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
        }
        for device in [Device::Auto, Device::AllCuda] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        for bad in ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "CUDA"] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
    }

    #[test]
    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    fn without_a_gpu_auto_is_the_cpu_and_others_say_what_is_missing() {
        assert_eq!(Device::Auto.each(), [Device::Cpu]);
        assert_eq!(Device::AllCuda.each(), [Device::Cuda(0)]);
        for (device, feature) in [(Device::Cuda(0), "cuda"), (Device::Metal(0), "metal")] {
            let error = device.open().unwrap_err().to_string();
            assert!(error.contains(&device.to_string()) && error.contains(feature), "{error}");
        }
    }
}
