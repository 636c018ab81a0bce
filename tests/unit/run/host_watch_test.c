/* A host is suspected when nobody on it says a word, and not before. The master is played: only its clock is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/host_watch.h"

#define WORKERS 5
#define LIMIT_NS (5 * REEVE_SECOND_NS)

static reeve_time_ns silent_s[WORKERS + 1]; /* of each worker; negative: no word of it is awaited */

bool reeve_master_silence(const reeve_master *m, uint32_t worker, reeve_time_ns now_ns, reeve_time_ns since_ns,
                          reeve_time_ns *silence_ns)
{
    (void)m, (void)now_ns, (void)since_ns;
    assert_in_range(worker, 1, WORKERS);
    *silence_ns = silent_s[worker] * REEVE_SECOND_NS;
    return silent_s[worker] >= 0;
}

static const char *suspect(reeve_host_watch *w, reeve_time_ns *silence_ns)
{
    return reeve_host_watch_silent(w, NULL, 0, 0, LIMIT_NS, silence_ns);
}

static void join(reeve_host_watch *w, uint32_t worker, const char *host)
{
    reeve_host_watch_joined(w, worker, host, strlen(host));
}

/* Workers 1 and 4 on n1, 2 and 5 on n2, 3 on n3. */
static reeve_host_watch *watch_three_hosts(void)
{
    static const char *const hosts[WORKERS + 1] = {NULL, "n1", "n2", "n3", "n1", "n2"};
    reeve_host_watch *w = reeve_host_watch_create(WORKERS);
    assert_non_null(w);
    for (uint32_t i = 1; i <= WORKERS; i++)
        join(w, i, hosts[i]);
    memset(silent_s, 0, sizeof(silent_s));
    return w;
}

static void host_is_suspected_when_all_its_workers_are_silent(void **state)
{
    (void)state;
    reeve_host_watch *w = watch_three_hosts();
    reeve_time_ns silence = 0;
    assert_null(suspect(w, &silence));
    silent_s[2] = 600; /* stopped; its neighbour speaks */
    silent_s[5] = 4;
    assert_null(suspect(w, &silence));
    silent_s[5] = 5;
    assert_string_equal(suspect(w, &silence), "n2");
    assert_true(silence == 5 * REEVE_SECOND_NS); /* the host was last heard then */
    silent_s[3] = 7;
    assert_string_equal(suspect(w, &silence), "n3");
    silent_s[3] = 0;
    silent_s[5] = 0; /* it is back */
    assert_null(suspect(w, &silence));
    reeve_host_watch_destroy(w);
}

static void host_of_workers_that_said_goodbye_is_not_suspected(void **state)
{
    (void)state;
    reeve_host_watch *w = watch_three_hosts();
    reeve_time_ns silence = 0;
    silent_s[3] = -1;
    silent_s[2] = -1;
    silent_s[5] = 60;
    assert_string_equal(suspect(w, &silence), "n2");
    silent_s[5] = -1;
    assert_null(suspect(w, &silence));
    reeve_host_watch_destroy(w);
}

static void worker_of_no_known_host_is_nobodys_suspicion(void **state)
{ /* Names come over the wire: too long, empty, of a worker that does not exist, or more of them than workers. */
    (void)state;
    char text[400];
    reeve_host_watch *w = reeve_host_watch_create(WORKERS);
    reeve_time_ns silence = 0;
    assert_non_null(w);
    for (uint32_t i = 1; i <= WORKERS; i++)
        silent_s[i] = 60;
    assert_null(suspect(w, &silence));
    memset(text, 'x', sizeof(text));
    reeve_host_watch_joined(w, 1, text, sizeof(text));
    reeve_host_watch_joined(w, 1, text, 0);
    reeve_host_watch_joined(w, 0, text, 2);
    reeve_host_watch_joined(w, WORKERS + 1, text, 2);
    assert_null(suspect(w, &silence));
    for (size_t i = 1; i <= 100; i++)
        reeve_host_watch_joined(w, 1, text, i); /* changes its mind */
    assert_int_equal(strlen(suspect(w, &silence)), WORKERS);
    reeve_host_watch_joined(NULL, 1, text, 2);
    assert_null(suspect(NULL, &silence));
    reeve_host_watch_destroy(w);
    reeve_host_watch_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_is_suspected_when_all_its_workers_are_silent),
        cmocka_unit_test(host_of_workers_that_said_goodbye_is_not_suspected),
        cmocka_unit_test(worker_of_no_known_host_is_nobodys_suspicion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
