/* `reeve run --help-keys --json`: the table of a job file's keys, for editors and for scripts that write jobs. */
#ifndef REEVE_CLI_HELP_KEYS_H
#define REEVE_CLI_HELP_KEYS_H

/* Returns an exit code. */
int reeve_help_keys_print_json(void);

#endif
