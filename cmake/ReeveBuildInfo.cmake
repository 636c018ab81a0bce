# What this build was made with and from, as a header for `reeve version --json` and `reeve doctor`: "cli/build_info.h".

string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type_upper)
string(STRIP "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${build_type_upper}}" REEVE_FOUND_C_FLAGS)

# The commit, where the sources are a git checkout. Asked at configure time; a build from a tarball says "".
set(REEVE_FOUND_COMMIT "")
find_package(Git QUIET)
if(GIT_FOUND AND EXISTS "${PROJECT_SOURCE_DIR}/.git")
  execute_process(COMMAND "${GIT_EXECUTABLE}" -c safe.directory=* describe --always --dirty --abbrev=12
                  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" OUTPUT_VARIABLE REEVE_FOUND_COMMIT
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()

configure_file("${PROJECT_SOURCE_DIR}/src/cli/build_info.h.in" "${CMAKE_BINARY_DIR}/include/cli/build_info.h" @ONLY)
