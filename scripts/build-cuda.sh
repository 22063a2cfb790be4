#!/usr/bin/env bash
# Builds dignity with --features cuda, with a system's CUDA toolkit or without one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One release of CUDA. Its compiler's parts must have one version, which pip does not see to.
WHEELS=(
  nvidia-cuda-nvcc==13.0.88
  nvidia-nvvm==13.0.88
  nvidia-cuda-crt==13.0.88
  nvidia-cuda-cccl==13.0.85
  nvidia-cuda-runtime==13.0.96
  nvidia-cuda-nvrtc==13.0.88
  nvidia-cublas==13.1.0.3
  nvidia-curand==10.4.0.35
  nvidia-cutlass==3.5.0.0
)
# The commit of CUTLASS, release 3.5.0, that candle-flash-attn 0.11 wants.
CUTLASS=7d49e6c7e2f8896c47f586706e67e1fb215529dc
# The newest release that candle's CUDA bindings know.
NEWEST_KNOWN=13.4

usage() {
  cat <<'EOF'
Builds dignity for NVIDIA GPUs: scripts/build-cuda.sh [OPTIONS] [-- CARGO OPTIONS]

  --compute-cap CAP  the GPU's compute capability without its dot: 80 (A100), 86, 89 (L4, RTX 40),
                     90 (H100, H200), 100, 120, ...
                     default: what nvidia-smi tells, or 90 where there is none
  --flash-attn       with the feature flash-attn as well; its kernels take long to compile
  --system           with the toolkit under CUDA_HOME, on the PATH or in /usr/local/cuda
  --wheels           with the compiler and libraries of NVIDIA's Python packages, which are put
                     under target/cuda and nowhere else (0.7 GB to download, 1.3 GB on disk)
                     default: --system where there is a toolkit, else --wheels
  --help             this text

What follows `--` goes to cargo, as in `scripts/build-cuda.sh -- --lib`. Needs Linux on x86-64, Rust,
a C++ compiler, and python3 with venv for --wheels. No GPU is needed.

The program starts where NVIDIA's driver and CUDA's libraries are. Those of --wheels are named at
the end; a system's toolkit has them where the dynamic linker finds them.
EOF
}

say() { printf 'build-cuda: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

toolkit='' cap='' features=cuda
while (($#)); do
  case $1 in
    --compute-cap) cap=${2:?--compute-cap needs a number such as 90}; shift ;;
    --compute-cap=*) cap=${1#*=} ;;
    --flash-attn) features=cuda,flash-attn ;;
    --system) toolkit=system ;;
    --wheels) toolkit=wheels ;;
    -h | --help) usage; exit ;;
    --) shift; break ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
if [[ -n $cap && ! $cap =~ ^[0-9]{2,3}[af]?$ ]]; then
  say "--compute-cap is a number such as 80 or 90, not $cap"
  exit 2
fi
[[ $(uname -sm) == 'Linux x86_64' ]] || fail "this script is for Linux on x86-64; see README.md, Build for CUDA"

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/cuda"
work=$(cd "$target/cuda" && pwd)

# The nvcc of a system's toolkit, if there is one.
system_nvcc() {
  local nvcc
  for nvcc in "${CUDA_HOME:-}/bin/nvcc" "$(command -v nvcc)" /usr/local/cuda/bin/nvcc; do
    if [[ -x $nvcc ]]; then
      readlink -f "$nvcc"
      return
    fi
  done
  return 1
}

# Installs the wheels, once, in the layout of a toolkit; prints the path of nvcc.
wheels_nvcc() {
  local installed=$work/wheels.txt root library
  if ! diff -q <(printf '%s\n' "${WHEELS[@]}") "$installed" >/dev/null 2>&1; then
    say "installing ${#WHEELS[@]} packages of CUDA under $work/venv"
    rm -rf "$work/venv"
    python3 -m venv "$work/venv" >&2
    "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "${WHEELS[@]}" >&2
    root=$(echo "$work"/venv/lib/python3*/site-packages/nvidia/cu13)
    ln -sfn lib "$root/lib64"
    for library in "$root"/lib/lib*.so.*; do
      ln -sf "$(basename "$library")" "${library%%.so.*}.so"
    done
    printf '%s\n' "${WHEELS[@]}" >"$installed"
  fi
  echo "$work"/venv/lib/python3*/site-packages/nvidia/cu13/bin/nvcc
}

# candle-flash-attn's build clones CUTLASS for its headers, unless it finds that clone. Gives it the
# wheel's headers as one, so that nothing but the wheels is fetched.
clone_cutlass() {
  local clone
  export CUDAFORGE_HOME="$work/cudaforge"
  clone=$CUDAFORGE_HOME/git/checkouts/cutlass-${CUTLASS:0:16}
  rm -rf "$clone"
  git init --quiet "$clone"
  echo "$CUTLASS" >"$clone/.git/HEAD"
  ln -s "$work"/venv/lib/python3*/site-packages/cutlass_library/source/include "$clone/include"
}

if [[ -z $toolkit ]]; then
  if system_nvcc >/dev/null; then toolkit=system; else toolkit=wheels; fi
fi
if [[ $toolkit == system ]]; then
  nvcc=$(system_nvcc) || fail "there is no nvcc under CUDA_HOME, on the PATH or in /usr/local/cuda; try --wheels"
else
  nvcc=$(wheels_nvcc)
  if [[ $features == *flash-attn ]]; then clone_cutlass; fi
fi
root=$(dirname "$(dirname "$nvcc")")
release=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
[[ -n $release ]] || fail "$nvcc does not tell its release"

libraries=''
for directory in "$root"/{lib64,lib,targets/x86_64-linux/lib,lib/x86_64-linux-gnu}; do
  if [[ -e $directory/libcudart.so ]]; then
    libraries=$directory
    break
  fi
done
[[ -n $libraries ]] || fail "the toolkit in $root has no libcudart.so"

if [[ -z $cap ]]; then
  cap=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d . | sort -n | head -n 1) || cap=''
  if [[ $cap =~ ^[0-9]+$ ]]; then
    say "compute capability $cap, as nvidia-smi tells"
  else
    cap=90
    say "no GPU here to ask: building for compute capability 90 (H100, H200); --compute-cap chooses another"
  fi
fi

# libcuda comes with a GPU's driver, and only there. Toolkits hold a library of the same names and
# nothing else for linking; the wheels do not, so it is made of the header's.
if [[ $toolkit == wheels && ! -e $libraries/stubs/libcuda.so ]]; then
  mkdir -p "$libraries/stubs"
  echo '#include <cuda.h>' >"$work/stub.cu"
  "$nvcc" -E "$work/stub.cu" | grep -oE '\bcu[A-Z][A-Za-z0-9_]* *\(' | tr -d ' (' | LC_ALL=C sort -u |
    sed 's/.*/void &(void) {}/' >"$work/stub.c"
  cc -shared -Wl,-soname,libcuda.so.1 -o "$libraries/stubs/libcuda.so" "$work/stub.c"
fi

export PATH="$root/bin:$PATH" NVCC="$nvcc" CUDA_COMPUTE_CAP="$cap"
# Where the linker looks for libraries.
export CUDA_HOME="$root" LIBRARY_PATH="$libraries/stubs:$libraries${LIBRARY_PATH:+:$LIBRARY_PATH}"
unset CUDA_PATH CUDA_ROOT CUDA_TOOLKIT_ROOT_DIR
if [[ $(printf '%s\n' "$release" "$NEWEST_KNOWN" | sort -V | tail -n 1) != "$NEWEST_KNOWN" ]]; then
  export CUDARC_CUDA_VERSION="${NEWEST_KNOWN%.*}0${NEWEST_KNOWN#*.}0"
  say "CUDA $release is newer than candle's bindings; using those for $NEWEST_KNOWN"
fi

say "CUDA $release of $toolkit ($nvcc)"
say "compute capability $cap, features $features"
(set -x; cargo build --release --locked --features "$features" "$@")
if [[ $toolkit == wheels ]]; then
  say "to run it: LD_LIBRARY_PATH=$libraries"
fi
