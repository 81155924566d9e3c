#include "cli/transport.h"

/* Only this CA: the system's are not asked besides, nor read for each connection. */
static CURLcode
set_ca(CURL *curl, const char *ca_file)
{
    CURLcode code = curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);

    return code ? code : curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
}

CURLcode
transport_set(CURL *curl, const char *ca_file, long connect_ms, long total_ms)
{
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_3},
        {CURLOPT_SSL_VERIFYPEER, 1},
        {CURLOPT_SSL_VERIFYHOST, 2},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
        {CURLOPT_FOLLOWLOCATION, 0},
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_PATH_AS_IS, 1},
        {CURLOPT_CONNECTTIMEOUT_MS, connect_ms},
        {CURLOPT_TIMEOUT_MS, total_ms},
    };
    CURLcode code = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");

    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (!code && ca_file)
        code = set_ca(curl, ca_file);
    for (size_t i = 0; !code && i < sizeof(numbers) / sizeof(numbers[0]); i++)
        code = curl_easy_setopt(curl, numbers[i].option, numbers[i].value);
    return code;
}
