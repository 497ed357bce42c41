// How wide a text is where every letter takes the same room.
#pragma once

#include <string>

namespace tinygpt {

// How many columns of a terminal a UTF-8 text takes: accents none, Chinese, Japanese and Korean
// characters two.
int display_width(const std::string& text);

}  // namespace tinygpt
