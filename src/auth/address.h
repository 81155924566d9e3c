/*
 * Addresses of clients and ranges of them (CIDR). An IPv4 address that is written as an IPv6 one
 * (::ffff:192.0.2.1) is the IPv4 address: one client, one address.
 */
#ifndef OSTRAKA_AUTH_ADDRESS_H
#define OSTRAKA_AUTH_ADDRESS_H

#include "base/bytes.h"

enum { ADDRESS_BYTES_MAX = 16, ADDRESS_TEXT_BYTES_MAX = 45, CIDR_TEXT_BYTES_MAX = 49 };

struct address {
    uint8_t size; /* 4 or 16; 0: none */
    uint8_t data[ADDRESS_BYTES_MAX];
};

struct cidr {
    struct address base; /* bits behind the prefix are zero */
    uint8_t prefix;      /* 0..32 or 0..128 */
};

/*
 * The text form of inet_pton, without a zone: 192.0.2.1, 2001:db8::1. Errors: ERR_MALFORMED, *out
 * is then no address.
 */
MUST_CHECK enum vault_err address_parse(struct bytes text, struct address *out);
/* `data` of 4 or 16 bytes in network order. Errors: ERR_MALFORMED any other size. */
MUST_CHECK enum vault_err address_of(struct bytes data, struct address *out);

/*
 * ADDRESS/PREFIX, or an address alone, which is a range of one. Errors: ERR_MALFORMED also when a
 * bit behind the prefix is set, or for a range of IPv4 addresses written as IPv6.
 */
MUST_CHECK enum vault_err cidr_parse(struct bytes text, struct cidr *out);
/* What cidr_parse gives: for records from elsewhere. */
bool cidr_valid(const struct cidr *cidr);
/* False for an address of the other family, and for none. */
bool cidr_contains(const struct cidr *cidr, struct address address);
/* ADDRESS/PREFIX with a NUL. */
void cidr_format(const struct cidr *cidr, char out[static CIDR_TEXT_BYTES_MAX + 1]);

#endif
