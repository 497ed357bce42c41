// SVG as PNG, by the program that librsvg brings along.
#pragma once

#include <string>

namespace tinygpt::chart {

// The picture's PNG on a white page, `zoom` pixels for each of the SVG's. Runs rsvg-convert; throws
// Error, with the packages that hold it, where it is not installed, and where it fails, with what
// it says.
std::string png_of_svg(const std::string& svg, double zoom = 2);

}  // namespace tinygpt::chart
