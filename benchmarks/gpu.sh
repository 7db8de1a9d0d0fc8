#!/usr/bin/env bash
# All speed benchmarks on one NVIDIA GPU, in at most nine minutes:
#
#     bash benchmarks/gpu.sh [FOLDER] [--pack FILE] [--only PARTS] [--cpu-smoke]
#
# Requires bash, tar, timeout (GNU coreutils), a Python with torch for CUDA, and the dependencies of
#     oraclezoo (pip install -e '.[dev]'; the checkout need not be installed, src/ is on the path).
#     environment.json lists missing dependencies; PYTHONPATH may add pure-Python ones (pip install
#     --target). The Lightning contender and the int8 receipt require lightning and torchao. PYTHON
#     is the interpreter, "python" by default. Nothing is downloaded: images are noise or generated.
# Writes to FOLDER (benchmarks/measurements/gpu-DATE) a JSON document and a log for each part
#     (environment, throughput-oraclenet, seeds-at-once, speed, time-to-accuracy, receipts, scaling,
#     throughput-mobilenetv3), tests.log, and summary.txt with the exit status and seconds of each.
#     A part that fails or exceeds its time limit leaves its log, and the others continue.
# --pack: archive the folder as one .tar.gz file after each part.
# Exit status 0 if every part succeeded, else 1.
# --only receipts,speed: run these parts only, without their usual time limits.
# --cpu-smoke: run short versions of all parts on the CPU, to test this script.
set -u

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-python}"
device=cuda
folder=
only=
pack=
while (($#)); do
  case "$1" in
    --cpu-smoke) device=cpu ;;
    --only) only="${2:-}"; shift ;;
    --pack) pack="${2:-}"; shift ;;
    -*) echo "gpu.sh: unknown option $1; options: --pack FILE, --only PARTS, --cpu-smoke" >&2; exit 2 ;;
    *) folder="$1" ;;
  esac
  shift
done
folder="${folder:-$root/benchmarks/measurements/gpu-$(date +%Y-%m-%d)}"
mkdir -p "$folder" || exit 1
folder="$(cd "$folder" && pwd)"
if [[ -n $pack ]]; then pack="$(cd "$(dirname "$pack")" && pwd)/$(basename "$pack")" || exit 1; fi
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
cd "$root" || exit 1
export PYTHONPATH="$root/src${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1  # logs of interrupted parts are complete
: > "$folder/summary.txt"
deadline=$((SECONDS + 520))
failed=0

# part NAME LIMIT_S COMMAND...: run with stdout and stderr in NAME.log, within the remaining time
part() {
  local name="$1" limit="$2" start=$SECONDS status left=$((deadline - SECONDS))
  shift 2
  if [[ -n $only ]]; then
    if [[ ",$only," != *",$name,"* ]]; then return; fi
    limit=$left
  fi
  if ((left < 5)); then
    echo "$name: skipped, no time left" | tee -a "$folder/summary.txt"
    failed=1
    return
  fi
  if ((limit > left)); then limit=$left; fi
  timeout -s INT -k 10 "$limit" "$@" > "$folder/$name.log" 2>&1 < /dev/null
  status=$?
  if ((status != 0)); then failed=1; fi
  echo "$name: status $status, $((SECONDS - start)) s of $limit" | tee -a "$folder/summary.txt"
  if [[ -n $pack ]]; then tar -C "$folder" -czf "$pack" . || failed=1; fi
}

# has MODULE: whether it is installed, without importing it
has() {
  "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)' "$1"
}

short=()
alone=()
if [[ $device == cpu ]]; then
  short=(--quick)
  alone=(--threads 1)
fi
rival=()
if ! has lightning; then rival=(--no-lightning); fi
precisions=(--precisions bf16,fp16)
if has torchao; then precisions=(--precisions bf16,fp16,int8); fi
turns=()
seeds=()
few=()
if [[ $device == cuda ]]; then
  turns=(--rounds 5 --turn-s 0.6 --batches 512,2048)
  # without "compiled", whose compilation may exceed the limit
  seeds=(--seeds 16 --ways "in turn,stacked,threads,processes")
  few=(--largest 100000)
fi

part environment 60 "$python" -c '
import json, re, sys, tomllib
from importlib import metadata
from oraclezoo.measure import hardware
from oraclezoo.engine.device import pick

def installed(name):
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True

with open("pyproject.toml", "rb") as file:
    needed = tomllib.load(file)["project"]["dependencies"]
names = [re.match(r"[\w.-]+", line)[0] for line in needed]
missing = [name for name in names if not installed(name)]
print("missing:", ", ".join(missing) or "nothing")
device = pick(sys.argv[1])
about = {"hardware": hardware.describe(device), "libraries": hardware.libraries()}
about |= {"missing": missing, "calibration_s": hardware.calibrate(device)}
with open(sys.argv[2], "w") as file:
    json.dump({"schema": "oraclezoo/environment/1", "data": about}, file, indent=2)
' "$device" "$folder/environment.json"

part throughput-oraclenet 130 "$python" benchmarks/throughput.py --device "$device" \
  --models oraclenet "${rival[@]}" "${turns[@]}" "${short[@]}" "${alone[@]}" \
  --out "$folder/throughput-oraclenet.json"

# only files with marked tests: an import error in another file would fail the part. The options of
# pyproject.toml are omitted: strict ones reject settings of plugins that are not installed
mapfile -t marked < <(grep -rl --include='test_*.py' '^@pytest.mark.gpu' tests)
part tests 60 "$python" -m pytest -q -ra -o addopts= -m 'gpu and not slow' \
  --continue-on-collection-errors -p no:cacheprovider "${marked[@]}"

part seeds-at-once 75 "$python" benchmarks/seeds_at_once.py --device "$device" --debug \
  "${short[@]}" "${seeds[@]}" --out "$folder/seeds-at-once.json"

part speed 60 "$python" benchmarks/time_to_accuracy.py --device "$device" --recipes speed \
  --seeds 2 --track glyphs "${short[@]}" --runs "$scratch/runs" --results "$folder/results" \
  --out "$folder/speed.json"

part time-to-accuracy 75 "$python" benchmarks/time_to_accuracy.py --device "$device" \
  --recipes default --seeds 2 --track glyphs-3k "${short[@]}" \
  --runs "$scratch/runs" --results "$folder/results" --out "$folder/time-to-accuracy.json"

# writes its document after each precision, so a timeout keeps the finished ones
part receipts 120 "$python" benchmarks/torch_receipts.py --device "$device" --rounds 1 \
  "${precisions[@]}" "${short[@]}" --out "$folder/receipts.json"

part scaling 60 "$python" benchmarks/scaling.py --device "$device" "${short[@]}" "${alone[@]}" \
  --turns 3 --turn-s 0.5 "${few[@]}" --out "$folder/scaling.json"

# without compilation, which takes a minute for this deep network
part throughput-mobilenetv3 90 "$python" benchmarks/throughput.py --device "$device" \
  --models mobilenetv3_small_100 --no-compile "${rival[@]}" "${turns[@]}" "${short[@]}" \
  "${alone[@]}" --out "$folder/throughput-mobilenetv3.json"

if [[ ! -s "$folder/summary.txt" ]]; then
  echo "gpu.sh: unknown part $only" >&2
  exit 2
fi
echo "wrote $folder"
exit "$failed"
