# Missing, empty and unreadable shards, and a shards.yaml that is wrong: one line, file and place, and no lock is written.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text

refused() { # refused CODE PATTERN
    expect_exit "$1" reeve manifest lock shards.yaml
    one_line stderr "^reeve: .*$2"
    [ ! -e shards.lock.h5 ] || fail "a lock was written"
    expect_equal "temporary files" "$(find . -name '*tmp*')" ""
}

cp shards.yaml good.yaml
wrong_yaml() { # wrong_yaml PATTERN TEXT: TEXT in place of shards.yaml
    printf '%s\n' "$2" >shards.yaml
    refused 65 "shards.yaml:[0-9]+:[0-9]+: .*$1"
    cp good.yaml shards.yaml
}

rm pod/text-5.pod
refused 66 'text-5.pod'
: >pod/text-5.pod
refused 65 'text-5.pod.*empty'
rm pod/text-5.pod && mkdir pod/text-5.pod
refused 65 'text-5.pod'
rmdir pod/text-5.pod && mkfifo pod/text-5.pod    # must not wait for somebody to write into it
expect_exit 65 within 10 reeve manifest lock shards.yaml
rm pod/text-5.pod && echo text >pod/text-5.pod
if [ "$(id -u)" != 0 ]; then
    chmod 000 pod/text-5.pod
    refused 77 'text-5.pod'
    chmod 644 pod/text-5.pod
fi

wrong_yaml 'glob' $'dataset: d\nshards:\n  - glob: "pod/*.txt"'
wrong_yaml 'shards' $'dataset: d\nshards: []'
wrong_yaml "frmat.*did you mean 'format'" $'dataset: d\nfrmat: text\nshards:\n  - path: pod/text-1.pod'
wrong_yaml 'weight' $'dataset: d\nshards:\n  - path: pod/text-1.pod\n    weight: 0'
wrong_yaml 'weight' $'dataset: d\nshards:\n  - path: pod/text-1.pod\n    weight: 1001'
wrong_yaml 'text-1.pod' $'dataset: d\nshards:\n  - path: pod/text-1.pod\n  - path: pod/text-1.pod'
wrong_yaml 'format' $'dataset: d\nformat: parquet\nshards:\n  - path: pod/text-1.pod'
wrong_yaml '' $'dataset: d\nshards: [}'

# Without a lock `check` names every shard that cannot be used, and not only the first.
make_llmc a.bin 100
make_llmc c.bin 100
head -c 1100 a.bin >b.bin
head -c 50 a.bin >d.bin
printf 'dataset: d\ntokenizer: gpt2\nformat: llm.c\nshards:\n  - glob: "?.bin"\n' >shards.yaml
expect_exit 65 reeve manifest check shards.yaml
expect_text stdout 'b.bin'
expect_text stdout 'd.bin'
expect_text stdout '2 of 4 shards are not usable'
refused 65 'b.bin'
cp good.yaml shards.yaml

# Nowhere to write: 73, and nothing is left behind.
expect_exit 73 reeve manifest lock shards.yaml -o no/such/folder/lock.h5
one_line stderr 'no/such/folder'
