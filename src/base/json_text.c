#include "base/json_text.h"

#include <string.h>

bool
json_shape_within(struct bytes text, unsigned opened_max, unsigned commas_max)
{
    unsigned opened = 0;
    unsigned commas = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];

        if (in_string) {
            if (byte == '\\')
                i++;
            else if (byte == '"')
                in_string = false;
            continue;
        }
        if (byte == '"')
            in_string = true;
        else if (byte == '{' || byte == '[')
            opened++;
        else if (byte == ',')
            commas++;
        if (opened > opened_max || commas > commas_max)
            return false;
    }
    return true;
}

json_t *
json_load_strict(struct bytes text, size_t flags, enum vault_err *err)
{
    json_error_t problem = {0};
    json_t *root;

    *err = ERR_BAD_JSON;
    if (text.size == 0 || memchr(text.data, '\0', text.size))
        return NULL;
    root = json_loadb((const char *)text.data, text.size, flags, &problem);
    if (root)
        *err = OK;
    else if (json_error_code(&problem) == json_error_out_of_memory)
        *err = ERR_NOMEM;
    bytes_wipe(&problem, sizeof problem); /* its text quotes the body */
    return root;
}
