/*
 * The sharing scheme: its limits, every subset, SLIP-39's published shares, the share format of
 * HashiCorp Vault, and an independent field built from logarithms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* wolfssl/options.h must come before any other header of wolfSSL. */
#include <wolfssl/options.h>

#include <cmocka.h>
#include <sodium.h>
#include <wolfssl/wolfcrypt/pwdbased.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "crypto/shamir.h"
#include "failing_rng.h"
#include "vectors.h"

static struct rng
seeded(struct rng_seeded *state, uint64_t seed)
{
    struct rng rng;

    rng_seeded_init(state, seed, &rng);
    return rng;
}

static bool
all_zero(const uint8_t *data, size_t size)
{
    return sodium_is_zero(data, size) == 1;
}

/* The field by logarithms to the generator 0xe5, as in the tables of Vault's shamir package. */
struct field {
    uint8_t exp[255];
    uint8_t log[256];
};

static void
field_init(struct field *f)
{
    unsigned power = 1;

    memset(f, 0, sizeof(*f));
    for (unsigned i = 0; i < 255; i++) {
        unsigned product = 0;

        f->exp[i] = (uint8_t)power;
        f->log[power] = (uint8_t)i;
        for (unsigned bit = 0; bit < 8; bit++) {
            if (0xe5u >> bit & 1)
                product ^= power << bit;
        }
        for (unsigned bit = 15; bit >= 8; bit--) {
            if (product >> bit & 1)
                product ^= 0x11bu << (bit - 8);
        }
        power = product;
    }
    assert_int_equal(power, 1); /* it generates the whole group */
}

static uint8_t
field_mul(const struct field *f, uint8_t a, uint8_t b)
{
    return a == 0 || b == 0 ? 0 : f->exp[(f->log[a] + f->log[b]) % 255];
}

static uint8_t
field_div(const struct field *f, uint8_t a, uint8_t b)
{
    assert_true(b != 0);
    return a == 0 ? 0 : f->exp[(f->log[a] + 255 - f->log[b]) % 255];
}

/* Some entries of Vault's published tables, so that the oracle is the field that Vault uses. */
static void
field_is_the_one_of_vault(void **state)
{
    static const uint8_t first[16] = {0x01, 0xe5, 0x4c, 0xb5, 0xfb, 0x9f, 0xfc, 0x12,
                                      0x03, 0x34, 0xd4, 0xc4, 0x16, 0xba, 0x1f, 0x36};
    static const uint8_t last[7] = {0xaa, 0xcd, 0x9a, 0xa0, 0x75, 0x54, 0x0e};
    struct field f;

    (void)state;
    field_init(&f);
    assert_memory_equal(f.exp, first, sizeof(first));
    assert_memory_equal(f.exp + 248, last, sizeof(last));
    assert_int_equal(f.log[2], 0xc8);
    assert_int_equal(f.log[0xff], 0x38);
    assert_int_equal(field_mul(&f, 3, 7), 9);
    assert_int_equal(field_div(&f, 6, 3), 2);
}

/* The line through (a, 0) and (b, share) has the value share * (at - a) / (b - a). */
static void
interpolates_as_the_field_says(void **state)
{
    struct field f;

    (void)state;
    field_init(&f);
    for (unsigned share = 0; share < 256; share++) {
        for (unsigned at = 0; at < 256; at++) {
            const uint8_t zero = 0;
            uint8_t y = (uint8_t)share;
            uint8_t xs[2] = {(uint8_t)(1 + (share * 7 + at) % 255), 0};
            const uint8_t *ys[2] = {&zero, &y};
            uint8_t expected, found;

            xs[1] = (uint8_t)(1 + (xs[0] + at * 3 % 254) % 255);
            assert_true(xs[0] != xs[1]);
            expected = field_div(&f, field_mul(&f, y, (uint8_t)at ^ xs[0]), xs[1] ^ xs[0]);
            assert_int_equal(shamir_value_at(xs, ys, 2, 1, (uint8_t)at, &found), OK);
            if (found != expected)
                fail_msg("%u at %u: %u, not %u", share, at, found, expected);
        }
    }
}

/* Two points whose difference is a, for every a: the weight of the first divides by it. */
static void
divides_by_everything(void **state)
{
    static const uint8_t one[1] = {1};
    struct field f;

    (void)state;
    field_init(&f);
    for (unsigned a = 1; a < 256; a++) {
        const uint8_t x = a == 1 ? 2 : 1;
        const uint8_t xs[2] = {x, (uint8_t)(x ^ a)};
        uint8_t weight;

        assert_int_equal(shamir_contribution(xs, 2, x, one, 1, 0, &weight), OK);
        assert_int_equal(weight, field_div(&f, xs[1], (uint8_t)a));
    }
}

/* Vault's shares are the y bytes with the x byte behind them; 3 of 5. */
static void
combines_shares_in_vaults_format(void **state)
{
    static const char *const shares[5] = {
        "3a9dfaf7af1dabe9c87c87ee01", "8bbed9bc7b38a2ad36bd584302", "c7425627a0056f2b8cacbed903",
        "1834a40ed483fa895633867a04", "54c82b950fbe370fec2260e005",
    };
    static const char secret[] = "vault format";
    struct bytes raw[5];

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        raw[i] = unhex(shares[i]);
    for (unsigned a = 0; a < 5; a++) {
        for (unsigned b = 0; b < 5; b++) {
            for (unsigned c = 0; c < 5; c++) {
                const uint8_t xs[3] = {raw[a].data[12], raw[b].data[12], raw[c].data[12]};
                const uint8_t *ys[3] = {raw[a].data, raw[b].data, raw[c].data};
                uint8_t out[12];
                bool distinct = a != b && b != c && a != c;

                assert_int_equal(shamir_value_at(xs, ys, 3, 12, 0, out), distinct ? OK : ERR_RANGE);
                if (distinct)
                    assert_memory_equal(out, secret, 12);
                else
                    assert_true(all_zero(out, sizeof(out)));
            }
        }
    }
    for (unsigned i = 0; i < 5; i++)
        bytes_free(raw[i]);
}

/*
 * SLIP-39: decoded from the mnemonics of its published vectors, whose numbers are the names here
 * (metadata and share value; the checksum is theirs). Secret at x = 255, digest at x = 254. The
 * encrypted master secret that comes out is decrypted as the standard says, passphrase "TREZOR".
 */
struct slip39_share {
    uint8_t group;
    uint8_t member; /* its x, from 0 */
    uint8_t threshold;
    const char *value;
};

struct slip39_case {
    const char *name;
    unsigned id;
    bool extendable;
    unsigned exponent;
    unsigned group_threshold;
    const char *master_secret; /* NULL: the digest is wrong */
    struct slip39_share shares[5];
};

static const struct slip39_case slip39_cases[] = {
    {
        .name = "4",
        .id = 25653,
        .extendable = false,
        .exponent = 2,
        .group_threshold = 1,
        .master_secret = "b43ceb7e57a0ea8766221624d01b0864",
        .shares =
            {
                {0, 2, 2, "08fb14b66e692e25dfe2edf53289ed62"},
                {0, 0, 2, "06ab48fef4bedc8ce58baeef0a73f76e"},
            },
    },
    {
        .name = "13",
        .id = 13375,
        .extendable = false,
        .exponent = 0,
        .group_threshold = 1,
        .master_secret = NULL,
        .shares =
            {
                {0, 0, 2, "c8b9d27853c7dee68be5457014f07057"},
                {0, 1, 2, "61695b5315b3dfc1dce0ab914325af00"},
            },
    },
    {
        .name = "17",
        .id = 9497,
        .extendable = false,
        .exponent = 0,
        .group_threshold = 2,
        .master_secret = "7c3397a292a5941682d7a4ae2d898d11",
        .shares =
            {
                {3, 0, 2, "44e95c567b0b73d470f78e2cc4f206ee"},
                {2, 4, 3, "90f25bc998346d039203971999669e96"},
                {2, 2, 3, "fc119ebfe32da3d688dc1f26c22c7ffc"},
                {2, 0, 3, "9e6afad0e741c8c1c65b2785a942808a"},
                {3, 4, 2, "a0c12ed2cc2adeb32ccebec07a3c1b3a"},
            },
    },
    {
        .name = "18",
        .id = 9497,
        .extendable = false,
        .exponent = 0,
        .group_threshold = 2,
        .master_secret = "7c3397a292a5941682d7a4ae2d898d11",
        .shares =
            {
                {3, 4, 2, "a0c12ed2cc2adeb32ccebec07a3c1b3a"},
                {1, 0, 1, "0b99753280a6da02952584800234d7be"},
                {3, 1, 2, "7de3cd7710c8938b67328217664ccadb"},
            },
    },
    {
        .name = "19",
        .id = 9497,
        .extendable = false,
        .exponent = 0,
        .group_threshold = 2,
        .master_secret = "7c3397a292a5941682d7a4ae2d898d11",
        .shares =
            {
                {1, 0, 1, "0b99753280a6da02952584800234d7be"},
                {0, 0, 1, "528f189b171d073b3b36b5da48f36b51"},
            },
    },
    {
        .name = "23",
        .id = 14279,
        .extendable = false,
        .exponent = 2,
        .group_threshold = 1,
        .master_secret = "c938b319067687e990e05e0da0ecce1278f75ff58d9853f19dcaeed5de104aae",
        .shares =
            {
                {0, 2, 2, "81e5473f4b7f66094f888d2f98fe0ded6a692dc72c65dc498d6e28bee6ebdfcc"},
                {0, 1, 2, "19e366e9b2e34851e52132c31c2b2c957321bf5ce6c9c1410ea1ddf5fef92c27"},
            },
    },
    {
        .name = "32",
        .id = 24454,
        .extendable = false,
        .exponent = 0,
        .group_threshold = 1,
        .master_secret = NULL,
        .shares =
            {
                {0, 0, 2, "3c59ea2a38b713c8f0eda4907c558602"},
                {0, 1, 2, "7409621999e03973ca7ba0fdbfba28b1"},
            },
    },
    {
        .name = "36",
        .id = 32134,
        .extendable = false,
        .exponent = 0,
        .group_threshold = 2,
        .master_secret = "5385577c8cfc6c1a8aa0f7f10ecde0a3318493262591e78b8c14c6686167123b",
        .shares =
            {
                {2, 0, 3, "82a363ed145a49a4e37311253c105846c0afb13b74e5ddda9cc25d7aae49bc89"},
                {3, 1, 2, "094ed0a7c9b50a3dcecc037bb4e34eb5b158a8ee3f8ea661e76521e07629e663"},
                {2, 1, 3, "d127f1f9bc12e3856fb3983104783b71480d249d80101568def4a41100177dfb"},
                {2, 4, 3, "4bde8a604105f3a6c32f2f547131aafea756725a28e80a14d59d8f05c4adcca5"},
                {3, 2, 2, "98091ab3396a2e9ab9d6889b6507fce1e3c12dd0a2676ee52bb1b389ec320a90"},
            },
    },
    {
        .name = "37",
        .id = 32134,
        .extendable = false,
        .exponent = 0,
        .group_threshold = 2,
        .master_secret = "5385577c8cfc6c1a8aa0f7f10ecde0a3318493262591e78b8c14c6686167123b",
        .shares =
            {
                {3, 1, 2, "094ed0a7c9b50a3dcecc037bb4e34eb5b158a8ee3f8ea661e76521e07629e663"},
                {1, 0, 1, "6b4b917c4263ba9978a28eee6c214dfa1ae31bacdf3d515516c6b508c3cb8204"},
                {3, 4, 2, "a187959bc2cf66cf57e28540dcd4834947e83cac83aee5f6a8028c5bc304c96d"},
            },
    },
    {
        .name = "38",
        .id = 32134,
        .extendable = false,
        .exponent = 0,
        .group_threshold = 2,
        .master_secret = "5385577c8cfc6c1a8aa0f7f10ecde0a3318493262591e78b8c14c6686167123b",
        .shares =
            {
                {1, 0, 1, "6b4b917c4263ba9978a28eee6c214dfa1ae31bacdf3d515516c6b508c3cb8204"},
                {0, 0, 1, "bc41d7aec90d616217e3d505413186c5a96f1b78aea3ef47f6da666337107b86"},
            },
    },
    {
        .name = "41",
        .id = 13899,
        .extendable = false,
        .exponent = 0,
        .group_threshold = 1,
        .master_secret = "ad6f2ad8b59bbbaa01369b9006208d9a",
        .shares =
            {
                {0, 7, 3, "3ed2fa64acf769131509ca05437606b1"},
                {0, 9, 3, "58ccc8f63e2232eb372d91241e61506b"},
                {0, 0, 3, "0d5f0655e0645fad705c1e128887678f"},
            },
    },
    {
        .name = "43",
        .id = 9066,
        .extendable = true,
        .exponent = 0,
        .group_threshold = 1,
        .master_secret = "48b1a4b80b8c209ad42c33672bdaa428",
        .shares =
            {
                {0, 0, 2, "a5a69aa82af0f8068a01d8e8c095ddf3"},
                {0, 2, 2, "00d13191fb007cabfc4883edfa14552e"},
            },
    },
    {
        .name = "45",
        .id = 32065,
        .extendable = true,
        .exponent = 0,
        .group_threshold = 1,
        .master_secret = "8dc652d6d6cd370d8c963141f6d79ba440300f25c467302c1d966bff8f62300d",
        .shares =
            {
                {0, 2, 2, "daef18f6bfd2792749905e41a402dae0365bc2434e455226096a99f941d203bf"},
                {0, 0, 2, "b4290e56271e919a44596794aef75071b07536ee113e1529299a08b19190ed81"},
            },
    },
};

enum { SLIP39_GROUPS = 16, SLIP39_BYTES = 32 };

struct slip39_points {
    uint8_t xs[SLIP39_GROUPS];
    uint8_t values[SLIP39_GROUPS][SLIP39_BYTES];
    unsigned count;
};

/*
 * The standard's x begin at 0, which ours refuses. Moving all x by the same distance, which is XOR
 * with 0x80 here, leaves every difference and so every weight as it is.
 */
static uint8_t
moved(unsigned x)
{
    return (uint8_t)(x ^ 0x80);
}

static bool
slip39_combine(const struct slip39_points *p, unsigned threshold, size_t size, uint8_t *secret)
{
    uint8_t digest_share[SLIP39_BYTES];
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    const uint8_t *values[SLIP39_GROUPS];
    crypto_auth_hmacsha256_state state;

    assert_int_equal(p->count, threshold);
    for (unsigned i = 0; i < p->count; i++)
        values[i] = p->values[i];
    if (threshold == 1) {
        memcpy(secret, values[0], size);
        return true;
    }
    assert_int_equal(shamir_value_at(p->xs, values, p->count, size, moved(255), secret), OK);
    assert_int_equal(shamir_value_at(p->xs, values, p->count, size, moved(254), digest_share), OK);
    crypto_auth_hmacsha256_init(&state, digest_share + 4, size - 4);
    crypto_auth_hmacsha256_update(&state, secret, size);
    crypto_auth_hmacsha256_final(&state, mac);
    return memcmp(mac, digest_share, 4) == 0;
}

/* Four rounds of Feistel's network, backwards. */
static void
slip39_decrypt(const struct slip39_case *c, size_t size, uint8_t *secret)
{
    size_t half = size / 2;
    uint8_t left[SLIP39_BYTES], right[SLIP39_BYTES], round_key[SLIP39_BYTES];

    memcpy(left, secret, half);
    memcpy(right, secret + half, half);
    for (unsigned round = 4; round-- > 0;) {
        uint8_t password[] = "?TREZOR";
        uint8_t salt[8 + SLIP39_BYTES] = "shamir";
        size_t prefix = c->extendable ? 0 : 8;

        password[0] = (uint8_t)round;
        salt[6] = (uint8_t)(c->id >> 8);
        salt[7] = (uint8_t)c->id;
        memcpy(salt + prefix, right, half);
        assert_int_equal(wc_PBKDF2(round_key, password, 7, salt, (int)(prefix + half),
                                   2500 << c->exponent, (int)half, WC_SHA256),
                         0);
        for (size_t i = 0; i < half; i++) {
            uint8_t next = left[i] ^ round_key[i];

            left[i] = right[i];
            right[i] = next;
        }
    }
    memcpy(secret, right, half);
    memcpy(secret + half, left, half);
}

static void
slip39_check(const struct slip39_case *c)
{
    struct slip39_points groups = {0};
    size_t size = strlen(c->shares[0].value) / 2;
    uint8_t secret[SLIP39_BYTES];
    bool good = true;

    for (unsigned g = 0; g < SLIP39_GROUPS; g++) {
        struct slip39_points members = {0};
        unsigned threshold = 0;

        for (unsigned i = 0; i < 5 && c->shares[i].value; i++) {
            if (c->shares[i].group != g)
                continue;
            threshold = c->shares[i].threshold;
            members.xs[members.count] = moved(c->shares[i].member);
            assert_int_equal(
                hex_decode(bytes_of_text(c->shares[i].value), members.values[members.count], size),
                OK);
            members.count++;
        }
        if (members.count == 0)
            continue;
        groups.xs[groups.count] = moved(g);
        good = slip39_combine(&members, threshold, size, groups.values[groups.count]) && good;
        groups.count++;
    }
    good = slip39_combine(&groups, c->group_threshold, size, secret) && good;
    if (good != (c->master_secret != NULL))
        fail_msg("vector %s: the digest is judged wrongly", c->name);
    if (good) {
        struct bytes expected = unhex(c->master_secret);

        slip39_decrypt(c, size, secret);
        assert_int_equal(expected.size, size);
        assert_memory_equal(secret, expected.data, size);
        bytes_free(expected);
    }
}

static void
combines_slip39(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(slip39_cases) / sizeof(slip39_cases[0]); i++)
        slip39_check(&slip39_cases[i]);
}

/* All subsets of at least k shares give the secret, and all other shares. */
static void
check_subsets(const uint8_t *secret, size_t size, unsigned k, unsigned n, const uint8_t *shares)
{
    for (unsigned mask = 1; mask < 1u << n; mask++) {
        uint8_t xs[8], out[SHAMIR_SECRET_BYTES_MAX];
        const uint8_t *ys[8];
        unsigned count = 0;

        for (unsigned j = 0; j < n; j++) {
            if (mask >> j & 1) {
                xs[count] = (uint8_t)(j + 1);
                ys[count++] = shares + j * size;
            }
        }
        assert_int_equal(shamir_value_at(xs, ys, count, size, 0, out), OK);
        if ((memcmp(out, secret, size) == 0) != (count >= k))
            fail_msg("%u shares of %u-of-%u are judged wrongly", count, k, n);
        for (unsigned j = 0; j < n && count >= k; j++) {
            assert_int_equal(shamir_value_at(xs, ys, count, size, (uint8_t)(j + 1), out), OK);
            assert_memory_equal(out, shares + j * size, size);
        }
    }
}

static void
any_k_shares_restore(void **state)
{
    static const size_t sizes[] = {16, 32, 52, SHAMIR_SECRET_BYTES_MAX};
    struct rng_seeded seed;
    struct rng rng = seeded(&seed, 3);

    (void)state;
    for (unsigned n = 1; n <= 7; n++) {
        for (unsigned k = n == 1 ? 1 : 2; k <= n; k++) {
            for (unsigned s = 0; s < 4; s++) {
                uint8_t secret[SHAMIR_SECRET_BYTES_MAX], shares[7 * SHAMIR_SECRET_BYTES_MAX];

                assert_int_equal(rng_fill(&rng, secret, sizes[s]), OK);
                assert_int_equal(shamir_split(secret, sizes[s], k, n, &rng, shares), OK);
                check_subsets(secret, sizes[s], k, n, shares);
            }
        }
    }
}

static void
works_with_255_shares(void **state)
{
    uint8_t secret[2] = {0, 255}, shares[255 * 2], xs[255], out[2];
    const uint8_t *ys[255];
    struct rng_seeded seed;
    struct rng rng = seeded(&seed, 4);

    (void)state;
    assert_int_equal(shamir_split(secret, 2, 255, 255, &rng, shares), OK);
    for (unsigned j = 0; j < 255; j++) {
        xs[j] = (uint8_t)(j + 1);
        ys[j] = shares + 2 * j;
    }
    assert_int_equal(shamir_value_at(xs, ys, 255, 2, 0, out), OK);
    assert_memory_equal(out, secret, 2);
    assert_int_equal(shamir_value_at(xs, ys, 254, 2, 0, out), OK);
    assert_memory_not_equal(out, secret, 2);
}

static void
refuses_bad_arguments(void **state)
{
    static const struct {
        size_t size;
        unsigned k, n;
    } cases[] = {{0, 2, 3}, {97, 2, 3}, {4, 0, 3},   {4, 4, 3},
                 {4, 1, 2}, {4, 0, 0},  {4, 2, 256}, {4, 256, 256}};
    uint8_t secret[4] = {1, 2, 3, 4}, shares[16], out[4];
    const uint8_t *ys[2] = {secret, secret};
    struct rng_seeded seed;
    struct rng rng = seeded(&seed, 5);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(shamir_split(secret, cases[i].size, cases[i].k, cases[i].n, &rng, shares),
                         ERR_RANGE);
    memset(shares, 0xff, sizeof(shares));
    assert_int_equal(shamir_split(secret, 4, 4, 3, &rng, shares), ERR_RANGE);
    assert_true(all_zero(shares, 12));

    memset(out, 0xff, sizeof(out));
    assert_int_equal(shamir_value_at((const uint8_t[]){1, 1}, ys, 2, 4, 0, out), ERR_RANGE);
    assert_true(all_zero(out, 4));
    memset(out, 0xff, sizeof(out));
    assert_int_equal(shamir_value_at((const uint8_t[]){0, 1}, ys, 2, 4, 0, out), ERR_RANGE);
    assert_true(all_zero(out, 4));
    assert_int_equal(shamir_value_at((const uint8_t[]){1, 2}, ys, 0, 4, 0, out), ERR_RANGE);
    assert_int_equal(shamir_value_at((const uint8_t[]){1, 2}, ys, 256, 4, 0, out), ERR_RANGE);
    assert_int_equal(shamir_value_at((const uint8_t[]){1, 2}, ys, 2, 0, 0, out), ERR_RANGE);
    assert_int_equal(shamir_value_at((const uint8_t[]){1, 2}, ys, 2, 97, 0, out), ERR_RANGE);
}

static void
fails_without_randomness(void **state)
{
    uint8_t secret[32] = {9}, shares[5 * 32];
    unsigned fail_at = 0;
    enum vault_err err;

    (void)state;
    do {
        struct failing_rng f;
        struct rng rng = failing_rng_init(&f, 6, fail_at);

        memset(shares, 0xff, sizeof(shares));
        err = shamir_split(secret, sizeof(secret), 4, 5, &rng, shares);
        if (err != OK) {
            assert_int_equal(err, ERR_ENTROPY);
            assert_true(all_zero(shares, sizeof(shares)));
            fail_at++;
        }
    } while (err != OK && fail_at < 100);
    assert_int_equal(err, OK);
    assert_int_equal(fail_at, 3); /* one draw for each power above zero */
}

/*
 * Fewer than k shares say nothing: over many splits of one byte, each of the 256 values of a share
 * comes up, the secret itself too, which it would not if the top coefficient were never zero.
 */
static void
shares_are_uniform(void **state)
{
    enum { SPLITS = 256 * 200 };
    unsigned seen[2][256] = {{0}};
    struct rng_seeded seed;
    struct rng rng = seeded(&seed, 7);
    const uint8_t secret = 0x5a;

    (void)state;
    for (unsigned i = 0; i < SPLITS; i++) {
        uint8_t shares[2];

        assert_int_equal(shamir_split(&secret, 1, 2, 2, &rng, shares), OK);
        seen[0][shares[0]]++;
        seen[1][shares[1]]++;
    }
    for (unsigned j = 0; j < 2; j++) {
        for (unsigned value = 0; value < 256; value++) {
            /* 200 expected; a deviation of six sigma (85) does not happen with this seed. */
            if (seen[j][value] < 115 || seen[j][value] > 285)
                fail_msg("share %u is %u in %u of %u", j, value, seen[j][value], SPLITS);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(field_is_the_one_of_vault),
        cmocka_unit_test(interpolates_as_the_field_says),
        cmocka_unit_test(divides_by_everything),
        cmocka_unit_test(combines_shares_in_vaults_format),
        cmocka_unit_test(combines_slip39),
        cmocka_unit_test(any_k_shares_restore),
        cmocka_unit_test(works_with_255_shares),
        cmocka_unit_test(refuses_bad_arguments),
        cmocka_unit_test(fails_without_randomness),
        cmocka_unit_test(shares_are_uniform),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
