/*
 * Lists of revoked certificates, and the records that are made of them. The first byte picks. Nobody
 * has signed what comes here, so that no list may pass for one of the authority.
 */

#include "auth/revocations.h"
#include "crypto/certificate.h"
#include "fuzz.h"

static void
check_record(struct bytes record)
{
    struct revocations revocations;
    struct buf again = {0};

    if (revocations_decode(record, &revocations) != OK)
        return;
    require(revocations_encode(&revocations, &again) == OK);
    require(bytes_equal(record, buf_bytes(&again)));
    (void)revocations_have(&revocations, record);
    buf_close(&again);
}

/* What was taken apart lies within the list, and makes a record, or is too much for one. */
static void
check_list(struct bytes der)
{
    static const uint8_t nobody[HASH_BYTES];
    struct revocation_list list;
    struct revocations made;
    struct arena arena;
    struct buf record = {0};
    struct bytes serial;
    enum vault_err err;

    if (revocation_list_read(der, &list) != OK)
        return;
    require(list.signature.data >= der.data &&
            list.signature.data + list.signature.size <= der.data + der.size);
    arena_init(&arena, 64 * 1024);
    err = revocations_of(&list, nobody, &arena, &made);
    require(err == OK || err == ERR_TOO_LARGE);
    if (err == OK) {
        require(revocations_encode(&made, &record) == OK);
        check_record(buf_bytes(&record));
        while (revocation_list_next(&list, &serial)) {
            require(serial.size >= 1 && serial.size <= CERTIFICATE_SERIAL_BYTES_MAX);
            require(revocations_have(&made, serial));
        }
    }
    buf_close(&record);
    arena_close(&arena);
}

/* The first part as an authority's certificate, the second as a list. */
static void
check_signature(struct bytes both)
{
    size_t size = both.size > 2 ? (size_t)both.data[0] << 8 | both.data[1] : both.size;
    struct revocation_list list;

    if (both.size < 2 + size)
        return;
    if (revocation_list_read(bytes_of(both.data + 2 + size, both.size - 2 - size), &list) == OK)
        (void)revocation_list_signed_by(&list, bytes_of(both.data + 2, size));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_check *const checks[] = {check_list, check_record, check_signature};

    return fuzz_pick(checks, sizeof(checks) / sizeof(checks[0]), data, size);
}
