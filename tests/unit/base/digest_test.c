/* Digests: known values, streaming equals whole, every bit counts, hexadecimal there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/digest.h"
#include "base/random.h"

/* Goal: texts equal those of xxhsum. Method: `printf '' | xxhsum -H2`, `printf abc | xxhsum -H2`. */
static void digest_equals_what_xxhsum_prints(void **state)
{
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(reeve_digest_of("", 0), hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    reeve_digest_hex(reeve_digest_of("abc", 3), hex);
    assert_string_equal(hex, "06b05ab6733a618578af5f94892f3950");
    assert_true(reeve_digest64("abc", 3, 0) == 0x78af5f94892f3950u);
}

/* Goal: whatever the processor has, digests are those of any other. Method: lengths about where another function does the
 * work; the values are from xxHash 0.8.1 compiled with XXH_VECTOR=0. */
static void digest_is_the_same_on_every_processor(void **state)
{
    static const struct {
        size_t bytes;
        uint64_t plain, seeded;
        const char *hex;
    } known[] = {
        {240, 0x2599f7836101b7c7, 0x6de8f7fc56918a4d, "aaccf00e50cb50cf5a87483dc28e0358"},
        {241, 0xfa3e3f950b821a67, 0x242be6a7dda590dd, "8f7b3b6898244931fa3e3f950b821a67"},
        {1024, 0xa3115476086f73f1, 0xac87dfcb5d3a0346, "58ffb390b197a68aa3115476086f73f1"},
        {1025, 0x66b070bd27327c00, 0x50b41dda5e4a2160, "99fd280e417dee6866b070bd27327c00"},
        {5000, 0x924c0d5e41418245, 0x87c61303a98c2ada, "03b1968210409dc8924c0d5e41418245"},
    };
    unsigned char bytes[5000];
    char hex[REEVE_DIGEST_HEX_BYTES];
    for (uint32_t i = 0; i < sizeof(bytes); i++) bytes[i] = (unsigned char)(i * i % 251);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_true(reeve_digest64(bytes, known[i].bytes, 0) == known[i].plain);
        assert_true(reeve_digest64(bytes, known[i].bytes, 7) == known[i].seeded);
        reeve_digest_hex(reeve_digest_of(bytes, known[i].bytes), hex);
        assert_string_equal(hex, known[i].hex);
    }
}

static void digest_in_pieces_equals_digest_of_the_whole(void **state)
{
    unsigned char bytes[5000];
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (unsigned char)reeve_random_u64(1, 1, i);
    struct reeve_digest whole = reeve_digest_of(bytes, sizeof(bytes));
    for (size_t piece = 1; piece < 700; piece += 13) {
        reeve_digester *d = reeve_digester_create();
        assert_non_null(d);
        for (size_t at = 0; at < sizeof(bytes); at += piece)
            reeve_digester_update(d, bytes + at, at + piece <= sizeof(bytes) ? piece : sizeof(bytes) - at);
        assert_true(reeve_digest_equal(reeve_digester_finish(d), whole));
        reeve_digester_destroy(d);
    }
    reeve_digester_destroy(NULL);
}

static void digest_changes_with_every_bit(void **state)
{
    unsigned char bytes[64] = {0};
    struct reeve_digest before = reeve_digest_of(bytes, sizeof(bytes));
    uint64_t before64 = reeve_digest64(bytes, sizeof(bytes), 7);
    assert_true(before64 != reeve_digest64(bytes, sizeof(bytes), 8));
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_false(reeve_digest_equal(before, reeve_digest_of(bytes, sizeof(bytes))));
        assert_true(before64 != reeve_digest64(bytes, sizeof(bytes), 7));
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
}

static void digest_hex_goes_there_and_back(void **state)
{
    struct reeve_digest d = reeve_digest_of("reeve", 5), back;
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(d, hex);
    assert_int_equal(strlen(hex), 32);
    assert_true(reeve_digest_parse(hex, &back));
    assert_true(reeve_digest_equal(d, back));
}

static void digest_parse_refuses_what_is_no_digest(void **state)
{
    static const char *const bad[] = {"", "0", "99aa06d3014798d86001c324468d497", "99aa06d3014798d86001c324468d497f0",
                                      "g9aa06d3014798d86001c324468d497f", "99aa06d3014798d86001c324468d497 "};
    struct reeve_digest untouched = {{1, 2, 3}}, d = untouched;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(reeve_digest_parse(bad[i], &d));
        assert_true(reeve_digest_equal(d, untouched));
    }
    assert_true(reeve_digest_parse("99AA06D3014798D86001C324468D497F", &d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_equals_what_xxhsum_prints),
        cmocka_unit_test(digest_is_the_same_on_every_processor),
        cmocka_unit_test(digest_in_pieces_equals_digest_of_the_whole),
        cmocka_unit_test(digest_changes_with_every_bit),
        cmocka_unit_test(digest_hex_goes_there_and_back),
        cmocka_unit_test(digest_parse_refuses_what_is_no_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
