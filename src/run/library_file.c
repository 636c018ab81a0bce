/* See library_file.h. The header of an ELF file: System V ABI, chapter 4, "ELF Header". */
#include "run/library_file.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/path.h"

#define CHUNK_BYTES ((size_t)1 << 20)

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden"))); /* this program's own; from the linker */

/* A copy that was cut short would be mapped, and then kill whoever touches what is not there. */
static bool is_whole(const ElfW(Ehdr) * header, const unsigned char *bytes, size_t n, uint64_t file_bytes)
{
    for (uint32_t i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        uint64_t at = (uint64_t)i * sizeof(segment);
        if (header->e_phoff > n || sizeof(segment) + at > n - header->e_phoff) return false;
        memcpy(&segment, bytes + header->e_phoff + at, sizeof(segment));
        if (segment.p_type != PT_LOAD) continue;
        if (segment.p_offset > file_bytes || segment.p_filesz > file_bytes - segment.p_offset) return false;
    }
    return true;
}

static const char *find_fault(const unsigned char *bytes, size_t n, uint64_t file_bytes)
{
    ElfW(Ehdr) header;
    if (n < sizeof(header)) return "too short for a shared object";
    memcpy(&header, bytes, sizeof(header));
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "no ELF file";
    if (header.e_ident[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] ||
        header.e_ident[EI_DATA] != __ehdr_start.e_ident[EI_DATA] || header.e_machine != __ehdr_start.e_machine)
        return "built for another kind of processor than this program";
    if (header.e_type != ET_DYN) return "an ELF file, but no shared object (was it linked with -shared?)";
    if (header.e_phentsize != sizeof(ElfW(Phdr)) || !is_whole(&header, bytes, n, file_bytes))
        return "its end is missing (was it copied whole?)";
    return NULL;
}

/* A file that grows or shrinks meanwhile has some digest, and another one next time. */
static reeve_status digest_file(int fd, uint64_t file_bytes, const char *path, struct reeve_digest *digest,
                                struct reeve_error *err)
{
    reeve_digester *digester = reeve_digester_create();
    unsigned char *chunk = malloc(CHUNK_BYTES);
    reeve_status st = REEVE_OK;
    if (digester == NULL || chunk == NULL)
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "workload %s: out of memory", path);
    const char *fault = NULL;
    bool first = true;
    for (ssize_t n = 1; st == REEVE_OK && fault == NULL && n > 0; first = false) {
        do
            n = read(fd, chunk, CHUNK_BYTES);
        while (n < 0 && errno == EINTR);
        if (n < 0) st = reeve_fail(err, reeve_status_from_errno_read(errno), "workload %s: %m", path);
        else if (first) fault = find_fault(chunk, (size_t)n, file_bytes);
        if (n > 0) reeve_digester_update(digester, chunk, (size_t)n);
    }
    if (fault != NULL)
        st = reeve_fail(err, REEVE_INPUT_INVALID,
                        "workload %s: %s; expected a shared object that was built for this machine", path, fault);
    if (st == REEVE_OK) *digest = reeve_digester_finish(digester);
    free(chunk);
    reeve_digester_destroy(digester);
    return st;
}

static reeve_status check_file(const char *path, struct reeve_digest *digest, struct reeve_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not make this wait */
    struct stat info;
    if (fd < 0 && errno == ENOENT)
        return reeve_fail(err, REEVE_INPUT_MISSING,
                          "workload %s: there is no such file; build it, or correct `workload:` (a path is relative to "
                          "the job file)",
                          path);
    if (fd < 0) return reeve_fail(err, reeve_status_from_errno_read(errno), "workload %s: %m", path);
    reeve_status st = REEVE_OK;
    if (fstat(fd, &info) != 0) st = reeve_fail(err, reeve_status_from_errno_read(errno), "workload %s: %m", path);
    else if (!S_ISREG(info.st_mode))
        st = reeve_fail(err, REEVE_INPUT_INVALID, "workload %s: no ordinary file; expected a shared object", path);
    if (st == REEVE_OK) st = digest_file(fd, (uint64_t)info.st_size, path, digest, err);
    (void)close(fd);
    return st;
}

reeve_status reeve_library_file_check(const struct reeve_job *job, char text[REEVE_LIBRARY_TEXT_BYTES],
                                      struct reeve_error *err)
{
    struct reeve_digest digest;
    char hex[REEVE_DIGEST_HEX_BYTES];
    if (!reeve_job_is_plugin(job)) {
        text[0] = '\0';
        return REEVE_OK;
    }
    reeve_status st = check_file(job->workload, &digest, err);
    if (st != REEVE_OK) return st;
    reeve_digest_hex(digest, hex);
    const char *slash = strrchr(job->workload, '/');
    (void)snprintf(text, REEVE_LIBRARY_TEXT_BYTES, "%.60s %s", slash != NULL ? slash + 1 : job->workload, hex);
    return REEVE_OK;
}
