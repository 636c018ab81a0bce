# To be sourced, behind tiny.sh: the example in jobs/plugin-example, built in ./example against an installed Reeve alone.
# shellcheck shell=bash

# build_example: installs to ./prefix, copies the example to ./example and goes there; libridge.so is in it afterwards.
build_example() {
    compiler=$(command -v cc || command -v gcc || command -v clang) || skip "no C compiler to build a workload with"
    command -v cmake >/dev/null || skip "no cmake to install Reeve with"
    cmake --install "$REEVE_BUILD" --prefix "$PWD/prefix" >install.log 2>&1 ||
        { tail install.log; fail "cmake --install"; }
    prefix=$PWD/prefix
    cp -r "$REEVE_SOURCE/jobs/plugin-example" example && cd example || fail "no example"
    rm -rf build libridge.so # of somebody who built it in the source tree
    { cmake -S . -B build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_FLAGS=-Werror && cmake --build build; } >build.log 2>&1 ||
        { tail -n 30 build.log; fail "the example does not build against the installed headers"; }
    [ -f libridge.so ] || fail "no libridge.so after the build"
}

# build_so OUTPUT SOURCE [FLAG...]: without CMake, as README.md says it.
build_so() {
    local out=$1 source=$2
    shift 2
    "$compiler" -std=c11 -O2 -fPIC -shared -ffp-contract=off -I "$prefix/include" -I . "$@" "$source" -o "$out" -lm ||
        fail "$source does not compile"
}
