/*
 * What every HTTPS connection of the command line has in common: TLS 1.3 with a certificate that is
 * verified, no proxy, no redirects, HTTP/1.1, targets as they are given.
 */
#ifndef OSTRAKA_CLI_TRANSPORT_H
#define OSTRAKA_CLI_TRANSPORT_H

#include <curl/curl.h>

/* Times in milliseconds; `ca_file` NULL: the system's CAs. Errors: libcurl's. */
CURLcode transport_set(CURL *curl, const char *ca_file, long connect_ms, long total_ms);

#endif
