# Every shard format is measured for what it is, stated or told by its first bytes; what it cannot be is refused.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

manifest() { # manifest FILE LINE...: shards.yaml of one shard with further lines at the top
    local file=$1
    shift
    { printf 'dataset: one\n'; printf '%s\n' "$@"; printf 'shards:\n  - path: %s\n' "$file"; } >shards.yaml
    rm -f shards.lock.h5
}

measured() { # measured FORMAT TOKEN_BYTES TOKENS
    expect_exit 0 reeve manifest lock shards.yaml
    expect_exit 0 reeve manifest show shards.lock.h5 --json
    expect_equal format "$(json stdout shards.0.format)" "$1"
    expect_equal token_bytes "$(json stdout shards.0.token_bytes)" "$2"
    expect_equal tokens "$(json stdout shards.0.tokens)" "$3"
    expect_exit 0 reeve manifest check shards.lock.h5
}

refused() { # refused PATTERN
    expect_exit 65 reeve manifest lock shards.yaml
    one_line stderr "$1"
    [ ! -e shards.lock.h5 ] || fail "a lock was written"
}

printf 'some text\n' >a.txt
manifest a.txt 'format: text' 'tokenizer: bytes'
measured text 1 10
manifest a.txt 'tokenizer: bytes'
measured text 1 10
manifest a.txt 'tokenizer: gpt2'
refused 'a.txt: .*format: nanogpt'

make_llmc a.bin 1000
manifest a.bin 'tokenizer: gpt2' 'format: llm.c'
measured llm.c 2 1000
manifest a.bin 'tokenizer: gpt2'
measured llm.c 2 1000
head -c 2000 a.bin >cut.bin
manifest cut.bin 'tokenizer: gpt2' 'format: llm.c'
refused 'cut.bin: .*1000 tokens make 3024 bytes'
head -c 100 a.bin >head.bin
manifest head.bin 'tokenizer: gpt2' 'format: llm.c'
refused 'head.bin: .*100 bytes'

make_nanogpt raw.bin 777
manifest raw.bin 'tokenizer: gpt2' 'format: nanogpt' 'dtype: uint16'
measured nanogpt 2 777
printf 'x' >>raw.bin
manifest raw.bin 'tokenizer: gpt2' 'format: nanogpt'
refused 'raw.bin: .*whole number'
manifest raw.bin 'tokenizer: gpt2' 'format: llm.c'
refused 'raw.bin: .*magic'

[ -n "$python_h5py" ] || skip "python3-h5py is not installed: text, llm.c and nanogpt passed, hdf5 was not tried"
make_hdf5 a.h5 500
manifest a.h5 'tokenizer: gpt2' 'format: hdf5'
measured hdf5 2 500
manifest a.h5 'tokenizer: gpt2'
measured hdf5 2 500
"$python_h5py" -c 'import h5py; f = h5py.File("no.h5", "w"); f["words"] = [1, 2, 3]'
manifest no.h5 'tokenizer: gpt2'
refused 'no.h5.*/tokens'
"$python_h5py" -c 'import h5py, numpy; h5py.File("f.h5", "w")["tokens"] = numpy.zeros(5)'
manifest f.h5 'tokenizer: gpt2'
refused 'f.h5.*/tokens'
"$python_h5py" -c 'import h5py, numpy; h5py.File("z.h5", "w").create_dataset("tokens", data=numpy.zeros(5000, "u2"), compression="gzip")'
manifest z.h5 'tokenizer: gpt2'
refused 'z.h5'
head -c 1000 a.h5 >t.h5
manifest t.h5 'tokenizer: gpt2'
refused 't.h5'
