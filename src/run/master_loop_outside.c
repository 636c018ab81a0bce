/* What the master's loop is asked for from outside the job: to stop, by a signal, a time limit or the file STOP; or to save,
 * by the file SAVE. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "run/master_loop_state.h"

#define FILES_LOOK_NS (200 * REEVE_MILLISECOND_NS) /* how often STOP and SAVE are looked for */

reeve_status master_loop_ask_stop(reeve_master_loop *l, const char *why, reeve_time_ns now_ns, struct reeve_error *err)
{
    if (l->stop_sent) return REEVE_OK;
    l->stop_sent = true;
    l->heartbeat_ns = 0;
    if (l->config.tasks != NULL)
        reeve_report_say(l->report, "%s: nothing more is begun; what runs may go on for %u s", why,
                         l->config.job->exec.drain_s);
    else reeve_report_say(l->report, "%s: stopping at the next step boundary", why);
    struct reeve_master_input in = {.kind = REEVE_INPUT_STOP, .status = REEVE_JOB_STOPPED};
    return master_loop_give(l, &in, now_ns, err);
}

static bool path_of(const reeve_master_loop *l, const char *name, char path[REEVE_PATH_BYTES_MAX])
{
    return reeve_path_join(path, REEVE_PATH_BYTES_MAX, l->config.run_dir, name, NULL) == REEVE_OK;
}

/* Is there a file STOP? *signal_number: of the signal that made `reeve run` write it, as its only line; 0: a person did.
 * `reeve run` remembers its signals, so that one is removed; a person's stays until the run has ended: whoever goes on in
 * place of this master, or of this launch, must see it too. */
static bool see_stop(const reeve_master_loop *l, int *signal_number)
{
    char path[REEVE_PATH_BYTES_MAX], word[16] = "";
    *signal_number = 0;
    if (!path_of(l, "STOP", path)) return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool there = fd >= 0 || (errno == EACCES && access(path, F_OK) == 0);
    if (fd >= 0 && read(fd, word, sizeof(word) - 1) > 0) *signal_number = atoi(word);
    if (fd >= 0) (void)close(fd);
    if (*signal_number > 0) (void)unlink(path);
    return there;
}

void master_loop_remove_stop(const reeve_master_loop *l)
{
    char path[REEVE_PATH_BYTES_MAX];
    if (path_of(l, "STOP", path)) (void)unlink(path);
}

static bool take_save(const reeve_master_loop *l)
{
    char path[REEVE_PATH_BYTES_MAX];
    return path_of(l, "SAVE", path) && unlink(path) == 0;
}

reeve_status master_loop_look_outside(reeve_master_loop *l, reeve_time_ns now_ns, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    int number = 0;
    if (reeve_stop_signals_count() > l->signals_seen) {
        l->signals_seen = reeve_stop_signals_count();
        reeve_deadline_asked(&l->deadline, reeve_stop_signals_last(), now_ns);
        st = master_loop_ask_stop(l, strsignal(reeve_stop_signals_last()), now_ns, err);
    }
    if (st == REEVE_OK && reeve_deadline_turn(&l->deadline, now_ns))
        st = master_loop_ask_stop(l, "time limit", now_ns, err);
    if (st != REEVE_OK || now_ns - l->looked_ns < FILES_LOOK_NS) return st;
    l->looked_ns = now_ns;
    if (see_stop(l, &number)) {
        reeve_deadline_asked(&l->deadline, number, now_ns);
        st = master_loop_ask_stop(l, number > 0 ? strsignal(number) : "file STOP", now_ns, err);
    }
    if (st == REEVE_OK && take_save(l)) {
        if (l->config.tasks != NULL) {
            reeve_report_say(l->report, "file SAVE: nothing to do; all that has ended is on record");
            return REEVE_OK;
        }
        reeve_report_say(l->report, "file SAVE: checkpoint at the next step boundary");
        struct reeve_master_input in = {.kind = REEVE_INPUT_SAVE};
        st = master_loop_give(l, &in, now_ns, err);
    }
    return st;
}
