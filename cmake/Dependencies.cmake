# Every dependency is taken from the system where it is installed, and fetched at a pinned version otherwise.
# -DCMAKE_DISABLE_FIND_PACKAGE_<name>=ON fetches one in spite of the system's.
include(Fetch)

find_package(fmt QUIET)
if(NOT TARGET fmt::fmt)
  tinygpt_fetch(fmt https://github.com/fmtlib/fmt/archive/refs/tags/10.2.1.tar.gz
    1250e4cc58bf06ee631567523f48848dc4596133e163f02615c97f78bab6c811 "libfmt-dev;fmt-devel;fmt;fmt" .)
  tinygpt_quiet(fmt)
endif()

find_package(nlohmann_json QUIET)
if(NOT TARGET nlohmann_json::nlohmann_json)
  tinygpt_fetch(json https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
    d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d
    "nlohmann-json3-dev;json-devel;nlohmann-json;nlohmann-json" headers-only)
  tinygpt_headers(nlohmann_json::nlohmann_json ${json_SOURCE_DIR}/include)
endif()

find_package(CLI11 QUIET)
if(NOT TARGET CLI11::CLI11)
  tinygpt_fetch(cli11 https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz
    f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a
    "libcli11-dev;cli11-devel;cli11;cli11" headers-only)
  tinygpt_headers(CLI11::CLI11 ${cli11_SOURCE_DIR}/include)
endif()

find_package(Eigen3 QUIET)
if(NOT TARGET Eigen3::Eigen)
  tinygpt_fetch(eigen https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.gz
    8586084f71f9bde545ee7fa6d00288b264a2b7ac3607b974e54d13e7162c1c72
    "libeigen3-dev;eigen3-devel;eigen;eigen" headers-only)
  tinygpt_headers(Eigen3::Eigen ${eigen_SOURCE_DIR})
endif()
# GCC 12's AVX-512 headers name a value that they leave undefined on purpose, and warn of it wherever Eigen's products
# are inlined (GCC bug 105593).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(Eigen3::Eigen INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-uninitialized> $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>)
endif()

# Distributions ship utf8proc without a CMake package.
if(NOT CMAKE_DISABLE_FIND_PACKAGE_utf8proc)
  find_path(UTF8PROC_INCLUDE utf8proc.h)
  find_library(UTF8PROC_LIBRARY utf8proc)
endif()
add_library(utf8proc_dep INTERFACE)
if(UTF8PROC_INCLUDE AND UTF8PROC_LIBRARY)
  target_include_directories(utf8proc_dep SYSTEM INTERFACE ${UTF8PROC_INCLUDE})
  target_link_libraries(utf8proc_dep INTERFACE ${UTF8PROC_LIBRARY})
else()
  tinygpt_fetch(utf8proc https://github.com/JuliaStrings/utf8proc/archive/refs/tags/v2.8.0.tar.gz
    a0a60a79fe6f6d54e7d411facbfcc867a6e198608f2cd992490e46f04b1bcecc
    "libutf8proc-dev;utf8proc-devel;libutf8proc;utf8proc" .)
  tinygpt_quiet(utf8proc)
  target_link_libraries(utf8proc_dep INTERFACE utf8proc)
endif()

if(TINYGPT_TESTS)
  find_package(Catch2 QUIET)
  if(NOT TARGET Catch2::Catch2)
    tinygpt_fetch(catch2 https://github.com/catchorg/Catch2/archive/refs/tags/v3.5.2.tar.gz
      269543a49eb76f40b3f93ff231d4c24c27a7e16c90e47d2e45bcc564de470c6e "catch2;catch-devel;catch2;catch2" .)
    list(APPEND CMAKE_MODULE_PATH ${catch2_SOURCE_DIR}/extras)
    tinygpt_quiet(Catch2)
  endif()
  include(Catch)
endif()
