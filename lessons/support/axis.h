// The library's scales and ticks, for the lessons' programs.
#pragma once

#include "tinygpt/chart/axis.h"

namespace tinygpt::lessons {
using namespace tinygpt::chart;
}
