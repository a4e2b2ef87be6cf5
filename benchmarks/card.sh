#!/usr/bin/env bash
# One call on a machine with a GPU: check, measure, then train what results/ lacks for as long as there is time.
#
#   benchmarks/card.sh DATA_ROOT MINUTES OUT [options of images.py]
#
#   DATA_ROOT  holds cifar-10-batches-py (and cifar-100-python; without it those cells are passed over)
#   MINUTES    for all of it; a cell that would not be finished by then is given up
#   OUT        gets measured-BATCH.txt, training.log, and published.tar.gz after each cell: `tar xzf` in a clone puts
#              what is published in its place
#
# Nothing is installed: `import jointens` has to work with $PYTHON (python3). $DEVICE (cuda) is used. The ways to run a
# step are measured with batches of $BATCHES (128 512), the first of which chooses the fastest; $EXECUTION names one and
# skips that. Outside a git repository $JOINTENS_COMMIT says which commit this is.
#
# Exit code 0 done, 1 losses differ or a part failed (if no way reaches the losses, nothing is trained), 2 wrong input.
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "card.sh: given were $# arguments; needed are DATA_ROOT MINUTES OUT" >&2
  exit 2
fi
data=$(realpath -m "$1") minutes=$2 out=$(realpath -m "$3")
shift 3
case $minutes in '' | *[!0-9]* | 0*) echo "card.sh: MINUTES is '$minutes'; allowed is a whole number above 0" >&2; exit 2 ;; esac
cd "$(dirname "$0")/.."
mkdir -p "$out"
python=${PYTHON:-python3} device=${DEVICE:-cuda} execution=${EXECUTION:-} failed=0
export PYTHONUNBUFFERED=1 PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

measure() { # BATCH options…
  local status=0
  "$python" benchmarks/images.py --data-root "$data" --device "$device" --base-learner ResNet18 \
    --precision bfloat16 --rounds 3 --train-size 12800 --val-size 2000 --batch-size "$@" |
    tee "$out/measured-$1.txt" || status=$?
  if [ $status = 2 ]; then exit 2; fi
  if [ $status != 0 ]; then failed=1; fi
}

if [ -z "$execution" ]; then
  for batch in ${BATCHES:-128 512}; do
    if [ -z "$execution" ]; then
      measure "$batch" "$@"
      execution=$(sed -n 's/^fastest: //p' "$out/measured-$batch.txt")
      if [ "$execution" = none ]; then exit 1; fi
      execution=${execution:-graph} # where the measuring broke off
    else
      measure "$batch" --ways --execution "$execution" "$@"
    fi
  done
fi

left=$((60 * minutes - SECONDS))
if [ $left -le 0 ]; then
  echo "card.sh: no time is left for training; EXECUTION=$execution skips the measuring" >&2
  exit $failed
fi
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
status=0
"$python" results/publish.py --missing --minutes "$(awk "BEGIN { print $left / 60 }")" \
  data_root="$data" device="$device" execution="$execution" out="$runs" 2>"$out/training.log" |
  while read -r file; do
    [ -f "$file" ] || continue # the last line is the folder
    tar czf "$out/.published.tar.gz" results
    mv "$out/.published.tar.gz" "$out/published.tar.gz"
    echo "published: $file"
  done || status=$?
tr '\r' '\n' <"$out/training.log" | grep -v 'epoch/s\|^ *$' >&2 || true # without the bars
[ $status = 0 ] && exit $failed
exit $status
