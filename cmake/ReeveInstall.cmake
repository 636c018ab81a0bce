# `cmake --install`: the programs, the headers that a workload outside the tree needs, a CMake package for it, and what
# to read. The libraries per folder are the house's own walls; they are not installed.

include(CMakePackageConfigHelpers)

foreach(program reeve reeve-rank reeve-rank-cuda)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  endif()
endforeach()

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/reeve" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.h")
install(FILES "${CMAKE_BINARY_DIR}/include/reeve/version.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/reeve")

# find_package(reeve); target_link_libraries(my_workload PRIVATE reeve::workload): headers only, by design.
add_library(reeve_workload_interface INTERFACE)
set_target_properties(reeve_workload_interface PROPERTIES EXPORT_NAME workload)
target_include_directories(reeve_workload_interface INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>"
  "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/include>")
target_compile_features(reeve_workload_interface INTERFACE c_std_11)
add_library(reeve::workload ALIAS reeve_workload_interface)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/reeve")
install(TARGETS reeve_workload_interface EXPORT reeveTargets)
install(EXPORT reeveTargets NAMESPACE reeve:: DESTINATION "${package_dir}")
configure_package_config_file(cmake/reeveConfig.cmake.in "${CMAKE_BINARY_DIR}/reeveConfig.cmake"
                              INSTALL_DESTINATION "${package_dir}" PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
# Before 1.0 a minor version may change the ABI of workloads.
write_basic_package_version_file("${CMAKE_BINARY_DIR}/reeveConfigVersion.cmake" COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
install(FILES "${CMAKE_BINARY_DIR}/reeveConfig.cmake" "${CMAKE_BINARY_DIR}/reeveConfigVersion.cmake"
        DESTINATION "${package_dir}")

if(TARGET reeve_help_forms)
  install(FILES "${CMAKE_BINARY_DIR}/help/reeve.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
  install(FILES "${CMAKE_BINARY_DIR}/help/reeve.bash" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
          RENAME reeve)
endif()
install(FILES README.md CHANGELOG.md CONTRIBUTING.md LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES benchmarks/README.md DESTINATION "${CMAKE_INSTALL_DOCDIR}/benchmarks") # which the documents point to
install(DIRECTORY docs/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/docs" FILES_MATCHING PATTERN "*.md" PATTERN "*.svg")
install(DIRECTORY jobs/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/jobs" FILES_MATCHING PATTERN "*.yaml")
install(DIRECTORY jobs/plugin-example DESTINATION "${CMAKE_INSTALL_DOCDIR}/jobs"
        PATTERN "build*" EXCLUDE PATTERN "*.so" EXCLUDE)
install(DIRECTORY slurm/ DESTINATION "${CMAKE_INSTALL_DATADIR}/reeve/slurm")
