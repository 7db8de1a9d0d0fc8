#!/usr/bin/env bash
# All speed benchmarks on one NVIDIA GPU, in at most nine minutes:
#
#     bash benchmarks/gpu.sh [FOLDER] [--only PARTS] [--cpu-smoke]
#
# Requires bash, timeout (GNU coreutils), a Python with torch for CUDA, and oraclezoo's dependencies
#     (pip install -e '.[dev]'; the checkout need not be installed, the script adds src/ to the path).
#     Lightning is a contender if installed (pip install lightning). PYTHON names the interpreter,
#     "python" by default. Without torchao (in [dev]), the int8 receipt is missing and that part
#     fails. The script downloads nothing: images are noise or generated.
# Writes to FOLDER (benchmarks/measurements/gpu-DATE) a JSON document and a log for each part
#     (environment, throughput-oraclenet, throughput-mobilenetv3, seeds-at-once, speed, scaling,
#     time-to-accuracy, receipts), tests.log, and summary.txt with exit status and time of each. If a
#     part fails or exceeds its time limit, its log remains and the script continues.
# Exits 0 if every part succeeded, else 1.
# --only receipts,speed: run only these parts, with the whole time budget.
# --cpu-smoke: run every part as briefly as possible on the CPU, to test this script.
set -u

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-python}"
device=cuda
folder=
only=
while (($#)); do
  case "$1" in
    --cpu-smoke) device=cpu ;;
    --only) only="${2:-}"; shift ;;
    -*) echo "gpu.sh: unknown option $1; options are --cpu-smoke and --only PARTS" >&2; exit 2 ;;
    *) folder="$1" ;;
  esac
  shift
done
folder="${folder:-$root/benchmarks/measurements/gpu-$(date +%Y-%m-%d)}"
mkdir -p "$folder" || exit 1
folder="$(cd "$folder" && pwd)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
cd "$root" || exit 1
export PYTHONPATH="$root/src${PYTHONPATH:+:$PYTHONPATH}"
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
}

short=()
alone=()
if [[ $device == cpu ]]; then
  short=(--quick)
  alone=(--threads 1)
fi
rival=()
if ! "$python" -c 'import lightning' 2> /dev/null; then rival=(--no-lightning); fi
turns=()
seeds=()
if [[ $device == cuda ]]; then
  turns=(--rounds 5 --turn-s 0.8)
  seeds=(--seeds 1,16)
fi

part environment 30 "$python" -c '
import json, sys, torch
from oraclezoo.measure import hardware
from oraclezoo.train.device import pick
device = pick(sys.argv[1])
about = {"hardware": hardware.describe(device), "libraries": hardware.libraries()}
about["calibration_s"] = hardware.calibrate(device)
with open(sys.argv[2], "w") as file:
    json.dump({"schema": "oraclezoo/environment/1", "data": about}, file, indent=2)
' "$device" "$folder/environment.json"

part throughput-oraclenet 140 "$python" benchmarks/throughput.py --device "$device" \
  --models oraclenet "${rival[@]}" "${turns[@]}" "${short[@]}" "${alone[@]}" \
  --out "$folder/throughput-oraclenet.json"

if [[ -f benchmarks/seeds_at_once.py ]]; then
  part seeds-at-once 80 "$python" benchmarks/seeds_at_once.py --device "$device" "${short[@]}" "${seeds[@]}" \
    --out "$folder/seeds-at-once.json"
fi

part tests 60 "$python" -m pytest -q -m 'gpu and not slow' -p no:cacheprovider tests

if [[ -f src/oraclezoo/recipes/speed.toml ]]; then
  part speed 45 "$python" benchmarks/time_to_accuracy.py --device "$device" --recipes speed \
    --seeds 2 --track glyphs "${short[@]}" --runs "$scratch/runs" --results "$folder/results" \
    --out "$folder/speed.json"
fi

part throughput-mobilenetv3 90 "$python" benchmarks/throughput.py --device "$device" \
  --models mobilenetv3_small_100 "${rival[@]}" "${turns[@]}" "${short[@]}" "${alone[@]}" \
  --out "$folder/throughput-mobilenetv3.json"

part scaling 75 "$python" benchmarks/scaling.py --device "$device" "${short[@]}" "${alone[@]}" \
  --turns 3 --turn-s 0.5 --out "$folder/scaling.json"

part time-to-accuracy 45 "$python" benchmarks/time_to_accuracy.py --device "$device" \
  --recipes default --seeds 2 --track glyphs-3k "${short[@]}" \
  --runs "$scratch/runs" --results "$folder/results" --out "$folder/time-to-accuracy.json"

part receipts 240 "$python" benchmarks/torch_receipts.py --device "$device" --rounds 1 \
  "${short[@]}" --out "$folder/receipts.json"

if [[ ! -s "$folder/summary.txt" ]]; then
  echo "gpu.sh: unknown part $only" >&2
  exit 2
fi
echo "wrote $folder"
exit "$failed"
