#!/usr/bin/env bash
# Reeve's gpt beside PyTorch's, in turns: the same model, batch, threads and BLAS library, in one run.
#
#   gpt_vs_pytorch.sh BUILD_DIR VOCAB THREADS [ROUNDS] [STEPS]
#
# Needs a build of Reeve, and python3 with torch (Debian 13: apt install python3-torch libopenblas0-openmp), both on
# this system. PyTorch is given OpenBLAS in its OpenMP build, which Reeve is linked to: with Debian's default, the
# pthread build, it is three times slower with two threads. Prints a row for each round, then the medians; the kernels
# that OpenBLAS picked are told for both, for they must be the same. Exit codes: 0; 64 usage; 69 no PyTorch here.
set -euo pipefail

[ $# -ge 3 ] || { sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 64; }
build=$1 vocab=$2 threads=$3 rounds=${4:-3} steps=${5:-5}
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
python3 -c 'import torch' 2>/dev/null || { echo "gpt_vs_pytorch: no PyTorch here: apt install python3-torch" >&2; exit 69; }

export OMP_NUM_THREADS=$threads
for folder in /usr/lib/*/openblas-openmp; do
    [ -d "$folder" ] && export LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done

reeve() { # -> tokens/s GFLOP/s sgemm MiB loss kernels
    "$build/bin/bench-gpt_step" 6 6 384 256 4 "$vocab" "$threads" "$steps" |
        awk -F ' *[|] *' 'END { print $10, $11, $12, $15, $16, $17 }'
}

median() {
    sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
echo "| vocabulary | threads | Reeve tokens/s | GFLOP/s | sgemm GFLOP/s | MiB | loss | kernels | PyTorch tokens/s | loss | MiB | kernels | ratio |"
echo "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
for _ in $(seq "$rounds"); do
    ours=$(reeve) theirs=$(python3 "$here/gpt_vs_pytorch.py" "$vocab" "$threads" "$steps")
    echo "$ours $theirs" | awk -v v="$vocab" -v t="$threads" -v OFS=' | ' \
        '{ print "| " v, t, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, sprintf("%.2f |", $1 / $7) }' | tee -a "$rows"
done
for column in 4 5 6 10 14; do
    awk -F ' *[|] *' -v c="$column" '{ print $c }' "$rows" | median
done | awk '{ m[NR] = $1 } END { printf "median of %s rounds: Reeve %s tokens/s (%s of %s GFLOP/s), PyTorch %s, ratio %s\n", r, m[1], m[2], m[3], m[4], m[5] }' \
    r="$rounds"
