# The scripts of slurm/ as C string literals, so that `reeve submit` writes what people read there: "cli/batch_text.h".

# reeve_c_string(FILE NAME): -> #define NAME "..." in ${reeve_batch_text}
function(reeve_c_string file name)
  set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
  file(READ "${file}" text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n\" \\\n    \"" text "${text}")
  set(reeve_batch_text "${reeve_batch_text}#define ${name} \\\n    \"${text}\"\n" PARENT_SCOPE)
endfunction()

set(reeve_batch_text "/* Made from slurm/ by cmake/ReeveBatchText.cmake. */\n")
reeve_c_string("${PROJECT_SOURCE_DIR}/slurm/train.sbatch" REEVE_BATCH_MPIRUN)
reeve_c_string("${PROJECT_SOURCE_DIR}/slurm/train-srun.sbatch" REEVE_BATCH_SRUN)
reeve_c_string("${PROJECT_SOURCE_DIR}/slurm/env.sh" REEVE_BATCH_ENV)
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/include/cli/batch_text.h" CONTENT "@reeve_batch_text@" @ONLY)
