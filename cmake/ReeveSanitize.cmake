# Builds that watch themselves: REEVE_SANITIZE=address,undefined or thread, and REEVE_FUZZ for the fuzz targets.
# tests/sanitize.sh makes and runs them all; docs/testing.md tells what they find.
set(REEVE_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread; empty: none")
set_property(CACHE REEVE_SANITIZE PROPERTY STRINGS "" address,undefined thread)
option(REEVE_FUZZ "Build the fuzz targets (clang alone; with address,undefined)" OFF)

if(REEVE_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "REEVE_FUZZ needs libFuzzer, which comes with clang: configure with -DCMAKE_C_COMPILER=clang "
                        "(Debian: clang libclang-rt-14-dev libomp-dev)")
  endif()
  set(REEVE_SANITIZE address,undefined)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(REEVE_SANITIZE)
  if(NOT REEVE_SANITIZE MATCHES "^(address|undefined|address,undefined|undefined,address|thread)$")
    message(FATAL_ERROR "REEVE_SANITIZE is '${REEVE_SANITIZE}'; expected address,undefined or thread")
  endif()
  # A finding ends the program; frame pointers make it say where.
  add_compile_options(-fsanitize=${REEVE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${REEVE_SANITIZE})
  message(STATUS "Reeve: built with -fsanitize=${REEVE_SANITIZE}")
endif()
