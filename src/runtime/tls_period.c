#include <wolfssl/options.h>

#include "runtime/tls_period.h"

#include <stdio.h>
#include <time.h>

#include <wolfssl/wolfcrypt/asn_public.h>

#include "base/instant.h"
#include "crypto/certificate.h"

enum vault_err
tls_period_read(struct bytes pem, struct tls_period *out)
{
    DerBuffer *der = NULL;
    enum vault_err err = ERR_MALFORMED;

    *out = (struct tls_period){0};
    if (wc_PemToDer(pem.data, (long)pem.size, CERT_TYPE, &der, NULL, NULL, NULL) == 0)
        err = certificate_period(bytes_of(der->buffer, der->length), &out->not_before_ms,
                                 &out->not_after_ms);
    wc_FreeDer(&der);
    return err;
}

void
tls_period_tell(struct bytes pem, const char *what, const char *path, uint64_t now_ms, char *why,
                size_t why_size)
{
    char now[RFC3339_BYTES], from[RFC3339_BYTES] = "?", to[RFC3339_BYTES] = "?";
    struct tls_period period;

    rfc3339_format(now_ms, now);
    if (tls_period_read(pem, &period) == OK) {
        rfc3339_format(period.not_before_ms, from);
        rfc3339_format(period.not_after_ms, to);
    }
    snprintf(why, why_size, "the clock says %s, %s %s is valid from %s to %s: look at the clock",
             now, what, path, from, to);
}

uint64_t
tls_period_now(void)
{
    time_t now = time(NULL);

    return now < 0 ? 0 : UINT64_C(1000) * (uint64_t)now;
}
