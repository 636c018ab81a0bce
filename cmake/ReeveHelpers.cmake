# One library per folder, tests named by path, warnings for all of it.

# Of .cu files what the host's compiler sees is checked; the code that nvcc itself writes has no -Wshadow or prototypes.
add_library(reeve_warnings INTERFACE)
set(warnings -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings
    -Wno-unused-parameter -fno-common)
set(host_warnings -Xcompiler=-Wall,-Wextra,-Wno-unused-parameter)
if(REEVE_WERROR)
  list(APPEND warnings -Werror)
  list(APPEND host_warnings -Xcompiler=-Werror)
endif()
target_compile_options(reeve_warnings INTERFACE "$<$<COMPILE_LANGUAGE:C>:${warnings}>"
                                                "$<$<COMPILE_LANGUAGE:CUDA>:${host_warnings}>")

# The seconds are ample for an ordinary build on an idle machine. A limit ends a hang and judges nothing else, so a slow or
# loaded machine has three times that, and a sanitizer, which makes a program several times slower, eight times more.
function(reeve_time_limit test seconds)
  math(EXPR seconds "${seconds} * 3")
  if(REEVE_SANITIZE)
    math(EXPR seconds "${seconds} * 8")
  endif()
  set_tests_properties(${test} PROPERTIES TIMEOUT ${seconds})
endfunction()

# reeve_library(NAME SOURCES a.c b.c DEPENDS reeve_base ...)
# A static library whose headers are included as "folder/file.h". DEPENDS are public: they are the layer rule.
function(reeve_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  target_include_directories(${name} PUBLIC
    "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include" "${PROJECT_BINARY_DIR}/include")
  target_link_libraries(${name} PUBLIC ${arg_DEPENDS} PRIVATE reeve_warnings ${arg_PRIVATE})
endfunction()

# reeve_test(unit.core.queue SOURCES queue_test.c DEPENDS reeve_core [TIMEOUT s] [LABELS l ...] [ARGS ...])
# A cmocka program (it may also be a plain main); exit 77 is a skip with its reason printed.
function(reeve_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;DEPENDS;LABELS;ARGS" ${ARGN})
  string(REPLACE "." "_" target "test_${name}")
  add_executable(${target} ${arg_SOURCES})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_link_libraries(${target} PRIVATE ${arg_DEPENDS} cmocka::cmocka reeve_warnings)
  add_test(NAME ${name} COMMAND ${target} ${arg_ARGS})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  string(REGEX MATCH "^[^.]+" family ${name})
  reeve_time_limit(${name} ${arg_TIMEOUT})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 LABELS "${family};${arg_LABELS}")
endfunction()

# reeve_script_test(cli.run.resume SCRIPT resume.sh [TIMEOUT s] [LABELS l ...] [ARGS ...] [SERIAL])
# A shell script; it finds the programs in $REEVE_BIN, the sources in $REEVE_SOURCE, and a fresh folder in $PWD.
function(reeve_script_test name)
  cmake_parse_arguments(arg "SERIAL" "TIMEOUT;SCRIPT" "LABELS;ARGS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND bash "${PROJECT_SOURCE_DIR}/tests/tools/in_fresh_folder.sh"
           "${CMAKE_CURRENT_SOURCE_DIR}/${arg_SCRIPT}" ${arg_ARGS})
  string(REGEX MATCH "^[^.]+" family ${name})
  reeve_time_limit(${name} ${arg_TIMEOUT})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 LABELS "${family};${arg_LABELS}"
    ENVIRONMENT "REEVE_BIN=${PROJECT_BINARY_DIR}/bin;REEVE_SOURCE=${PROJECT_SOURCE_DIR};REEVE_BUILD=${PROJECT_BINARY_DIR}")
  if(arg_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()

# reeve_mpi_test(mpi.coll.allreduce RANKS 1 2 3 5 SOURCES allreduce_test.c DEPENDS reeve_coll [TIMEOUT s] [ARGS ...])
# One program, one test for each number of ranks (mpi.coll.allreduce.n3). It is started by mpirun, has the cores for
# itself while it runs, and passes if every rank returns 0. Try at least one odd number of ranks.
function(reeve_mpi_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "RANKS;SOURCES;DEPENDS;LABELS;ARGS" ${ARGN})
  string(REPLACE "." "_" target "test_${name}")
  add_executable(${target} ${arg_SOURCES})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_link_libraries(${target} PRIVATE ${arg_DEPENDS} cmocka::cmocka reeve_warnings)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  string(REGEX MATCH "^[^.]+" family ${name})
  foreach(ranks ${arg_RANKS})
    add_test(NAME ${name}.n${ranks} COMMAND bash "${PROJECT_SOURCE_DIR}/tests/tools/mpi_run.sh" ${ranks}
             "$<TARGET_FILE:${target}>" ${arg_ARGS})
    reeve_time_limit(${name}.n${ranks} ${arg_TIMEOUT})
    set_tests_properties(${name}.n${ranks} PROPERTIES SKIP_RETURN_CODE 77 RUN_SERIAL TRUE
                         LABELS "${family};${arg_LABELS}")
  endforeach()
endfunction()

# reeve_gpu_test(gpu.kernels SOURCES kernels_test.cu DEPENDS reeve_model_cuda [TIMEOUT s] [ARGS ...])
# A program with a plain main that needs a GPU, and has it for itself; without one it says so and returns 77.
function(reeve_gpu_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;DEPENDS;ARGS" ${ARGN})
  string(REPLACE "." "_" target "test_${name}")
  add_executable(${target} ${arg_SOURCES})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_link_libraries(${target} PRIVATE ${arg_DEPENDS} CUDA::cudart reeve_warnings)
  add_test(NAME ${name} COMMAND ${target} ${arg_ARGS})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  reeve_time_limit(${name} ${arg_TIMEOUT})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 RUN_SERIAL TRUE LABELS gpu)
endfunction()
