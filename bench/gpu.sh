#!/usr/bin/env bash
# Everything worth doing with ten minutes of a machine that has an NVIDIA GPU and no network, the most important first:
# tests, sanitizer, benches beside PyTorch and JAX where installed, a training run, a profile of the worst kernels.
#
#   bench/gpu.sh [--minutes 10] [--device cuda|sim]
#
# Runs from a plain checkout or a copy of one; needs Python with gradlib's dependencies (PYTHON=..., default python3).
# A copy without its history is told its commit by GRADLIB_COMMIT.
# Logs go to $OUT and the result file to $OUT/<machine>/; nothing is written elsewhere in the checkout.  Without OUT the
# result file goes to bench/results/<machine>/ and the logs to bench/results/logs/.
# A part that fails or runs out of time does not stop the next; the summary tells, and the exit code is 1.
# `--device sim` rehearses the whole on a machine without a GPU, on tiny shapes.
set -u -o pipefail

device=cuda
minutes=10
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=${2:?--device needs cuda or sim}; shift 2 ;;
    --minutes) minutes=${2:?--minutes needs a number}; shift 2 ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) echo "gpu.sh: unknown argument $1" >&2; exit 2 ;;
  esac
done
case $device in cuda | sim) ;; *) echo "gpu.sh: --device $device: need cuda or sim" >&2; exit 2 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
results=${OUT:-$root/bench/results}
logs=${OUT:-$root/bench/results/logs}
mkdir -p "$results" "$logs" || exit 1
results=$(cd "$results" && pwd)
logs=$(cd "$logs" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
export HYPOTHESIS_STORAGE_DIRECTORY=$scratch/hypothesis MPLCONFIGDIR=$scratch/matplotlib MPLBACKEND=Agg
cd "$scratch" || exit 1 # whatever writes into its working folder writes here

summary=$logs/summary.txt
: > "$summary"
rm -f "$logs"/{environment,tests,sanitizer,bench,train,ncu}.txt
failures=0
end=$((SECONDS + minutes * 60))
shares_left=100

say() { echo "$*" | tee -a "$summary"; }

# part SHARE LOG TITLE COMMAND...: run a command for at most its share (of 100) of the time that is left, and tell how it ended.
part() {
  local share=$1 log=$logs/$2.txt title=$3 begin=$SECONDS code limit
  shift 3
  limit=$(((end - SECONDS) * share / (shares_left > 0 ? shares_left : 1)))
  [ $limit -lt 10 ] && limit=10
  shares_left=$((shares_left - share))
  { echo; echo "=== $title"; echo "\$ $*"; } | tee -a "$log"
  timeout --kill-after=10 "$limit" "$@" 2>&1 | tee -a "$log"
  code=${PIPESTATUS[0]}
  case $code in
    0) say "passed   $title ($((SECONDS - begin)) s)" ;;
    124 | 137) say "FAILED   $title: stopped after $limit s; its log and results so far are kept" ;;
    *) say "FAILED   $title: exit code $code ($((SECONDS - begin)) s)" ;;
  esac
  [ "$code" -eq 0 ] || failures=$((failures + 1))
  return "$code"
}

skip() { shares_left=$((shares_left - $1)); say "skipped  $2: $3"; }
bench() { "$python" "$root/bench/run.py" --device "$device" --out "$results" "$@"; }
gradlib() { "$python" -c 'import sys; from gradlib.cli import main; sys.exit(main(sys.argv[1:]))' "$@"; }
# pytest's own arguments: those of the project, but parallel only where that is installed and worth it
pytest_arguments="--rootdir $root -c $root/pyproject.toml -p no:cacheprovider -p no:benchmark -q -o addopts=--import-mode=importlib -m gpu -ra"
# shellcheck disable=SC2086
tests() { "$python" -m pytest $pytest_arguments "$@"; }
export -f bench gradlib tests
export root python results device pytest_arguments

# -- 1. what is here

environment() {
  date -u +%FT%TZ
  if command -v nvidia-smi > /dev/null; then nvidia-smi; else echo "nvidia-smi: not here"; fi
  for tool in compute-sanitizer ncu nsys nvcc c++; do echo "$tool: $(command -v $tool || echo 'not here')"; done
  "$python" - << 'EOF'
import importlib.metadata, platform
print("python", platform.python_version())
for name in ("numpy", "ml_dtypes", "cupy-cuda13x", "cupy-cuda12x", "cuda-bindings", "nvidia-cuda-nvrtc", "torch", "jax", "pytest"):
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print(name, "not installed")
EOF
  gradlib info
}
usable() { "$python" -c 'import sys; from gradlib import backend as b; there, why = b.available(sys.argv[1]); sys.exit(0 if there else f"{sys.argv[1]}: {why}")' "$device"; }
export -f environment usable
part 3 environment "environment" bash -c environment
if ! part 2 environment "device $device" bash -c usable; then
  say "nothing to do without the device"
  exit 1
fi

# -- 2. tests: those marked gpu, which include every op's own samples on cuda

gpu_tests() {
  local parallel=()
  "$python" -c 'import xdist' 2> /dev/null && [ "$(nproc)" -ge 8 ] && parallel=(-n 4)
  tests "$root/tests" "${parallel[@]}" | tee "$1"
  local code=${PIPESTATUS[0]}
  grep -Eq '[1-9][0-9]* passed' "$1" || { echo "no GPU test ran"; return 1; }
  return "$code"
}
sim_tests() { tests -m "not gpu" "$root/tests/test_registry.py" -k "kernels and sim and (max_pool2d or adam)"; }
export -f gpu_tests sim_tests
if ! "$python" -c 'import pytest' 2> /dev/null; then
  skip 25 "GPU tests" "pytest is not installed"
elif [ "$device" = cuda ]; then
  part 25 tests "GPU tests" bash -c "gpu_tests '$scratch/tests.txt'"
else
  skip 0 "GPU tests" "no GPU in a rehearsal; a few kernels on sim instead"
  part 25 tests "kernel tests on sim" bash -c sim_tests
fi

# -- 3. sanitizer: every kernel of the bench on small odd shapes, then ops on their own samples; each array an allocation
#       of its own, because a pool would hide a read past the end

cat > "$scratch/bench_once.py" << 'EOF'
import sys
import cupy
from gradlib.bench import main
cupy.cuda.set_allocator(None)
sys.exit(main(["--device", "cuda", "--size", "tiny", "--once", "--dtype", sys.argv[1]]))
EOF
cat > "$scratch/pytest_unpooled.py" << 'EOF'
import sys
import cupy
import pytest
cupy.cuda.set_allocator(None)
sys.exit(pytest.main(sys.argv[1:]))
EOF
if [ "$device" != cuda ]; then
  skip 15 "compute-sanitizer" "needs a GPU"
elif ! command -v compute-sanitizer > /dev/null; then
  skip 15 "compute-sanitizer" "not on PATH"
else
  for tool in memcheck racecheck; do
    part 4 sanitizer "compute-sanitizer $tool, float32" \
      compute-sanitizer --tool $tool --error-exitcode 9 "$python" "$scratch/bench_once.py" float32
  done
  part 3 sanitizer "compute-sanitizer memcheck, bfloat16" \
    compute-sanitizer --tool memcheck --error-exitcode 9 "$python" "$scratch/bench_once.py" bfloat16
  # shellcheck disable=SC2086
  part 4 sanitizer "compute-sanitizer memcheck, samples" \
    compute-sanitizer --tool memcheck --error-exitcode 9 "$python" "$scratch/pytest_unpooled.py" $pytest_arguments \
    "$root/tests/test_registry.py" -k "kernels and (dense or conv2d or matmul or pool2d or cross_entropy or norm or attention or embedding or lstm)"
fi

# -- 4 and 5. benches

part 22 bench "bench dense and conv" bash -c "bench dense conv"
part 15 bench "bench of the other suites" bash -c "bench adam norm attention embedding lstm step tape elementwise cross_entropy batch_norm pool"

# -- 6. a network

if [ "$device" = cuda ]; then
  part 8 train "train digits" bash -c "gradlib train digits --device cuda --out '$scratch/digits'"
else
  part 8 train "train digits, one epoch" bash -c "gradlib train digits --device sim --epochs 1 --out '$scratch/digits'"
fi

# -- 7. why the worst are the worst

if [ "$device" != cuda ]; then
  skip 10 "ncu" "needs a GPU"
elif ! command -v ncu > /dev/null; then
  skip 10 "ncu" "not on PATH"
else
  worst=$scratch/worst.txt
  newest=$(find "$results" -mindepth 2 -maxdepth 2 -name '*.json' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
  "$python" "$root/bench/run.py" --worst "$newest" --count 3 > "$worst"
  [ -s "$worst" ] || skip 10 "ncu" "no case has a floor"
  while IFS=$'\t' read -r suite _ dtype pass case <&3; do
    part 3 ncu "ncu $suite $case $dtype $pass" ncu --clock-control none --set full --launch-count 8 \
      "$python" "$root/bench/run.py" "$suite" --device cuda --dtype "$dtype" --case "$case" --pass "$pass" --once
  done 3< "$worst"
fi

echo
echo "=== summary"
cat "$summary"
say "$failures failed; logs in $logs, results in $results"
[ "$failures" -eq 0 ]
