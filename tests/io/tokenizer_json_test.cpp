#include "tinygpt/io/tokenizer_json.h"

#include "tests/support/catch.h"
