#include "cli/secret_common.h"

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/url.h"
#include "proto/request.h"

int
secret_out_of_memory(void)
{
    output_error("out of memory");
    return EXIT_FAILED;
}

int
secret_check_name(const char *command, const char *name)
{
    if (secret_name_valid(bytes_of_text(name)))
        return EXIT_OK;
    return cli_usage_error(command,
                           "the name is not valid: 1 to 512 bytes of UTF-8, parts separated by "
                           "single '/', no part empty, \".\" or \"..\", no control characters, "
                           "no '_' at the beginning");
}

/* "/v1/secrets/NAME" and the like, NUL-terminated. */
int
secret_target(const char *prefix, const char *name, struct buf *out)
{
    *out = (struct buf){0};
    if (buf_append_text(out, prefix) == OK && url_append_path(out, bytes_of_text(name)) == OK)
        return EXIT_OK;
    buf_close(out);
    return secret_out_of_memory();
}

int
secret_target_parameter(struct buf *target, char *separator, const char *key, const char *value)
{
    if (buf_printf(target, "%c%s=", *separator, key) != OK ||
        url_append_query(target, bytes_of_text(value)) != OK)
        return secret_out_of_memory();
    *separator = '&';
    return EXIT_OK;
}

int
secret_target_end(struct buf *target)
{
    return buf_append(target, bytes_of("", 1)) == OK ? EXIT_OK : secret_out_of_memory();
}
