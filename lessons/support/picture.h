// The library's pictures, for the lessons' programs.
#pragma once

#include "tinygpt/chart/picture.h"

namespace tinygpt::lessons {
using namespace tinygpt::chart;
}
