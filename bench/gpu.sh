#!/usr/bin/env bash
# Everything worth doing with ten minutes of a machine that has an NVIDIA GPU and no network, the most important first:
# the tests of the tensor-core kernels, their results a hundred times bit for bit, the sanitizer over them, what this
# machine can do, dense and convolution beside PyTorch and JAX where installed, tuning, a profile of the worst kernels;
# then, with the time that is left (thirty minutes are enough for all), the other tests and benches and a training run.
#
#   bench/gpu.sh [--minutes 10] [--device cuda|sim]
#
# Runs from a plain checkout or a copy of one; needs Python with gradlib's dependencies (PYTHON=..., default python3).
# A copy without its history is told its commit by GRADLIB_COMMIT.
# Logs go to $OUT and the result file, written anew after every case, to $OUT/<machine>/; so does what tuning found.
# Without OUT the result file goes to bench/results/<machine>/ and the logs to bench/results/logs/.
# A part that fails or runs out of its time does not stop the next; the summary tells, with what it had seen until then,
# and the exit code is 1.
# `--device sim` rehearses the whole on a machine without a GPU, on tiny shapes; tools that need one are left out of the
# commands then.
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
rm -f "$logs"/{environment,tests,repeat,sanitizer,bench,tune,train,ncu}.txt
failures=0
end=$((SECONDS + minutes * 60))
shares_left=100

say() { echo "$*" | tee -a "$summary"; }

# part SHARE LOG TITLE COMMAND...: run a command for at most its share (of 100) of the time that is left, and tell how it
# ended.  It is interrupted as by Ctrl-C, on which pytest tells what failed so far, and killed if that does not help.
part() {
  local share=$1 log=$logs/$2.txt title=$3 begin=$SECONDS code limit before seen
  shift 3
  limit=$(((end - SECONDS) * share / (shares_left > 0 ? shares_left : 1)))
  [ $limit -lt 10 ] && limit=10
  shares_left=$((shares_left - share))
  { echo; echo "=== $title"; echo "\$ $*"; } | tee -a "$log"
  before=$(wc -l < "$log")
  timeout --signal=INT --kill-after=20 "$limit" "$@" 2>&1 | tee -a "$log"
  code=${PIPESTATUS[0]}
  seen=$(tail -n "+$((before + 1))" "$log" | grep -aEo '([0-9]+ (failed|passed|error)[^=]*|ERROR SUMMARY: .*)' | tail -n 1)
  case $code in
    0) say "passed   $title ($((SECONDS - begin)) s)" ;;
    124 | 137) say "FAILED   $title: stopped after $limit s (${seen:-its log and results so far are kept})" ;;
    *) say "FAILED   $title: exit code $code ($((SECONDS - begin)) s)${seen:+ ($seen)}" ;;
  esac
  [ "$code" -eq 0 ] || failures=$((failures + 1))
  return "$code"
}

skip() { shares_left=$((shares_left - $1)); say "skipped  $2: $3"; }
bench() { "$python" "$root/bench/run.py" --device "$device" --out "$results" "$@"; }
gradlib() { "$python" -c 'import sys; from gradlib.cli import main; sys.exit(main(sys.argv[1:]))' "$@"; }
# under TOOL OPTIONS... -- COMMAND...: the command under a tool of the GPU; in a rehearsal the command alone
under() {
  local tool=()
  while [ "$1" != -- ]; do tool+=("$1"); shift; done
  shift
  if [ "$device" = cuda ]; then "${tool[@]}" "$@"; else echo "without ${tool[*]}"; "$@"; fi
}
# pytest's own arguments: those of the project, but parallel only where that is installed and worth it
pytest_arguments="--rootdir $root -c $root/pyproject.toml -p no:cacheprovider -p no:benchmark --continue-on-collection-errors -q -o addopts=--import-mode=importlib -ra --tb=short --maxfail=50"
[ "$device" = cuda ] && pytest_arguments="$pytest_arguments -m gpu"
# tests FILE... OPTIONS: some must pass; a kernel that hangs costs one test and says which (most of the time is compiling)
tests() {
  local parallel=() stuck=(-o faulthandler_timeout=90) code workers=$(($(nproc) / 2))
  [ "$device" = cuda ] && "$python" -c 'import xdist' 2> /dev/null && [ $workers -ge 2 ] && parallel=(-n $((workers < 8 ? workers : 8)))
  "$python" -m pytest --help | grep -q faulthandler_exit_on_timeout && stuck+=(-o faulthandler_exit_on_timeout=true)
  # shellcheck disable=SC2086
  "$python" -m pytest $pytest_arguments "${stuck[@]}" "${parallel[@]}" "$@" | tee -i "$scratch/tests.txt"
  code=${PIPESTATUS[0]}
  grep -Eq '[1-9][0-9]* passed' "$scratch/tests.txt" || { echo "no test passed"; return 1; }
  return "$code"
}
export -f bench gradlib tests under
export root python results device pytest_arguments scratch

# What is run of each part; a rehearsal takes little of it, since every kernel is compiled for the CPU first.
# The tests of what is newest and most likely to fail come first.
of_products=("$root"/tests/ops/product/test_{sm90,patches,transposed,scaled,grouped,mma,planes,thin,double,direct}.py)
of_tensor_cores=("${of_products[@]}" "$root"/tests/ops/test_{dense,dense_chain,dense_residual,matmul,conv,conv_norm,grouped,scaled,attention}.py "$root"/tests/backend/test_ptx_*.py)
if [ "$device" = cuda ]; then
  first_tests=("${of_tensor_cores[@]}")
  other_tests=("$root/tests")
  for path in "${of_tensor_cores[@]}"; do other_tests+=("--ignore=$path"); done
  repeated=(dense conv attention --repeat 100)
  sanitized=("${of_products[@]}")
  once=(--size tiny --once)
  bench_first=(dense conv)
  bench_dtypes=(bfloat16 float32)
  bench_rest=(attention norm adam embedding lstm step tape launch elementwise cross_entropy batch_norm pool)
  tuned=(--candidates 6)
  trained=()
else
  first_tests=("$root/tests/ops/product/test_mma.py" -k "sim and layouts and 3-5-7-layout0")
  other_tests=("$root/tests/bench/test_results.py")
  repeated=(dense --case 5x7x3 --repeat 3)
  sanitized=("$root/tests/ops/product/test_index_maths.py" -k "bands")
  once=(dense --size tiny --once --case 5x7x3 --pass forward)
  bench_first=(dense conv --case relu --pass forward --seconds 0.001)
  bench_dtypes=(float32)
  bench_rest=(elementwise --case gelu --pass forward --seconds 0.001)
  tuned=(5x7x3 --candidates 1 --seconds 0.001)
  trained=(--epochs 1 --limit 64)
fi

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
part 1 environment "environment" bash -c environment
if ! part 1 environment "device $device" bash -c usable; then
  say "nothing to do without the device"
  exit 1
fi

# -- 2. tests: the tensor-core kernels, and what is built on them

has_pytest=false
"$python" -c 'import pytest' 2> /dev/null && has_pytest=true
if $has_pytest; then
  part 18 tests "tests of the tensor-core kernels" bash -c 'tests "$@"' tests "${first_tests[@]}"
else
  skip 18 "tests of the tensor-core kernels" "pytest is not installed"
fi

# -- 3. a race would change bits: layers at the sizes of the bench, again and again

part 4 repeat "the same bits, again and again" bash -c 'bench "$@"' bench "${repeated[@]}"

# -- 4. sanitizer: those tests, then every kernel of the bench on small odd shapes; each array an allocation of its own,
#       because a pool would hide a read past the end

cat > "$scratch/unpooled.py" << 'EOF'
import os
import sys
if os.environ["device"] == "cuda":
    import cupy
    cupy.cuda.set_allocator(None)
if sys.argv[1] == "bench":
    from gradlib.bench import main
    sys.exit(main(sys.argv[2:]))
import pytest
sys.exit(pytest.main(sys.argv[2:]))
EOF
if [ "$device" = cuda ] && ! command -v compute-sanitizer > /dev/null; then
  skip 13 "compute-sanitizer" "not on PATH"
else
  if $has_pytest; then
    # shellcheck disable=SC2086
    part 7 sanitizer "compute-sanitizer memcheck, kernel tests" bash -c 'under "$@"' under \
      compute-sanitizer --tool memcheck --error-exitcode 9 -- "$python" "$scratch/unpooled.py" tests $pytest_arguments "${sanitized[@]}"
  else
    skip 7 "compute-sanitizer memcheck, kernel tests" "pytest is not installed"
  fi
  for tool in memcheck racecheck; do
    for dtype in bfloat16 float32; do
      [ "$tool $dtype" = "racecheck bfloat16" ] && continue # it knows nothing of mbarriers and bulk copies
      part 2 sanitizer "compute-sanitizer $tool, $dtype" bash -c 'under "$@"' under \
        compute-sanitizer --tool $tool --error-exitcode 9 -- \
        "$python" "$scratch/unpooled.py" bench --device "$device" --dtype $dtype "${once[@]}"
    done
  done
fi

# -- 5. what this very machine can do, then dense and convolution against it and beside the others

part 3 bench "copy bandwidth and matrix peak" bash -c 'bench --limits'
for dtype in "${bench_dtypes[@]}"; do
  part 13 bench "bench dense and conv, $dtype" bash -c 'bench "$@"' bench --dtype $dtype "${bench_first[@]}"
done

# -- 6. tuning

part 10 tune "tuning" bash -c 'gradlib tune "$@"' tune --device "$device" "${tuned[@]}"
cp "$("$python" -c 'from gradlib.kernel import cache; print(cache.folder())')"/tuned-*.json "$results"/ 2> /dev/null

# -- 7. why the worst are the worst: each launch's own time, which needs no right to read counters, then a profile

worst=$scratch/worst.txt
newest=$(find "$results" -mindepth 2 -maxdepth 2 -name '*.json' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
"$python" "$root/bench/run.py" --worst "$newest" --count 3 > "$worst"
# Without a roofline nothing has a floor; the rehearsal takes a case of its own.
[ "$device" = sim ] && printf 'dense\tsim\tfloat32\tforward\t5x7x3 relu\n' > "$worst"
[ -s "$worst" ] || skip 9 "the worst" "no case has a floor"
profiler=true
[ "$device" = cuda ] && ! command -v ncu > /dev/null && profiler=false
$profiler || say "skipped  ncu: not on PATH"
while IFS=$'\t' read -r suite _ dtype pass case <&3; do
  again=("$python" "$root/bench/run.py" "$suite" --device "$device" --dtype "$dtype" --case "$case" --pass "$pass" --once)
  part 1 ncu "launches of $suite $case $dtype $pass" env GRADLIB_DEBUG=2 "${again[@]}"
  $profiler && part 2 ncu "ncu $suite $case $dtype $pass" bash -c 'under "$@"' under \
    ncu --clock-control none --set full --launch-count 8 -- "${again[@]}"
done 3< "$worst"

# -- 8. with the time that is left: the other tests, the other suites, a network

if $has_pytest; then
  part 7 tests "the other tests" bash -c 'tests "$@"' tests "${other_tests[@]}"
else
  skip 7 "the other tests" "pytest is not installed"
fi
part 6 bench "bench of the other suites" bash -c 'bench "$@"' bench "${bench_rest[@]}"
part 2 train "train digits" bash -c 'gradlib train digits "$@"' train --device "$device" --out "$scratch/digits" "${trained[@]}"

echo
echo "=== summary"
cat "$summary"
say "$failures failed; logs in $logs, results in $results"
[ "$failures" -eq 0 ]
