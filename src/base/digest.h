/* XXH3 digests (libxxhash): 128 bits name contents, 64 bits check blocks. Not cryptographic: they find damage and
 * mix-ups, not forgery. Bytes are in canonical (big-endian) order, so hex texts equal those of xxhsum. */
#ifndef REEVE_BASE_DIGEST_H
#define REEVE_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reeve_digest { uint8_t bytes[16]; };
#define REEVE_DIGEST_HEX_BYTES 33 /* 32 hex digits and NUL */

typedef struct reeve_digester reeve_digester; /* XXH3-128, streaming; owned by who creates it */
reeve_digester *reeve_digester_create(void);  /* NULL: out of memory */
void reeve_digester_update(reeve_digester *d, const void *bytes, size_t n);
struct reeve_digest reeve_digester_finish(const reeve_digester *d);
void reeve_digester_destroy(reeve_digester *d);

struct reeve_digest reeve_digest_of(const void *bytes, size_t n);
uint64_t reeve_digest64(const void *bytes, size_t n, uint64_t seed); /* XXH3-64 */
bool reeve_digest_equal(struct reeve_digest a, struct reeve_digest b);
void reeve_digest_hex(struct reeve_digest d, char hex[REEVE_DIGEST_HEX_BYTES]);
bool reeve_digest_parse(const char *hex, struct reeve_digest *out); /* false: not 32 hex digits */

#endif
