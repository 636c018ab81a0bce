# Lock, show and check: the lock does not depend on threads or the folder one stands in, and names what changed since.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
expect_exit 0 reeve manifest lock shards.yaml --json
one_json stdout
digest=$(json stdout manifest_digest)
expect_equal lock "$(json stdout lock)" shards.lock.h5
expect_equal shards "$(json stdout shards)" 5
expect_equal tokens "$(json stdout tokens)" "$(cat pod/*.pod | wc -c)"
expect_equal replaced "$(json stdout replaced)" false
[ "$(find . -name '*tmp*' | wc -l)" = 0 ] || fail "temporary files were left"

for jobs in 1 3; do
    expect_exit 0 reeve manifest lock shards.yaml -o "by-$jobs.h5" --jobs "$jobs"
    cmp shards.lock.h5 "by-$jobs.h5" || fail "the lock depends on the number of threads"
done
mkdir elsewhere
(cd elsewhere && reeve manifest lock ../shards.yaml -o there.h5 --json >../there.json) || fail "lock from another folder"
expect_equal "digest from another folder" "$(json there.json manifest_digest)" "$digest"
expect_exit 0 reeve manifest check elsewhere/there.h5

expect_exit 0 reeve manifest show shards.lock.h5 --sequence 16 --json
one_json stdout
expect_equal manifest_digest "$(json stdout manifest_digest)" "$digest"
expect_equal dataset "$(json stdout dataset)" pods
expect_equal vocab "$(json stdout vocab)" 256
expect_equal "path of the last" "$(json stdout shards.4.path)" pod/text-5.pod
expect_equal "weight of the last" "$(json stdout shards.4.weight)" 2
expect_equal "priority of the last" "$(json stdout shards.4.priority)" 5
bytes=$(stat -c %s pod/text-5.pod)
expect_equal "samples of the last" "$(json stdout shards.4.samples)" $(((bytes - 1) / 16))
expect_exit 0 reeve manifest show shards.yaml       # through its lock
expect_text stdout 'text-5.pod'

expect_exit 0 reeve manifest check shards.lock.h5
expect_text stdout 'all 5 shards are as they were locked'
expect_exit 0 reeve manifest check shards.yaml --json
expect_equal ok "$(json stdout ok)" true

# What is no lock by its name is a manifest, whatever it is called: to each of the three.
cp shards.yaml shards.list
expect_exit 0 reeve manifest check shards.list
expect_text stdout 'all 5 shards can be used.*there is no lock yet'
expect_exit 0 reeve manifest show shards.list
rm shards.list

# One byte changed, one shard gone: both named, in order, and what changed decides the exit code.
flip pod/text-2.pod 100
mv pod/text-4.pod pod/other
expect_exit 65 reeve manifest check shards.lock.h5
expect_text stdout 'text-2.pod'
expect_text stdout 'text-4.pod'
expect_text stdout '2 of 5 shards'
expect_exit 65 reeve manifest check shards.lock.h5 --json
one_json stdout
expect_equal wrong "$(json stdout wrong)" 2
expect_equal "first finding" "$(json stdout findings.0.status)" INPUT_CHANGED
expect_equal "second finding" "$(json stdout findings.1.status)" INPUT_MISSING
flip pod/text-2.pod 100
expect_exit 66 reeve manifest check shards.lock.h5
mv pod/other pod/text-4.pod
expect_exit 0 reeve manifest check shards.lock.h5

# Same size, other bytes: the size alone would not tell.
printf 'X' | dd of=pod/text-1.pod bs=1 conv=notrunc status=none
expect_exit 65 reeve manifest check shards.lock.h5
expect_text stdout 'text-1.pod'

# Locked again, the digest is another, and it says so.
expect_exit 0 reeve manifest lock shards.yaml --json
expect_equal changed "$(json stdout changed)" true
[ "$(json stdout manifest_digest)" != "$digest" ] || fail "another text has the same digest"

# A manifest that was edited no longer fits its lock.
sed -i 's/weight: 2/weight: 3/' shards.yaml
expect_exit 65 reeve plan job.yaml
one_line stderr 'shards.yaml: shard 4 .*changed since shards.lock.h5|shard 4 .*changed'
expect_exit 0 reeve manifest lock shards.yaml
expect_exit 0 reeve plan job.yaml
