# Run by the build: the manual page and bash's completion, as the program itself prints them.
#   cmake -D REEVE=program -D FOLDER=folder -P ReeveHelpForms.cmake
file(MAKE_DIRECTORY "${FOLDER}")
execute_process(COMMAND "${REEVE}" help --man OUTPUT_FILE "${FOLDER}/reeve.1" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${REEVE}" help --bash OUTPUT_FILE "${FOLDER}/reeve.bash" COMMAND_ERROR_IS_FATAL ANY)
