#!/bin/sh
# translate.sh SOURCE: what of CUDA's language no header can give to a compiler of C++, rewritten, on stdout; lines keep
# their numbers.
#   kernel<A><<<grid, block, bytes, stream>>>(x)   double_launch("kernel<A>", a function that calls it, grid, ...)(x)
#   extern __shared__ T name[];                    T *name = (T *)double_shared();
set -eu
printf '#line 1 "%s"\n' "$1"
exec sed -zE \
    -e 's/([A-Za-z_]+(<[^<>(){};]*>)?)(\s*)<<<(([^>]|>[^>]|>>[^>])*)>>>\(/\3double_launch("\1", [=](auto... a) { \1(a...); }, \4)(/g' \
    -e 's/extern __shared__ (__align__\([0-9]+\) )?([a-z0-9 ]+) ([a-z]+)\[\];/\2 *\3 = (\2 *)double_shared();/g' "$1"
