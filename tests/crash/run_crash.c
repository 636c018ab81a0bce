/* Goal: whatever moment of a whole run (its making, its training, its checkpoints, their retention, its stop and its
 * resumption) a crash hits, the same command goes on, from the newest checkpoint on record, to the same weights.
 * Method: two launches of a small training in this process, all files recorded; each crash state is opened as a launch
 * opens it; some are looked at by `reeve verify`, and some are trained to the end. */
#include <stdlib.h>
#include <unistd.h>

#include "rundir.h"

#define VERIFY_EVERY 20
#define FINISH_EVERY 60

static unsigned states;

static reeve_status launch(const char *root, uint64_t stop_at, int expected, struct reeve_error *err)
{
    int code = rundir_launch(root, stop_at);
    if (code == expected) return REEVE_OK;
    return rundir_words(root, code, err);
}

static reeve_status act(const char *root, struct reeve_error *err)
{
    rundir_make_data(root);
    TRY(launch(root, RUNDIR_STOP_AT, REEVE_EXIT_AGAIN, err));
    return launch(root, 0, REEVE_EXIT_DONE, err);
}

static reeve_status again(const char *root, struct reeve_error *err)
{
    return launch(root, 0, REEVE_EXIT_DONE, err);
}

static bool check(const char *folder, const struct crash_promise *p, char *why, size_t why_bytes)
{
    states++;
    if (p->begun > 0 && states % VERIFY_EVERY == 0 && !rundir_verify(folder, why, why_bytes)) return false;
    if (!rundir_check(folder, p, why, why_bytes)) return false;
    return states % FINISH_EVERY != 0 || rundir_finish(folder, why, why_bytes);
}

int main(int argc, char **argv)
{
    static const struct crash_case cases[] = {
        {.name = "run", .act = act, .learn = rundir_learn, .check = check, .again = again, .share = 1},
    };
    return crash_main(argc, argv, cases, 1);
}
