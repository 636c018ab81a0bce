# The layer rule, read from the sources: which folder may include which, and which system header belongs to whom.
# What the linker says of it is asked in linking.sh.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

# A folder may include itself and what stands here. base < core < port < {config, store, net, coll, export} < run < cli;
# model and workload stand beside, on the public headers and base. Siblings never include each other.
declare -A may_include=(
    [base]=""
    [core]="base"
    [port]="core base"
    [config]="core base"
    [store]="port core base"
    [net]="port core base"
    [coll]="port core base"
    [export]="port core base"
    [model]="base"
    [workload]="model base"
    [run]="workload export coll net store config port core base"
    [cli]="run workload export store config port core base"
)
# What puts MPI and the rest together: the program that mpirun starts.
composition="cli/reeve_rank.c cli/rank_members.c cli/rank_members.h cli/rank_replace.h cli/rank_device_cuda.c"
may_include_composition="net coll"

# System headers with one owner; everybody else goes through its interface.
declare -A owner_of=(
    [mpi.h]="net coll" [mpi-ext.h]="net coll" [nccl.h]="coll"
    [cuda_runtime.h]="model coll" [cuda_runtime_api.h]="model coll" [cuda_bf16.h]="model" [cublasLt.h]="model"
    [hdf5.h]="store" [H5public.h]="store"
    [cblas.h]="model"
    [yaml.h]="config"
    [xxhash.h]="base" [xxh_x86dispatch.h]="base"
)

# All that core may take from the system: headers of ISO C without a file, a clock, a thread or an environment behind them.
core_headers="assert.h ctype.h errno.h float.h inttypes.h limits.h math.h stdarg.h stdalign.h stdbool.h stddef.h
stdint.h stdio.h stdlib.h stdnoreturn.h string.h"
# stdio.h and stdlib.h are there for snprintf, malloc and qsort. The rest of them is named here, and refused.
core_calls='fopen|fdopen|freopen|fclose|fread|fwrite|fprintf|printf|puts|fputs|fputc|putchar|perror|remove|rename|tmpfile|getenv|setenv|system|rand|srand|random|exit|abort|open|close|read|write|pread|pwrite|time|clock|clock_gettime|gettimeofday|sleep|usleep|nanosleep|pthread_[a-z_]+|MPI_[A-Za-z_]+|H5[A-Z][A-Za-z0-9_]*'

in_list() { # in_list WORD LIST
    case " ${2//$'\n'/ } " in *" $1 "*) return 0 ;; esac
    return 1
}

complain() {
    printf '%s\n' "$*"
    complaints=$((complaints + 1))
}

check_include() { # check_include FILE LINE FOLDER HEADER FORM
    local file=$1 line=$2 folder=$3 header=$4 form=$5 other=${4%%/*}
    if [ -n "${owner_of[$header]:-}" ] && ! in_list "$folder" "${owner_of[$header]}"; then
        complain "$file:$line: <$header> belongs to: ${owner_of[$header]}; use that folder's interface"
    fi
    if [ "$form" = '"' ]; then
        [ "$other" = reeve ] && return
        case $header in */*) ;; *) complain "$file:$line: write \"folder/$header\", so that one sees whose it is"; return ;; esac
        [ "$other" = "$folder" ] && return
        in_list "$folder/${file##*/}" "$composition" && in_list "$other" "$may_include_composition" && return
        in_list "$other" "${may_include[$folder]}" ||
            complain "$file:$line: $folder must not include \"$header\" (it may include: ${may_include[$folder]:-nothing})"
    elif [ "$folder" = core ]; then
        in_list "$header" "$core_headers" || complain "$file:$line: core is pure: no <$header>"
    fi
}

# Goal: every #include in src/ obeys the two tables. Method: read them all, in C and CUDA sources and headers.
check_sources() { # check_sources SOURCE_DIR
    local file line text folder form header
    complaints=0 include_count=0
    while IFS=: read -r file line form header; do
        folder=${file#"$1/"} folder=${folder%%/*}
        if [ -z "${may_include[$folder]+known}" ]; then
            complain "$file: the folder src/$folder has no place in the layers: give it one in this test"
            continue
        fi
        include_count=$((include_count + 1))
        check_include "$file" "$line" "$folder" "$header" "$form"
    done < <(grep -rnE '^ *# *include' --include='*.[ch]' --include='*.cu' --include='*.cuh' "$1" |
        sed -E 's/^([^:]*:[0-9]+):[^<"]*([<"])([^">]*).*/\1:\2:\3/')
    while IFS=: read -r file line text; do
        complain "$file:$line: core is pure: $text"
    done < <(strip_comments "$1"/core/*.[ch] | grep -E "(^|[^A-Za-z0-9_.>])($core_calls) *\(")
}

# FILE:LINE:TEXT for each line, without comments and string literals, so that words in them are no calls.
strip_comments() {
    awk '
        FNR == 1 { inside = 0 }
        {
            text = $0
            gsub(/\\"/, "", text); gsub(/"[^"]*"/, "\"\"", text)
            if (inside) { if (!sub(/^.*\*\//, "", text)) next; inside = 0 }
            gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "", text); sub(/\/\/.*/, "", text)
            if (sub(/\/\*.*$/, "", text)) inside = 1
            print FILENAME ":" FNR ":" text
        }' "$@"
}

# Goal: this test can fail. Method: a small tree with one break of each rule, each of which must be named.
prove_that_it_can_fail() {
    local folder
    for folder in core store net cli run; do mkdir -p "broken/$folder"; done
    printf '#include <hdf5.h>\n' >broken/net/a.c
    printf '#include "store/journal.h"\n' >broken/net/b.c
    printf '#include <unistd.h>\n#include <stdio.h>\n/* printf( */\nint f(void) { return printf("x"); }\n' >broken/core/a.c
    printf '#include "run/master.h"\n#include "local.h"\n' >broken/store/a.c
    printf '#include <mpi.h>\n' >broken/cli/a.c
    printf '#include <cuda_runtime.h>\n' >broken/run/a.cu
    check_sources broken >broken.txt
    expect_equal "complaints about a tree with eight faults" "$complaints" 8
    rm -r broken broken.txt
}

prove_that_it_can_fail
check_sources "$REEVE_SOURCE/src"
[ "$include_count" -gt 50 ] || fail "only $include_count includes found: is $REEVE_SOURCE/src the source tree?"
[ "$complaints" = 0 ] || fail "$complaints breaks of the layer rule"
echo "$include_count includes obey the layers"
