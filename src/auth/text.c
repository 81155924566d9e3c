#include "auth/text.h"

#include "base/cbor.h"

bool
text_printable(struct bytes text, size_t size_min, size_t size_max)
{
    if (text.size < size_min || text.size > size_max || !utf8_valid(text))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
        if (text.data[i] == 0xc2 && i + 1 < text.size && text.data[i + 1] < 0xa0)
            return false;
    }
    return true;
}
