# What Reeve stands on. Each is a package of the distribution; a missing one stops the configuration with its name.
# What was found is kept in REEVE_FOUND_* for build_info.h, from which `reeve version` and `reeve doctor` tell it.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
include(CheckCSourceCompiles)

# A missing library should say which package to install, not which CMake variable is empty.
function(reeve_require found what package)
  if(NOT found)
    message(FATAL_ERROR "Reeve needs ${what} (Debian: ${package}). "
                        "`bash tests/tools/install_packages.sh build` installs all that is missing.")
  endif()
endfunction()

# --- MPI: for net/ and coll/ alone --------------------------------------------------------------------------------
set(MPI_DETERMINE_LIBRARY_VERSION TRUE)
set(MPI_CXX_SKIP_MPICXX TRUE)
find_package(MPI COMPONENTS C)
reeve_require("${MPI_C_FOUND}" "an MPI for C" "openmpi-bin libopenmpi-dev")
string(REGEX REPLACE "[,\n].*" "" REEVE_FOUND_MPI "${MPI_C_LIBRARY_VERSION_STRING}")
if(NOT REEVE_FOUND_MPI)
  set(REEVE_FOUND_MPI "MPI ${MPI_C_VERSION}, library unknown")
endif()
string(REPLACE "Open MPI v" "Open MPI " REEVE_FOUND_MPI "${REEVE_FOUND_MPI}")

# ULFM (user-level failure mitigation) lets a job outlive a process. The headers say whether it was compiled in.
set(REEVE_FOUND_ULFM 0)
foreach(folder ${MPI_C_INCLUDE_DIRS})
  foreach(header mpi-ext.h openmpi/mpi-ext.h)
    if(EXISTS "${folder}/${header}")
      file(STRINGS "${folder}/${header}" ulfm REGEX "OMPI_HAVE_MPI_EXT_FTMPI +1")
      if(ulfm)
        set(REEVE_FOUND_ULFM 1)
      endif()
    endif()
  endforeach()
endforeach()

# Where a site keeps what it tells Open MPI: cli/mca_files.
get_filename_component(mpi_programs "${MPIEXEC_EXECUTABLE}" DIRECTORY)
find_program(REEVE_OMPI_INFO ompi_info HINTS "${mpi_programs}")
set(REEVE_FOUND_MPI_SITE "/etc/openmpi")
set(REEVE_FOUND_MPI_PREFIX "/usr")
if(REEVE_OMPI_INFO)
  execute_process(COMMAND "${REEVE_OMPI_INFO}" --path sysconfdir --parsable OUTPUT_VARIABLE site ERROR_QUIET)
  if(site MATCHES "path:sysconfdir:([^\n]+)")
    set(REEVE_FOUND_MPI_SITE "${CMAKE_MATCH_1}")
  endif()
  execute_process(COMMAND "${REEVE_OMPI_INFO}" --path prefix --parsable OUTPUT_VARIABLE site ERROR_QUIET)
  if(site MATCHES "path:prefix:([^\n]+)")
    set(REEVE_FOUND_MPI_PREFIX "${CMAKE_MATCH_1}")
  endif()
endif()

# --- HDF5: for store/ alone, the serial build ---------------------------------------------------------------------
set(HDF5_PREFER_PARALLEL OFF)
find_package(HDF5 COMPONENTS C)
reeve_require("${HDF5_FOUND}" "HDF5" "libhdf5-dev")
set(REEVE_FOUND_HDF5 "${HDF5_VERSION}")
add_library(reeve_hdf5 INTERFACE)
target_include_directories(reeve_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(reeve_hdf5 INTERFACE ${HDF5_C_LIBRARIES})
target_compile_definitions(reeve_hdf5 INTERFACE H5_USE_110_API)

# --- small libraries ----------------------------------------------------------------------------------------------
pkg_check_modules(JANSSON IMPORTED_TARGET jansson)
reeve_require("${JANSSON_FOUND}" "jansson" "libjansson-dev")
pkg_check_modules(XXHASH IMPORTED_TARGET libxxhash)
reeve_require("${XXHASH_FOUND}" "xxHash" "libxxhash-dev")
# As built for a distribution its plain functions use SSE2 alone; those that choose by processor are in few other builds.
set(CMAKE_REQUIRED_LIBRARIES PkgConfig::XXHASH)
check_c_source_compiles("#include <xxhash.h>
#include <xxh_x86dispatch.h>
int main(void) { return (int)XXH3_64bits(\"\", 0); }" REEVE_XXHASH_DISPATCH)
unset(CMAKE_REQUIRED_LIBRARIES)
pkg_check_modules(YAML IMPORTED_TARGET yaml-0.1)
reeve_require("${YAML_FOUND}" "libyaml" "libyaml-dev")
if(REEVE_TESTS)
  pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
  reeve_require("${CMOCKA_FOUND}" "cmocka (or configure with -DREEVE_TESTS=OFF)" "libcmocka-dev")
  add_library(cmocka::cmocka ALIAS PkgConfig::CMOCKA)
endif()

# --- OpenBLAS: for model/ -----------------------------------------------------------------------------------------
# On purpose in its OpenMP build, which is looked for first: beside OpenMP code the pthread build is several times
# slower. The link keeps that folder as run path, so that a machine's default BLAS does not take its place.
find_package(OpenMP COMPONENTS C)
reeve_require("${OpenMP_C_FOUND}" "a compiler with OpenMP" "build-essential")
find_path(REEVE_CBLAS_INCLUDE cblas.h PATHS /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp
          PATH_SUFFIXES openblas-openmp openblas NO_CMAKE_FIND_ROOT_PATH)
find_library(REEVE_OPENBLAS_LIBRARY openblas PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp
             PATH_SUFFIXES openblas-openmp)
if(NOT REEVE_OPENBLAS_LIBRARY OR NOT REEVE_CBLAS_INCLUDE)
  reeve_require(FALSE "OpenBLAS with cblas.h" "libopenblas-openmp-dev")
endif()
get_filename_component(REEVE_FOUND_OPENBLAS "${REEVE_OPENBLAS_LIBRARY}" REALPATH)
add_library(reeve_blas INTERFACE)
target_include_directories(reeve_blas SYSTEM INTERFACE ${REEVE_CBLAS_INCLUDE})
target_link_libraries(reeve_blas INTERFACE ${REEVE_OPENBLAS_LIBRARY} OpenMP::OpenMP_C)

# --- CUDA and NCCL: for model/, workload/ and coll/, where they are -------------------------------------------------
include(ReeveCuda)

if(REEVE_FOUND_ULFM)
  set(ulfm_told "with ULFM")
else()
  set(ulfm_told "without ULFM")
endif()
message(STATUS "Reeve: ${REEVE_FOUND_MPI} ${ulfm_told}, HDF5 ${REEVE_FOUND_HDF5}, OpenBLAS ${REEVE_FOUND_OPENBLAS}")
message(STATUS "Reeve: ${REEVE_CUDA_TOLD}")
