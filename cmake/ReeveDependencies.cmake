# What Reeve stands on. Each is a package of the distribution; a missing one stops the configuration with its name.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

find_package(MPI REQUIRED COMPONENTS C)
set(HDF5_PREFER_PARALLEL OFF)
find_package(HDF5 REQUIRED COMPONENTS C)
add_library(reeve_hdf5 INTERFACE)
target_include_directories(reeve_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(reeve_hdf5 INTERFACE ${HDF5_C_LIBRARIES})
target_compile_definitions(reeve_hdf5 INTERFACE H5_USE_110_API)

pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)

# OpenBLAS on purpose in its OpenMP build: beside OpenMP code the pthread build is several times slower.
find_package(OpenMP REQUIRED COMPONENTS C)
find_path(REEVE_CBLAS_INCLUDE cblas.h PATHS /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp
          PATH_SUFFIXES openblas-openmp openblas NO_CMAKE_FIND_ROOT_PATH)
find_library(REEVE_OPENBLAS_LIBRARY openblas PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp
             PATH_SUFFIXES openblas-openmp)
if(NOT REEVE_OPENBLAS_LIBRARY OR NOT REEVE_CBLAS_INCLUDE)
  message(FATAL_ERROR "OpenBLAS not found (Debian: libopenblas-openmp-dev)")
endif()
add_library(reeve_blas INTERFACE)
target_include_directories(reeve_blas SYSTEM INTERFACE ${REEVE_CBLAS_INCLUDE})
target_link_libraries(reeve_blas INTERFACE ${REEVE_OPENBLAS_LIBRARY} OpenMP::OpenMP_C)

if(REEVE_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
  add_library(cmocka::cmocka ALIAS PkgConfig::CMOCKA)
endif()
