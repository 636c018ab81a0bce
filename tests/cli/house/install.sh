# A usual tree after `cmake --install`, and a workload of somebody else that builds against it and nothing else.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

prefix=$PWD/prefix
cmake --install "$REEVE_BUILD" --prefix "$prefix" >install.log 2>&1 || { tail -n 20 install.log; fail "cmake --install"; }

for file in bin/reeve bin/reeve-rank include/reeve/status.h include/reeve/ids.h include/reeve/workload.h \
    include/reeve/version.h share/reeve/slurm/env.sh share/reeve/slurm/train.sbatch \
    share/reeve/slurm/train-srun.sbatch share/reeve/slurm/chain.sbatch share/man/man1/reeve.1 \
    share/bash-completion/completions/reeve share/doc/reeve/docs/README.md share/doc/reeve/benchmarks/README.md; do
    [ -e "$prefix/$file" ] || fail "$file was not installed"
done
package=$(dirname "$(find "$prefix" -name reeveConfig.cmake)")
[ -e "$package/reeveConfigVersion.cmake" ] || fail "no CMake package was installed"
[ -z "$(find "$prefix" -name '*.a')" ] || fail "private libraries were installed: $(find "$prefix" -name '*.a')"

# The installed program runs from where it is, and says the version of the headers.
expect_exit 0 "$prefix/bin/reeve" version
version=$(sed -nE 's/^#define REEVE_VERSION "(.*)"/\1/p' "$prefix/include/reeve/version.h")
expect_text stdout "(^|[^0-9.])${version//./\\.}([^0-9.]|$)"
ldd "$prefix/bin/reeve" "$prefix/bin/reeve-rank" >libraries
expect_no_text libraries 'not found'

mkdir other
cat >other/CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(other_workload LANGUAGES C)
find_package(reeve 0.1 REQUIRED)
add_library(other MODULE other.c)
target_link_libraries(other PRIVATE reeve::workload)
CMAKE
cat >other/other.c <<'C'
#include "reeve/version.h"
#include "reeve/workload.h"

static const struct reeve_workload_ops ops = {.abi = REEVE_WORKLOAD_ABI, .size = sizeof ops, .name = "other"};
const struct reeve_workload_ops *reeve_workload(void);
const struct reeve_workload_ops *reeve_workload(void)
{
    return &ops;
}
C
{ cmake -S other -B other/build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" &&
    cmake --build other/build; } >other.log 2>&1 || { tail -n 30 other.log; fail "a workload outside does not build"; }
nm --dynamic --defined-only other/build/libother.so >symbols
expect_text symbols ' T reeve_workload$'
readelf --dynamic other/build/libother.so | grep NEEDED >needed || true
expect_no_text needed 'reeve|mpi|hdf5'   # a workload needs the headers alone
echo "installed $(find "$prefix" -type f | wc -l) files"
