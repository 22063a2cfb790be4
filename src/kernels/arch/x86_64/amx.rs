//! Tiles of 16 rows of 64 bytes: AMX, in Intel's server CPUs since 2023.
//!
//! Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter "Programming with Intel AMX". Rust has
//! no stable intrinsics for it yet, hence assembly.

#![allow(unsafe_code)]

use std::{
    arch::{asm, x86_64::*},
    cell::Cell,
    marker::PhantomData,
};

use super::Amx;
use crate::kernels::{
    simd::Simd,
    tiles::{COLUMNS, Parts, TILE, Tile, TileMultiplier, TileRow, TileSums, Tiles},
};

/// Whether the CPU has tiles, with products of bytes and of bf16 numbers, and the system lets this process use them.
pub(super) fn detect() -> bool {
    const BF16: u32 = 1 << 22;
    const TILES: u32 = 1 << 24;
    const INT8: u32 = 1 << 25;
    let wanted = BF16 | TILES | INT8;
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & wanted == wanted && permitted()
}

/// Asks Linux for the state that tiles need, which it keeps for each thread that uses them: see "x86/xstate" in the
/// kernel's documentation.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call reads and writes no memory of this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

/// Other systems have other ways.
#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Of each register, bytes in a row.
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// All eight registers in full.
static FULL: Configuration = {
    let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
    let mut register = 0;
    while register < 8 {
        row_bytes[register] = size_of::<TileRow>() as u16;
        rows[register] = TILE as u8;
        register += 1;
    }
    Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
};

thread_local! {
    /// How many [`TileRegisters`] this thread has.
    static USERS: Cell<usize> = const { Cell::new(0) };
}

/// This thread's tile registers, set up while there is one of it.
pub(crate) struct TileRegisters {
    _of_this_thread: PhantomData<*const ()>,
}

impl TileRegisters {
    fn new(_: Amx) -> Self {
        let users = USERS.get();
        if users == 0 {
            // SAFETY: `Amx` proves that there are tiles; the configuration is one that they can have.
            unsafe { asm!("ldtilecfg [{}]", in(reg) &FULL, options(nostack, preserves_flags)) }
        }
        USERS.set(users + 1);
        Self { _of_this_thread: PhantomData }
    }
}

impl Drop for TileRegisters {
    fn drop(&mut self) {
        let users = USERS.get() - 1;
        USERS.set(users);
        if users == 0 {
            // SAFETY: there are tiles, since they were set up; nobody on this thread uses them any more.
            unsafe { asm!("tilerelease", options(nostack, preserves_flags)) }
        }
    }
}

/// Sums, over `$steps`, of products of two tiles at `$first` and `$second`, whose rows are `$row` bytes apart and which
/// come again `$step` bytes on, and two at `$weights`: `$upper` and `$lower` multiply. In every step there are two tiles of
/// weights for each of `$part`, which is how far they are from the first, and two of activations for each of `$at`.
macro_rules! multiply {
    (
        $first:expr, $second:expr, $row:expr, $step:expr, $weights:expr, $steps:expr, $sums:expr,
        $upper:literal, $lower:literal, [$($part:literal: [$($at:literal)*])*]
    ) => {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "test {steps}, {steps}",
            "jz 3f",
            "2:",
            $(
                concat!("tileloadd tmm6, [{weights} + {line} + ", $part, "]"),
                concat!("tileloadd tmm7, [{weights} + {line} + 1024 + ", $part, "]"),
                $(
                    concat!("tileloadd tmm4, [{first} + {row} + ", $at, "]"),
                    concat!("tileloadd tmm5, [{second} + {row} + ", $at, "]"),
                    concat!($upper, " tmm0, tmm4, tmm6"),
                    concat!($upper, " tmm1, tmm4, tmm7"),
                    concat!($lower, " tmm2, tmm5, tmm6"),
                    concat!($lower, " tmm3, tmm5, tmm7"),
                )*
            )*
            "add {first}, {step}",
            "add {second}, {step}",
            "add {weights}, {weights_step}",
            "dec {steps}",
            "jnz 2b",
            "3:",
            "tilestored [{sums} + {out}], tmm0",
            "tilestored [{sums} + {out} + 64], tmm1",
            "tilestored [{sums} + {out} + 2048], tmm2",
            "tilestored [{sums} + {out} + 2112], tmm3",
            first = inout(reg) $first => _,
            second = inout(reg) $second => _,
            weights = inout(reg) $weights => _,
            steps = inout(reg) $steps => _,
            step = const $step,
            weights_step = const 2048 * [$($part),*].len(),
            row = in(reg) $row,
            line = in(reg) 64_usize,
            out = in(reg) 128_usize,
            sums = in(reg) $sums,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// Multiplies `$times` two tiles by two, whatever they are.
macro_rules! repeat {
    ($times:expr, $upper:literal, $lower:literal) => {
        asm!(
            "test {times}, {times}",
            "jz 3f",
            "2:",
            concat!($upper, " tmm0, tmm4, tmm6"),
            concat!($upper, " tmm1, tmm4, tmm7"),
            concat!($lower, " tmm2, tmm5, tmm6"),
            concat!($lower, " tmm3, tmm5, tmm7"),
            "dec {times}",
            "jnz 2b",
            "3:",
            times = inout(reg) $times => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

impl TileMultiplier for TileRegisters {
    fn multiply_bf16<const ROWS: usize, const PARTS: usize, const WEIGHT_PARTS: usize>(
        &self,
        activations: [&[[Parts<PARTS>; TILE]]; ROWS],
        weights: &[[[Tile; 2]; WEIGHT_PARTS]],
        sums: &mut TileSums<f32>,
    ) {
        let steps = weights.len();
        let [first, second] = [activations[0], activations[ROWS - 1]];
        assert!(first.len() >= steps && second.len() >= steps, "tiles of activations");
        let (first, second, weights) = (first.as_ptr(), second.as_ptr(), weights.as_ptr());
        macro_rules! multiply_parts {
            ($parts:literal, $list:tt) => {
                // SAFETY: the registers are set up while `self` lives. All that is read lies in `steps` times `PARTS` tiles, of 16
                // rows of 64 bytes, of `first` and `second` each, and in `steps` times `WEIGHT_PARTS` times two of `weights`; what is
                // written is `sums`, two times 16 rows of 128 bytes.
                unsafe {
                    multiply!(
                        first, second, $parts * 64_usize, $parts * 1024, weights, steps, sums,
                        "tdpbf16ps", "tdpbf16ps", $list
                    );
                }
            };
        }
        match (PARTS, WEIGHT_PARTS) {
            (1, 1) => multiply_parts!(1, [0: [0]]),
            (3, 1) => multiply_parts!(3, [0: [0 64 128]]),
            (3, 3) => multiply_parts!(3, [0: [0 64 128] 2048: [0 64] 4096: [0]]),
            parts => unreachable!("numbers of {parts:?} bf16 numbers"),
        }
    }

    fn multiply_bytes(
        &self,
        activations: &[[[TileRow; 2]; TILE]],
        weights: &[[Tile; 2]],
        sums: &mut TileSums<i32>,
    ) {
        let steps = weights.len();
        assert!(activations.len() >= steps, "tiles of activations");
        let first = activations.as_ptr().cast::<TileRow>();
        // SAFETY: the registers are set up while `self` lives. All that is read lies in `steps` times 16 pairs of rows of 64
        // bytes, of which `second` begins with the second one, and in two times `steps` tiles of `weights`; what is
        // written is `sums`, two times 16 rows of 128 bytes.
        unsafe {
            let second = first.wrapping_add(1);
            multiply!(
                first,
                second,
                128_usize,
                2048,
                weights.as_ptr(),
                steps,
                sums,
                "tdpbusd",
                "tdpbssd",
                [0: [0]]
            );
        }
    }

    fn repeat_bf16(&self, times: usize) {
        // SAFETY: the registers are set up while `self` lives, and nothing else is read or written.
        unsafe { repeat!(times, "tdpbf16ps", "tdpbf16ps") }
    }

    fn repeat_bytes(&self, times: usize) {
        // SAFETY: the registers are set up while `self` lives, and nothing else is read or written.
        unsafe { repeat!(times, "tdpbusd", "tdpbssd") }
    }
}

impl Tiles for Amx {
    type Multiplier = TileRegisters;

    fn multiplier(self) -> TileRegisters {
        TileRegisters::new(self)
    }

    #[inline(always)]
    fn round_to_bf16(self, numbers: &[f32; COLUMNS]) -> TileRow {
        let (left, right) = numbers.split_at(Self::LANES);
        let (left, right) = (self.load(left), self.load(right));
        let mut row = TileRow::default();
        // SAFETY: `row` has 64 bytes, aligned to as many; AVX-512 F and BF16 are proved.
        unsafe {
            let pairs = _mm512_cvtne2ps_pbh(right, left);
            _mm512_store_si512(
                (&raw mut row).cast(),
                std::mem::transmute::<__m512bh, __m512i>(pairs),
            );
        }
        row
    }

    #[inline(always)]
    fn split(self, values: __m512i, low: &mut [u8], high: &mut [u8]) {
        let (low, high) = (&mut low[..Self::LANES], &mut high[..Self::LANES]);
        // SAFETY: each has 16 bytes; unaligned stores are allowed; AVX-512 F is proved.
        unsafe {
            _mm_storeu_si128(low.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(values));
            let upper = _mm512_srai_epi32::<8>(values);
            _mm_storeu_si128(high.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(upper));
        }
    }

    #[inline(always)]
    fn join(self, low: &[i32], high: &[i32]) -> __m512 {
        let (low, high) = (&low[..Self::LANES], &high[..Self::LANES]);
        // SAFETY: each has 16 numbers; unaligned loads are allowed; AVX-512 F is proved.
        unsafe {
            let low = _mm512_loadu_si512(low.as_ptr().cast());
            let high = _mm512_loadu_si512(high.as_ptr().cast());
            _mm512_cvtepi32_ps(_mm512_add_epi32(low, _mm512_slli_epi32::<8>(high)))
        }
    }
}
