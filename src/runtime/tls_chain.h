/*
 * What is wrong with a node's certificate that does not verify: the handshake says no more than that.
 */
#ifndef OSTRAKA_RUNTIME_TLS_CHAIN_H
#define OSTRAKA_RUNTIME_TLS_CHAIN_H

#include "runtime/tls.h"

/*
 * A sentence for people. `fault`: what TLS said, for when nothing is found that the files themselves
 * tell: a key of another certificate, certificates in another order than that of the chain, or one of
 * a CA without the keyUsage keyCertSign, which wolfSSL takes for none.
 */
void tls_chain_tell(const struct tls_files *files, const char *fault, char *why, size_t why_size);

#endif
