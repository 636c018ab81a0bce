# Every flipped byte of a lock is found, by verify and by whoever would use it; a lock cut anywhere is refused.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
expect_exit 0 reeve manifest lock shards.yaml
expect_exit 0 reeve verify shards.lock.h5
expect_exit 0 reeve verify shards.lock.h5 --json
one_json stdout
expect_equal ok "$(json stdout ok)" true

bytes=$(stat -c %s shards.lock.h5)
seed=${REEVE_SEED:-$RANDOM}
echo "seed $seed, $bytes bytes"
RANDOM=$seed
for round in $(seq 60); do
    at=$(((RANDOM * 32768 + RANDOM) % bytes))
    cp shards.lock.h5 flipped.h5
    flip flipped.h5 "$at"
    expect_exit 65 reeve verify flipped.h5
    expect_text stdout '^DAMAGE +flipped.h5: .*flipped.h5'
    expect_text stdout '; so '
    if [ $((round % 10)) = 0 ]; then
        expect_exit 65 reeve manifest show flipped.h5
        one_line stderr 'flipped.h5'
    fi
done
for round in $(seq 10); do
    head -c $((RANDOM % bytes)) shards.lock.h5 >cut.h5
    expect_exit 65 reeve verify cut.h5 --json
    one_json stdout
    expect_equal damaged "$(json stdout damaged)" 1
done
cat shards.lock.h5 <(echo more) >longer.h5
expect_exit 65 reeve verify longer.h5
: >nothing.h5
expect_exit 65 reeve verify nothing.h5
