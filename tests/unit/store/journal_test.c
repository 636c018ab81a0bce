/* The journal: what was acknowledged is there, what was damaged is found, and the two are told apart.
 * Each test states its goal and method; files are changed behind the journal's back, writers are really killed. */
#include <poll.h>
#include <sched.h>

#include "store_fixture.h"

#include "base/clock.h"
#include "store/journal.h"
#include "store/journal_segment.h"

#define RUN_ID 0x1122334455667788u

/* --- making and reading ------------------------------------------------------------------------------------------- */

/* The record that belongs to an LSN: whatever is read back can be checked against its number alone. */
static struct reeve_event event_of(uint64_t lsn)
{
    return (struct reeve_event){
        .kind = (uint16_t)(1 + reeve_random_below(1, 1, lsn, 23)),
        .flags = (uint16_t)(lsn % 4),
        .step = lsn * 3,
        .task = (uint32_t)lsn,
        .worker = (uint32_t)(lsn % 7),
        .attempt = 1,
        .arg = (uint32_t)(lsn * 5),
        .a = reeve_random_u64(1, 2, lsn),
        .b = reeve_random_u64(1, 3, lsn),
    };
}

struct seen {
    uint64_t count;
    uint32_t epoch_max;
    bool wrong;
};

static reeve_status see(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    struct seen *s = arg;
    struct reeve_event expected = event_of(ev->lsn);
    expected.lsn = ev->lsn;
    expected.epoch = ev->epoch;
    expected.sum = ev->sum;
    if (ev->lsn != s->count + 1 || ev->epoch < s->epoch_max || memcmp(ev, &expected, sizeof(expected)) != 0)
        s->wrong = true;
    s->count++;
    s->epoch_max = ev->epoch;
    return REEVE_OK;
}

static reeve_status survey(const char *dir, struct reeve_journal_info *info, struct reeve_error *err)
{
    struct seen s = {0};
    reeve_status st = reeve_journal_replay(dir, see, &s, info, err);
    assert_false(s.wrong);
    if (st == REEVE_OK) assert_int_equal(s.count, info->last_lsn);
    return st;
}

static reeve_journal *open_next(const char *dir, uint32_t segment_records)
{
    struct reeve_error err;
    struct reeve_journal_info info;
    reeve_journal *j;
    OK(survey(dir, &info, &err));
    OK(reeve_journal_open_sized(dir, &info, info.last_epoch + 1, RUN_ID, segment_records, &j, &err));
    return j;
}

static void append(reeve_journal *j, uint32_t count)
{
    struct reeve_error err;
    reeve_journal_port *port = reeve_journal_as_port(j);
    for (uint32_t i = 0; i < count; i++) {
        struct reeve_event ev = event_of(reeve_journal_last_lsn(j) + 1);
        OK(port->ops->append(port, &ev, &err));
        assert_int_equal(ev.lsn, reeve_journal_last_lsn(j));
    }
}

static void sync_now(reeve_journal *j)
{
    struct reeve_error err;
    reeve_journal_port *port = reeve_journal_as_port(j);
    OK(port->ops->sync(port, &err));
}

static void close_now(reeve_journal *j)
{
    struct reeve_error err;
    OK(reeve_journal_close(j, &err));
}

/* A journal whose process died: what it had flushed is there, and so is the segment that it had made ahead. */
static void write_and_die(const char *dir, uint32_t segment_records, uint32_t synced, uint32_t flushed)
{
    pid_t pid = fork_child();
    if (pid == 0) {
        reeve_journal *j = open_next(dir, segment_records);
        append(j, synced);
        sync_now(j);
        append(j, flushed);
        (void)reeve_journal_flush(j, NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void path_of(const char *dir, uint32_t epoch, uint64_t first_lsn, char path[REEVE_PATH_BYTES_MAX])
{
    const struct reeve_segment_name name = {epoch, first_lsn};
    assert_int_equal(reeve_segment_path(dir, &name, path, REEVE_PATH_BYTES_MAX, NULL), REEVE_OK);
}

/* Where the records and the chain start of a segment lie. */
static uint64_t places(const char *dir, uint32_t epoch, uint64_t first_lsn, uint64_t *chain_start)
{
    struct reeve_error err;
    struct reeve_segment s;
    const struct reeve_segment_name name = {epoch, first_lsn};
    OK(reeve_segment_open(dir, &name, &s, &err));
    uint64_t events = s.events_offset;
    if (chain_start != NULL) *chain_start = s.chain_start_offset;
    reeve_segment_close(&s);
    return events;
}

/* Damage counts as found if verify refuses the journal, or reports bytes that belong to no record. */
static bool verify_finds(const char *dir, reeve_status *status)
{
    struct reeve_error err;
    struct reeve_journal_check check;
    *status = reeve_journal_verify(dir, &check, &err);
    return *status != REEVE_OK || check.torn_slots > 0;
}

/* --- promises ----------------------------------------------------------------------------------------------------- */

static void journal_that_does_not_exist_is_empty(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_info info;
    OK(survey(f->dir, &info, &err));
    assert_int_equal(info.last_lsn, 0);
    assert_int_equal(info.segments, 0);
    assert_true(info.last_segment_lsn == 0 && info.durable_lsn == 0);
}

static void journal_gives_back_what_was_appended_over_segments_and_epochs(void **state)
{ /* Goal: order, content and numbers survive. Method: small segments, odd counts, several openings, also empty ones. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_info info;
    const uint32_t counts[] = {1, 0, 63, 64, 65, 400, 0, 0, 8};
    uint64_t total = 0;
    for (uint32_t i = 0; i < 9; i++) {
        reeve_journal *j = open_next(f->dir, 64);
        append(j, counts[i]);
        if (i % 2 == 0) sync_now(j);
        close_now(j);
        total += counts[i];
        OK(survey(f->dir, &info, &err));
        assert_int_equal(info.last_lsn, total);
        assert_int_equal(info.last_epoch, i + 1);
        assert_int_equal(info.run_id, RUN_ID);
        assert_false(info.torn_tail);
    }
    struct reeve_journal_check check;
    OK(reeve_journal_verify(f->dir, &check, &err));
    assert_int_equal(check.records, total);
    assert_int_equal(check.torn_slots, 0);
}

static void journal_flush_alone_survives_the_process(void **state)
{ /* Goal: flushed records outlive a process that never synced or closed. Method: a child that just ends. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_info info;
    write_and_die(f->dir, 64, 0, 37);
    OK(survey(f->dir, &info, &err));
    assert_int_equal(info.last_lsn, 37);
    write_and_die(f->dir, 64, 5, 70); /* beyond one segment */
    OK(survey(f->dir, &info, &err));
    assert_int_equal(info.last_lsn, 112);
}

static void journal_refuses_what_does_not_belong_in_it(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_info info;
    reeve_journal *j = open_next(f->dir, 64), *second;
    reeve_journal_port *port = reeve_journal_as_port(j);
    struct reeve_event volatile_event = {.kind = REEVE_EVENT_HEARTBEAT}, none = {.kind = REEVE_EVENT_NONE};
    FAILS(port->ops->append(port, &volatile_event, &err), REEVE_JOB_INTERNAL);
    FAILS(port->ops->append(port, &none, &err), REEVE_JOB_INTERNAL);
    append(j, 3); /* neither was a failure of the disk: it goes on */
    close_now(j);
    OK(survey(f->dir, &info, &err));
    FAILS(reeve_journal_open(f->dir, &info, info.last_epoch, RUN_ID, &second, &err), REEVE_JOB_INTERNAL);
    FAILS(reeve_journal_open(f->dir, &info, info.last_epoch + 1, RUN_ID + 1, &second, &err), REEVE_STORE_MISMATCH);
    FAILS(reeve_journal_open_sized(f->dir, &info, 9, RUN_ID, 12, &second, &err), REEVE_INPUT_INVALID);
}

static void journal_finds_every_flipped_byte_of_a_segment(void **state)
{ /* Goal: no byte is unguarded. Method: one small segment, each byte changed by a random non-zero difference. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_check check;
    char path[REEVE_PATH_BYTES_MAX];
    reeve_journal *j = open_next(f->dir, 64);
    append(j, 10);
    close_now(j);
    path_of(f->dir, 1, 1, path);
    size_t n;
    uint8_t *bytes = file_load(path, &n);
    uint32_t refused = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t flipped = bytes[i] ^ (uint8_t)(1 + draw(f, 255));
        reeve_status st;
        file_poke(path, i, &flipped, 1);
        if (!verify_finds(f->dir, &st))
            fail_msg("byte %zu of %s: %02x for %02x was not found", i, path, flipped, bytes[i]);
        refused += st != REEVE_OK;
        file_poke(path, i, &bytes[i], 1);
    }
    assert_true(refused > n - 4); /* a flip that looks like a cut write is reported, and must be rare */
    OK(reeve_journal_verify(f->dir, &check, &err));
    assert_int_equal(check.records, 10);
    free(bytes);
}

static void journal_finds_flips_in_every_file_of_a_long_one(void **state)
{ /* Goal: the same where segments, epochs, a cut tail and a spare segment meet. Method: random places in each file, and
   * every byte of each /chain_start. */
    struct fixture *f = *state;
    write_and_die(f->dir, 64, 70, 3); /* epoch 1: two segments and a spare */
    write_and_die(f->dir, 64, 0, 0);  /* epoch 2: nothing */
    write_and_die(f->dir, 64, 90, 0); /* epoch 3 */
    struct reeve_segment_name *names;
    size_t count;
    reeve_status st;
    assert_int_equal(reeve_segment_list(f->dir, &names, &count, NULL), REEVE_OK);
    assert_true(count >= 5);
    assert_false(verify_finds(f->dir, &st));
    for (size_t s = 0; s < count; s++) {
        char path[REEVE_PATH_BYTES_MAX];
        uint64_t chain_start;
        uint64_t events = places(f->dir, names[s].epoch, names[s].first_lsn, &chain_start);
        path_of(f->dir, names[s].epoch, names[s].first_lsn, path);
        size_t n;
        uint8_t *bytes = file_load(path, &n);
        for (size_t i = 0; i < 8 + 120; i++) {
            size_t at = i < 8 ? chain_start + i : i % 2 == 0 ? events + draw(f, 64 * 64) : draw(f, n);
            uint8_t flipped = bytes[at] ^ (uint8_t)(1 + draw(f, 255));
            file_poke(path, at, &flipped, 1);
            if (!verify_finds(f->dir, &st)) fail_msg("byte %zu of %s was not found", at, path);
            file_poke(path, at, &bytes[at], 1);
        }
        free(bytes);
    }
    free(names);
    assert_false(verify_finds(f->dir, &st));
}

static void journal_finds_every_truncation(void **state)
{ /* Goal: a shorter file is never taken for a shorter journal. Method: each length from 0 to one byte less, and more.
   */
    struct fixture *f = *state;
    reeve_status st;
    char path[REEVE_PATH_BYTES_MAX];
    reeve_journal *j = open_next(f->dir, 64);
    append(j, 10);
    close_now(j);
    path_of(f->dir, 1, 1, path);
    size_t n;
    uint8_t *bytes = file_load(path, &n);
    for (size_t length = n; length-- > 0;) {
        assert_int_equal(truncate(path, (off_t)length), 0);
        (void)verify_finds(f->dir, &st);
        if (st != REEVE_STORE_CORRUPT) fail_msg("cut to %zu of %zu bytes: %s", length, n, reeve_status_name(st));
    }
    file_store(path, bytes, n);
    assert_int_equal(truncate(path, (off_t)n + 1), 0); /* longer by a zero */
    assert_true(verify_finds(f->dir, &st));
    free(bytes);
}

static void journal_missing_segment_is_named(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_info info;
    char path[REEVE_PATH_BYTES_MAX];
    reeve_journal *j = open_next(f->dir, 64);
    append(j, 250);
    close_now(j);
    path_of(f->dir, 1, 65, path);
    assert_int_equal(unlink(path), 0);
    FAILS(reeve_journal_replay(f->dir, NULL, NULL, &info, &err), REEVE_STORE_CORRUPT);
    assert_non_null(strstr(err.text, "missing"));
    path_of(f->dir, 1, 129, path);
    assert_non_null(strstr(err.text, path));
}

/* Put the first `length` bytes of the records back, and zeros behind them: what a kill leaves of a write. */
static void tear(const char *path, uint64_t events, const uint8_t *bytes, size_t slots, size_t length)
{
    uint8_t *torn = calloc(slots, 64);
    memcpy(torn, bytes + events, length);
    file_poke(path, events, torn, slots * 64);
    free(torn);
}

static void journal_torn_tail_ends_it_wherever_it_was_cut(void **state)
{ /* Goal: a cut write costs its incomplete record and nothing else. Method: cut at every record and at odd bytes. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_info info;
    char path[REEVE_PATH_BYTES_MAX];
    write_and_die(f->dir, 64, 4, 20);
    path_of(f->dir, 1, 1, path);
    uint64_t events = places(f->dir, 1, 1, NULL);
    size_t n;
    uint8_t *bytes = file_load(path, &n);
    for (size_t length = 4 * 64; length <= 24 * 64; length += length % 2 == 0 ? 1 : 2) {
        if (length % 2 == 0 && length % 64 != 0) continue;
        tear(path, events, bytes, 64, length);
        OK(survey(f->dir, &info, &err));
        size_t whole = length / 64;
        if (info.last_lsn != whole)
            fail_msg("cut at %zu bytes: %llu records", length, (unsigned long long)info.last_lsn);
        if (length % 64 == 0) assert_false(info.torn_tail);
        if (length % 64 >= 12) assert_true(info.torn_tail);
    }
    free(bytes);
}

static void journal_goes_on_after_a_cut_tail(void **state)
{ /* Goal: a tail that recovery cut stays cut, and flips are told apart by where they are. Method: tear, recover, flip.
   */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_check check;
    char path[REEVE_PATH_BYTES_MAX];
    write_and_die(f->dir, 64, 4, 20);
    path_of(f->dir, 1, 1, path);
    uint64_t events = places(f->dir, 1, 1, NULL);
    size_t n;
    uint8_t *bytes = file_load(path, &n);
    tear(path, events, bytes, 64, 10 * 64 + 33);
    reeve_journal *j = open_next(f->dir, 64);
    append(j, 140);
    close_now(j);
    OK(reeve_journal_verify(f->dir, &check, &err));
    assert_int_equal(check.records, 150);
    assert_int_equal(check.torn_slots, 1);
    assert_string_equal(check.torn_path, path);
    assert_false(check.info.torn_tail);
    uint8_t junk = 0x5a;
    file_poke(path, events + 20 * 64, &junk, 1); /* a master that does not know that it was replaced */
    OK(reeve_journal_verify(f->dir, &check, &err));
    assert_int_equal(check.records, 150);
    assert_int_equal(check.torn_slots, 2);
    junk = bytes[events + 9 * 64 + 40] ^ 1;
    file_poke(path, events + 9 * 64 + 40, &junk, 1); /* the last record that counts */
    FAILS(reeve_journal_verify(f->dir, &check, &err), REEVE_STORE_CORRUPT);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "LSN 10"));
    free(bytes);
}

static void journal_keeps_what_was_synced_through_a_power_cut(void **state)
{ /* Goal: any subset of the sectors written after the last sync may be lost; nothing before it. Method: 200 random
   * subsets of a synced and an unsynced stretch; then one synced sector lost, which must be called damage. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_info info;
    char path[REEVE_PATH_BYTES_MAX];
    uint8_t zeros[512] = {0};
    write_and_die(f->dir, 256, 19, 101);
    path_of(f->dir, 1, 1, path);
    uint64_t events = places(f->dir, 1, 1, NULL);
    size_t n;
    uint8_t *bytes = file_load(path, &n);
    for (int round = 0; round < 200; round++) {
        uint64_t loss = draw(f, 100), expected = 120;
        file_store(path, bytes, n);
        for (uint64_t sector = 15;
             sector-- > 19 / 8;) { /* sector 2 holds 16..18, which are synced: it may lose the rest */
            if (draw(f, 100) >= loss) continue;
            uint64_t keep = sector == 2 ? 3 : 0;
            file_poke(path, events + sector * 512 + keep * 64, zeros, 512 - keep * 64);
            expected = sector * 8 + keep;
        }
        OK(survey(f->dir, &info, &err));
        assert_int_equal(info.last_lsn, expected);
    }
    file_store(path, bytes, n);
    file_poke(path, events + 512, zeros, 512);
    FAILS(survey(f->dir, &info, &err), REEVE_STORE_CORRUPT);
    free(bytes);
}

static void journal_can_be_read_while_it_grows(void **state)
{ /* Goal: a reader beside the master always sees a prefix. Method: a child appends, we replay until it has ended. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_info info = {0};
    pid_t pid = fork_child();
    if (pid == 0) {
        reeve_journal *j = open_next(f->dir, 512);
        for (uint32_t i = 0; i < 3000; i++) {
            append(j, 1 + i % 13);
            CHILD_CHECK((i % 50 == 0 ? reeve_journal_as_port(j)->ops->sync(reeve_journal_as_port(j), &err)
                                     : reeve_journal_flush(j, &err)) == REEVE_OK);
        }
        _exit(reeve_journal_close(j, &err) == REEVE_OK ? 0 : 1);
    }
    uint64_t before = 0;
    int status = 0;
    do {
        OK(survey(f->dir, &info, &err));
        assert_true(info.last_lsn >= before);
        before = info.last_lsn;
    } while (waitpid(pid, &status, WNOHANG) == 0);
    assert_int_equal(status, 0);
    OK(survey(f->dir, &info, &err));
    assert_int_equal(info.last_lsn, 230 * 91 + 55); /* 1 + 2 + ... + 13 is 91, and so on */
}

static void journal_keeps_every_synced_record_of_killed_writers(void **state)
{ /* Goal: acknowledged is there. Method: 50 children, each killed at a random moment, tell over a pipe what they
   * synced; every next one goes on from what it finds. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_info info = {0};
    for (int round = 0; round < 50; round++) {
        int told[2];
        assert_int_equal(pipe(told), 0);
        uint32_t batch = 1 + (uint32_t)draw(f, 90);
        pid_t pid = fork_child();
        if (pid == 0) {
            reeve_journal *j = open_next(f->dir, 128);
            for (;;) {
                append(j, batch);
                sync_now(j);
                uint64_t lsn = reeve_journal_last_lsn(j);
                CHILD_CHECK(write(told[1], &lsn, sizeof(lsn)) == sizeof(lsn));
            }
        }
        (void)close(told[1]);
        struct pollfd first = {.fd = told[0], .events = POLLIN};
        if (round % 2 == 0) assert_int_equal(poll(&first, 1, 60000), 1); /* the others may die before they say a word */
        reeve_clock_sleep((reeve_time_ns)draw(f, 12) * REEVE_MILLISECOND_NS + (reeve_time_ns)draw(f, 1000000));
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        uint64_t lsn, acknowledged = 0;
        while (read(told[0], &lsn, sizeof(lsn)) == sizeof(lsn))
            acknowledged = lsn;
        (void)close(told[0]);
        OK(survey(f->dir, &info, &err));
        if (info.last_lsn < acknowledged)
            fail_msg("round %d: %llu acknowledged, %llu there", round, (unsigned long long)acknowledged,
                     (unsigned long long)info.last_lsn);
    }
    struct reeve_journal_check check;
    OK(reeve_journal_verify(f->dir, &check, &err));
    assert_true(check.records > 0);
}

static void write_beyond_limit(struct fixture *f)
{
    struct reeve_error err, again;
    (void)signal(SIGXFSZ, SIG_IGN);
    reeve_journal *j = open_next(f->dir, 64);
    reeve_journal_port *port = reeve_journal_as_port(j);
    append(j, 5);
    sync_now(j);
    struct rlimit limit = {places(f->dir, 1, 1, NULL) + 8 * 64, RLIM_INFINITY};
    CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    append(j, 20);
    CHILD_CHECK(port->ops->sync(port, &err) == REEVE_STORE_WRITE);
    CHILD_CHECK(strstr(err.text, "limit") != NULL && strstr(err.text, "--run-dir") != NULL);
    limit.rlim_cur = RLIM_INFINITY;
    CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    struct reeve_event ev = event_of(26);
    CHILD_CHECK(port->ops->append(port, &ev, &again) == REEVE_STORE_WRITE); /* for good */
    CHILD_CHECK(strcmp(err.text, again.text) == 0);
    CHILD_CHECK(port->ops->sync(port, &again) == REEVE_STORE_WRITE);
    CHILD_CHECK(reeve_journal_flush(j, &again) == REEVE_STORE_WRITE);
    CHILD_CHECK(reeve_journal_close(j, &again) == REEVE_STORE_WRITE);
}

static void journal_write_that_failed_is_final(void **state)
{ /* Goal: no word after a failed write, and all before it is there. Method: a limit on the size of files, then lifted.
   */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_info info;
    assert_int_equal(in_child(write_beyond_limit, f), 0);
    OK(survey(f->dir, &info, &err));
    assert_true(info.last_lsn >= 5 && info.last_lsn < 25);
}

#define CHILD_SKIPS 77

static void fill_disk(struct fixture *f)
{
    struct reeve_error err;
    struct reeve_journal_info info;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", f->dir, "tmpfs", 0, "size=64k") != 0)
        _exit(CHILD_SKIPS);
    reeve_journal *j = open_next(f->dir, 256); /* 20 KiB a segment: room for three */
    reeve_journal_port *port = reeve_journal_as_port(j);
    reeve_status st = REEVE_OK;
    uint64_t synced = 0;
    for (uint64_t lsn = 1; st == REEVE_OK && lsn < 2000; lsn++) {
        struct reeve_event ev = event_of(lsn);
        st = port->ops->append(port, &ev, &err);
        if (st == REEVE_OK && lsn % 10 == 0 && (st = port->ops->sync(port, &err)) == REEVE_OK) synced = lsn;
    }
    CHILD_CHECK(st == REEVE_STORE_WRITE);
    CHILD_CHECK(strstr(err.text, "disk is full") != NULL && strstr(err.text, f->dir) != NULL);
    CHILD_CHECK(synced >= 256 && reeve_journal_last_lsn(j) % 256 == 0); /* between segments, never inside one */
    CHILD_CHECK(reeve_journal_replay(f->dir, NULL, NULL, &info, &err) == REEVE_OK && info.last_lsn >= synced);
    (void)reeve_journal_close(j, NULL);
}

static void journal_full_disk_is_met_between_segments(void **state)
{ /* Goal: a full disk stops the journal before a record is torn. Method: a file system of 64 KiB. */
    int rc = in_child(fill_disk, *state);
    if (rc == CHILD_SKIPS) {
        printf("skipped: we may not mount a small file system here\n");
        skip();
    }
    assert_int_equal(rc, 0);
}

static void journal_is_read_by_h5dump_while_it_is_written(void **state)
{
    struct fixture *f = *state;
    char path[REEVE_PATH_BYTES_MAX];
    reeve_journal *j = open_next(f->dir, 64);
    append(j, 70);
    assert_int_equal(reeve_journal_flush(j, NULL), REEVE_OK);
    path_of(f->dir, 1, 65, path);
    int reads = h5dump_reads(path, "-d /events");
    close_now(j);
    if (reads < 0) {
        printf("skipped: h5dump is not installed\n");
        skip();
    }
    assert_int_equal(reads, 1);
}

int main(void)
{
#define JOURNAL_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(journal_that_does_not_exist_is_empty),
        JOURNAL_TEST(journal_gives_back_what_was_appended_over_segments_and_epochs),
        JOURNAL_TEST(journal_flush_alone_survives_the_process),
        JOURNAL_TEST(journal_refuses_what_does_not_belong_in_it),
        JOURNAL_TEST(journal_finds_every_flipped_byte_of_a_segment),
        JOURNAL_TEST(journal_finds_flips_in_every_file_of_a_long_one),
        JOURNAL_TEST(journal_finds_every_truncation),
        JOURNAL_TEST(journal_missing_segment_is_named),
        JOURNAL_TEST(journal_torn_tail_ends_it_wherever_it_was_cut),
        JOURNAL_TEST(journal_goes_on_after_a_cut_tail),
        JOURNAL_TEST(journal_keeps_what_was_synced_through_a_power_cut),
        JOURNAL_TEST(journal_can_be_read_while_it_grows),
        JOURNAL_TEST(journal_keeps_every_synced_record_of_killed_writers),
        JOURNAL_TEST(journal_write_that_failed_is_final),
        JOURNAL_TEST(journal_full_disk_is_met_between_segments),
        JOURNAL_TEST(journal_is_read_by_h5dump_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
